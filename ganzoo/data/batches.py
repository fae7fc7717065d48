"""Batches for training, from data that is resident on the device or drawn there.

Where a set of batches stands is a small dictionary of tensors, so that a resumed run sees the very batches that an
uninterrupted one would.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ganzoo import randomness
from ganzoo.data.packed import OpenedDataset
from ganzoo.data.scaling import to_float
from ganzoo.errors import DatasetError
from ganzoo.specs import ArrayData, SyntheticData


@dataclass(frozen=True)
class Batch:
    """Real samples."""

    samples: Tensor
    """float32 [batch, *shape]; images in [-1, 1]."""
    labels: Tensor | None
    """int64 [batch], or None for a set without classes."""


class Batches(Protocol):
    """An endless sequence of batches that can be left and taken up again."""

    def next(self) -> Batch:
        """Return the next batch, on the device."""

    def state_dict(self) -> dict[str, Tensor]:
        """Return where the sequence stands."""

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Continue where another sequence of the same data, batch size and seed stood."""


def open_batches(dataset: OpenedDataset, batch_size: int, seed: int, device: torch.device) -> Batches:
    """Return the training batches of a dataset. Raises DatasetError when it is smaller than one batch."""
    if isinstance(dataset.data, SyntheticData):
        return DrawnBatches(dataset.data, batch_size, seed, device)
    if len(dataset.data.samples) < batch_size:
        raise DatasetError(
            f"{dataset.spec.name} {dataset.split} has {len(dataset.data.samples)} samples, fewer than one batch of "
            f"{batch_size}.",
            hint=f"Set batch_size to {len(dataset.data.samples)} or less.",
        )
    return ResidentBatches(dataset.data, batch_size, seed, device)


class ResidentBatches:
    """Whole dataset on the device; each epoch is a fresh permutation, its incomplete last batch left out.

    Where it stands is the number of batches taken: the permutation of an epoch follows from the seed alone.
    """

    def __init__(self, data: ArrayData, batch_size: int, seed: int, device: torch.device) -> None:
        self._samples = torch.from_numpy(np.array(data.samples)).to(device)
        self._labels = None if data.labels is None else torch.from_numpy(np.array(data.labels)).to(device)
        self._batch_size, self._seed = batch_size, seed
        self._per_epoch = len(self._samples) // batch_size
        self._taken = 0
        self._epoch = -1
        self._order = torch.empty(0)

    def next(self) -> Batch:
        """Return the next batch."""
        epoch, position = divmod(self._taken, self._per_epoch)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._permutation(epoch)
        self._taken += 1
        index = self._order[position * self._batch_size : (position + 1) * self._batch_size]
        labels = None if self._labels is None else self._labels[index]
        return Batch(to_float(self._samples[index]), labels)

    def _permutation(self, epoch: int) -> Tensor:
        source = randomness.generator(self._seed, "order", epoch)
        return torch.randperm(len(self._samples), generator=source).to(self._samples.device)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the number of batches taken."""
        return {"taken": torch.tensor(self._taken)}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Continue after that many batches."""
        self._taken = int(state["taken"])


class DrawnBatches:
    """Batches from a dataset's law, drawn on the device; where it stands is the generator's state."""

    def __init__(self, data: SyntheticData, batch_size: int, seed: int, device: torch.device) -> None:
        self._draw, self._batch_size = data.draw, batch_size
        self._source = randomness.generator(seed, "data", device=device)

    def next(self) -> Batch:
        """Return the next batch."""
        return Batch(self._draw(self._batch_size, self._source), None)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the generator's state."""
        return {"generator": self._source.get_state()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Continue from that state."""
        self._source.set_state(state["generator"])
