"""Specs -> samples on a device: packed copies on disk, batches for training, reference samples for metrics.

Each name below arrives when it is first used: packing needs no torch, and is to stay small.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ganzoo.data.batches import Batch, Batches, open_batches
    from ganzoo.data.packed import OpenedDataset, open_dataset
    from ganzoo.data.scaling import to_float

__all__ = ["Batch", "Batches", "OpenedDataset", "open_batches", "open_dataset", "to_float"]

_HOME = {
    "Batch": "batches",
    "Batches": "batches",
    "OpenedDataset": "packed",
    "open_batches": "batches",
    "open_dataset": "packed",
    "to_float": "scaling",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'ganzoo.data' has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)
