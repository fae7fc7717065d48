"""Specs -> samples on a device: packed copies on disk, batches for training, reference samples for metrics.

Names are imported when first used, because packing must not load torch in its worker processes.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ganzoo.data.batches import Batch, Batches, open_batches
    from ganzoo.data.packed import OpenedDataset, open_dataset
    from ganzoo.data.rows import to_float, to_uint8

__all__ = ["Batch", "Batches", "OpenedDataset", "open_batches", "open_dataset", "to_float", "to_uint8"]

_HOME = {
    "Batch": "batches",
    "Batches": "batches",
    "OpenedDataset": "packed",
    "open_batches": "batches",
    "open_dataset": "packed",
    "to_float": "rows",
    "to_uint8": "rows",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'ganzoo.data' has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)
