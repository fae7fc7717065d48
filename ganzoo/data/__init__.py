"""Specs -> samples on a device: packed copies on disk, batches for training, reference samples for metrics."""

from ganzoo.data.batches import Batch, Batches, open_batches
from ganzoo.data.packed import OpenedDataset, open_dataset
from ganzoo.data.scaling import to_float

__all__ = ["Batch", "Batches", "OpenedDataset", "open_batches", "open_dataset", "to_float"]
