"""Batches for training: from data that is resident on the device, streamed from the disk, or drawn.

Where a set of batches stands is a small dictionary of tensors, so that a resumed run sees the very batches that an
uninterrupted one would. Resident and streamed batches of one seed are the same.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ganzoo import randomness
from ganzoo.data.packed import OpenedDataset
from ganzoo.data.rows import RowFile, resident, to_float
from ganzoo.data.streaming import Prefetcher
from ganzoo.distributed.processes import SINGLE_PROCESS, Processes
from ganzoo.errors import DatasetError
from ganzoo.specs import SyntheticData
from ganzoo.system.memory import free_memory

RESIDENT_SHARE = 0.4
"""A dataset becomes resident when it takes no more than this part of the device's free memory."""

Place = Literal["auto", "resident", "streamed"]


class Batch(NamedTuple):
    """Real samples."""

    samples: Tensor
    """float32 [batch, *shape]; images in [-1, 1]."""
    labels: Tensor | None
    """int64 [batch], or None for a set without classes."""


Staged = tuple[Tensor, ...]
"""What the host knows of a batch: tensors on the device, of the same shapes for every batch."""


class Batches(ABC):
    """An endless sequence of batches that can be left and taken up again.

    A batch is made in two halves: `stage` is the host's work, `draw` is the device's and can be captured in a graph.
    """

    place: str
    """Where the samples come from, in words."""

    def next(self) -> Batch:
        """Return the next batch, on the device. Raises DatasetError when the disk fails."""
        return self.draw(self.stage())

    @abstractmethod
    def stage(self) -> Staged:
        """Go on to the next batch and return what it is drawn from. Raises DatasetError when the disk fails."""

    @abstractmethod
    def draw(self, staged: Staged) -> Batch:
        """Return the batch that was staged."""

    @abstractmethod
    def state_dict(self) -> dict[str, Tensor]:
        """Return where the sequence stands."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Continue where another sequence of the same data, batch size and seed stood."""

    def close(self) -> None:  # noqa: B027
        """Let go of files and threads; `stage` takes them up again."""


def open_batches(
    dataset: OpenedDataset,
    batch_size: int,
    seed: int,
    device: torch.device,
    place: Place = "auto",
    processes: Processes = SINGLE_PROCESS,
) -> Batches:
    """Return the training batches of a dataset.

    `place` says whether samples lie on the device or are read from the packed copy as they are needed; `auto` streams
    what would take more than 40 % of the device's free memory. `batch_size` is that of all ranks together, of which
    each gets its part.
    Raises DatasetError when the dataset is smaller than one batch.
    """
    if isinstance(dataset.data, SyntheticData):
        return DrawnBatches(dataset.data, batch_size, seed, device, processes)
    samples, labels = dataset.data.samples, dataset.data.labels
    if len(samples) < batch_size:
        raise DatasetError(
            f"{dataset.spec.name} {dataset.split} has {len(samples)} samples, fewer than one batch of {batch_size}.",
            hint=f"Set batch_size to {len(samples)} or less.",
        )
    if place == "auto":
        sharers = 1 if device.type == "cuda" else processes.local_world_size
        place = "resident" if samples.nbytes * sharers <= RESIDENT_SHARE * free_memory(device) else "streamed"
    device_labels = None if labels is None else resident(RowFile.of(labels), device)
    if place == "resident":
        order = Order(len(samples), batch_size, seed, device, processes)
        return ResidentBatches(resident(RowFile.of(samples), device), device_labels, order)
    order = Order(len(samples), batch_size, seed, torch.device("cpu"), processes)
    return StreamedBatches(RowFile.of(samples), device_labels, order, device)


class Order:
    """Which samples are in which batch: each epoch is a fresh permutation, its incomplete last batch left out.

    The permutation of an epoch follows from the seed alone, so a batch follows from its number, on every rank alike.
    """

    def __init__(
        self, num: int, batch_size: int, seed: int, device: torch.device, processes: Processes = SINGLE_PROCESS
    ) -> None:
        self._num, self._batch_size, self._seed, self._device, self._processes = (
            num,
            batch_size,
            seed,
            device,
            processes,
        )
        self._per_epoch = num // batch_size
        self._epoch = -1
        self._permutation = torch.empty(0)

    def batch(self, number: int) -> Tensor:
        """Return the indices int64 of this rank's part of a batch, on the order's device."""
        epoch, position = divmod(number, self._per_epoch)
        if epoch != self._epoch:
            source = randomness.generator(self._seed, "order", epoch)
            self._epoch, self._permutation = epoch, torch.randperm(self._num, generator=source).to(self._device)
        return self._processes.local_rows(
            self._permutation[position * self._batch_size : (position + 1) * self._batch_size]
        )


class ResidentBatches(Batches):
    """Whole dataset on the device. Where it stands is the number of batches taken."""

    place = "resident"

    def __init__(self, samples: Tensor, labels: Tensor | None, order: Order) -> None:
        self._samples, self._labels, self._order = samples, labels, order
        self._taken = 0

    def stage(self) -> Staged:
        """Return the indices of the next batch."""
        self._taken += 1
        return (self._order.batch(self._taken - 1),)

    def draw(self, staged: Staged) -> Batch:
        """Gather the samples of those indices."""
        (index,) = staged
        return Batch(to_float(self._samples[index]), None if self._labels is None else self._labels[index])

    def state_dict(self) -> dict[str, Tensor]:
        """Return the number of batches taken."""
        return {"taken": torch.tensor(self._taken)}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Continue after that many batches."""
        self._taken = int(state["taken"])


class StreamedBatches(Batches):
    """Samples read from the packed copy by a thread that is a few batches ahead; labels on the device."""

    place = "streamed from disk"

    def __init__(self, file: RowFile, labels: Tensor | None, order: Order, device: torch.device) -> None:
        self._file, self._labels, self._order, self._device = file, labels, order, device
        self._taken = 0
        self._prefetcher: Prefetcher | None = None

    def stage(self) -> Staged:
        """Return the next samples as they are on disk, and their labels. Raises DatasetError when the copy is gone."""
        if self._prefetcher is None:
            self._prefetcher = Prefetcher(
                self._file, self._order.batch, self._taken, pinned=self._device.type == "cuda"
            )
        try:
            index, samples = self._prefetcher.next()
        except DatasetError:
            self.close()
            raise
        self._taken += 1
        # From memory that is not pinned a copy must be waited for: on MPS it reads what may have been freed.
        moved = samples.to(self._device, non_blocking=samples.is_pinned())
        return (moved,) if self._labels is None else (moved, self._labels[index.to(self._device)])

    def draw(self, staged: Staged) -> Batch:
        """Scale the samples."""
        samples, *labels = staged
        return Batch(to_float(samples), labels[0] if labels else None)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the number of batches taken, whatever was read ahead."""
        return {"taken": torch.tensor(self._taken)}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Continue after that many batches."""
        self.close()
        self._taken = int(state["taken"])

    def close(self) -> None:
        """End the thread."""
        if self._prefetcher is not None:
            self._prefetcher.close()
            self._prefetcher = None


class DrawnBatches(Batches):
    """Batches from a dataset's law, drawn on the device; where it stands is the generator's state."""

    place = "drawn"

    def __init__(
        self,
        data: SyntheticData,
        batch_size: int,
        seed: int,
        device: torch.device,
        processes: Processes = SINGLE_PROCESS,
    ) -> None:
        self._draw, self._batch_size, self._processes = data.draw, batch_size, processes
        self._source = randomness.generator(seed, "data", device=device)

    def stage(self) -> Staged:
        """Draw the next samples, all of them on every rank, and keep this one's: a law may need the host."""
        return (self._processes.local_rows(self._draw(self._batch_size, self._source)),)

    def draw(self, staged: Staged) -> Batch:
        """Return the samples."""
        (samples,) = staged
        return Batch(samples, None)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the generator's state."""
        return {"generator": self._source.get_state()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Continue from that state."""
        self._source.set_state(state["generator"])
