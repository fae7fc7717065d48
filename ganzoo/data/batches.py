"""Batches for training: from data that is resident on the device, streamed from disk, or synthetic.

The position in the sequence of batches is a small dictionary of tensors, so that a resumed run sees the same batches as
an uninterrupted one. Resident and streamed batches of one seed are the same.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ganzoo import randomness
from ganzoo.data.packed import OpenedDataset
from ganzoo.data.rows import RowFile, resident, to_float
from ganzoo.data.streaming import Prefetcher
from ganzoo.distributed.processes import SINGLE_PROCESS, Processes
from ganzoo.errors import DatasetError, SettingsError
from ganzoo.specs import ArrayData, SyntheticData, TextSpec
from ganzoo.system.memory import free_memory

MAX_RESIDENT_FRACTION = 0.4
"""`auto` makes a dataset resident when it takes at most this fraction of the device's free memory."""

Place = Literal["auto", "resident", "streamed"]


class Batch(NamedTuple):
    """Real samples."""

    samples: Tensor
    """float32 [batch, *shape]; images in [-1, 1]."""
    labels: Tensor | None
    """int64 [batch], or None for a set without classes. For a text-conditional model the texts of the samples, int64
    [batch, max_length]."""


PreparedBatch = tuple[Tensor, ...]
"""Host-side part of a batch: tensors on the device, each with one row per sample of this rank."""


class Batches(ABC):
    """An endless sequence of batches that can be left and continued.

    A batch is made in two halves: `prepare` runs on the host; `materialize` uses the device alone, so that a CUDA graph
    can capture it.
    """

    place: str
    """Where the samples come from, in words."""

    def next(self) -> Batch:
        """Return the next batch, on the device. Raises DatasetError when the disk fails."""
        return self.materialize(self.prepare())

    @abstractmethod
    def prepare(self) -> PreparedBatch:
        """Advance to the next batch and return its host-side part. Raises DatasetError when the disk fails."""

    @abstractmethod
    def materialize(self, prepared: PreparedBatch) -> Batch:
        """Return the batch that was prepared."""

    @abstractmethod
    def state_dict(self) -> dict[str, Tensor]:
        """Return the position in the sequence."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Continue from the position of another sequence with the same data, batch size and seed."""

    def close(self) -> None:  # noqa: B027
        """Close files and threads; `prepare` opens them again."""


def open_batches(
    dataset: OpenedDataset,
    batch_size: int,
    seed: int,
    device: torch.device,
    place: Place = "auto",
    processes: Processes = SINGLE_PROCESS,
    *,
    drop_last: bool = True,
    conditional: bool = False,
    text: TextSpec | None = None,
) -> Batches:
    """Return the training batches of a dataset.

    Args:
        dataset: what to train on.
        batch_size: size of the global batch, of which each rank gets its rows.
        seed: fixes the order of the samples.
        device: where the batches are needed.
        place: whether samples lie on the device or are read from the packed copy as they are needed; `auto` streams
            what would take more than 40 % of the device's free memory.
        processes: those that share each batch.
        drop_last: whether to leave out the incomplete last batch of each epoch; synthetic data has no epochs.
        conditional: whether every batch needs labels.
        text: for text-conditional models, whose batches have texts in place of labels.

    Raises DatasetError when the dataset is smaller than one batch or lacks labels or texts, SettingsError for a last
    batch that cannot be used.
    """
    what = "labels" if text is None else "texts"
    synthetic = isinstance(dataset.data, SyntheticData)
    if conditional and getattr(dataset.data, f"draw_{what}" if synthetic else what) is None:
        raise DatasetError(
            f"{dataset.spec.name} {dataset.split} has no {what} to condition on.",
            hint=f"Set conditional=false, or choose a dataset with {what}.",
        )
    if isinstance(dataset.data, SyntheticData):
        return DrawnBatches(dataset.data, batch_size, seed, device, processes, conditional=conditional, text=text)
    samples, labels = dataset.data.samples, dataset.data.labels
    if len(samples) < batch_size:
        raise DatasetError(
            f"{dataset.spec.name} {dataset.split} has {len(samples)} samples, fewer than one batch of {batch_size}.",
            hint=f"Set batch_size to {len(samples)} or less.",
        )
    if not drop_last:
        _check_last_batch(len(samples) % batch_size, processes)
    if place == "auto":
        # Processes on a CPU share its memory; on GPUs each has its own.
        copies = 1 if device.type == "cuda" else processes.local_world_size
        place = "resident" if samples.nbytes * copies <= MAX_RESIDENT_FRACTION * free_memory(device) else "streamed"
    device_labels = None if labels is None else resident(RowFile.of(labels), device)
    if text is not None:
        device_labels = _encoded(dataset, text).to(device)
    if place == "resident":
        order = Order(len(samples), batch_size, seed, device, processes, drop_last=drop_last)
        return ResidentBatches(resident(RowFile.of(samples), device), device_labels, order)
    order = Order(len(samples), batch_size, seed, torch.device("cpu"), processes, drop_last=drop_last)
    return StreamedBatches(RowFile.of(samples), device_labels, order, device)


def _encoded(dataset: OpenedDataset, text: TextSpec) -> Tensor:
    """Return the texts of a dataset as networks get them, int16 [num, max_length]. Raises DatasetError."""
    assert isinstance(dataset.data, ArrayData)
    assert dataset.data.texts is not None
    # Each text once: seven million images show ninety thousand words.
    distinct, which = np.unique(dataset.data.texts, return_inverse=True)
    try:
        rows = [text.encode(content.decode()) for content in distinct.tolist()]
    except ValueError as error:
        raise DatasetError(
            f"{dataset.spec.name} {dataset.split}: {error}.",
            hint="The TextSpec of the dataset must cover all of its texts: report this to its plugin's author.",
        ) from error
    return torch.from_numpy(np.array(rows, np.int16)[which])


def _check_last_batch(size: int, processes: Processes) -> None:
    """Refuse an incomplete last batch that the ranks cannot share evenly, or that batch normalization cannot use."""
    if size % processes.world_size or size == 1:
        why = "1 sample" if size == 1 else f"{size} samples, which {processes.world_size} processes cannot share evenly"
        raise SettingsError(
            f"the incomplete last batch of each epoch has {why}.", hint="Set drop_last=true, or another batch_size."
        )


class Order:
    """Which samples are in which batch: each epoch is a new permutation.

    The permutation of an epoch follows from the seed and the epoch's number alone. So any batch can be found by its
    number: a resumed run needs to know nothing else, and all ranks agree without communication.
    """

    def __init__(
        self,
        num: int,
        batch_size: int,
        seed: int,
        device: torch.device,
        processes: Processes = SINGLE_PROCESS,
        *,
        drop_last: bool = True,
    ) -> None:
        self._num, self._batch_size, self._seed = num, batch_size, seed
        self._device, self._processes = device, processes
        self._per_epoch = num // batch_size if drop_last else -(-num // batch_size)
        self._epoch = -1
        self._permutation = torch.empty(0)

    def batch(self, number: int) -> Tensor:
        """Return the indices int64 of this rank's rows of a batch, on the order's device."""
        epoch, position = divmod(number, self._per_epoch)
        if epoch != self._epoch:
            source = randomness.generator(self._seed, "order", epoch)
            self._epoch, self._permutation = epoch, torch.randperm(self._num, generator=source).to(self._device)
        first = position * self._batch_size
        return self._processes.local_rows(self._permutation[first : first + self._batch_size])


class ResidentBatches(Batches):
    """The whole dataset on the device. The position is the number of batches taken."""

    place = "resident"

    def __init__(self, samples: Tensor, labels: Tensor | None, order: Order) -> None:
        self._samples, self._labels, self._order = samples, labels, order
        self._taken = 0

    def prepare(self) -> PreparedBatch:
        """Return the indices of the next batch."""
        self._taken += 1
        return (self._order.batch(self._taken - 1),)

    def materialize(self, prepared: PreparedBatch) -> Batch:
        """Gather the samples of those indices."""
        (index,) = prepared
        return Batch(to_float(self._samples[index]), None if self._labels is None else self._labels[index].long())

    def state_dict(self) -> dict[str, Tensor]:
        """Return the number of batches taken."""
        return {"taken": torch.tensor(self._taken)}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Continue after that many batches."""
        self._taken = int(state["taken"])


class StreamedBatches(Batches):
    """Samples that a thread reads from the packed copy, a few batches ahead; labels on the device."""

    place = "streamed from disk"

    def __init__(self, file: RowFile, labels: Tensor | None, order: Order, device: torch.device) -> None:
        self._file, self._labels, self._order, self._device = file, labels, order, device
        self._taken = 0
        self._prefetcher: Prefetcher | None = None

    def prepare(self) -> PreparedBatch:
        """Return the next samples as stored, and their labels. Raises DatasetError when the packed copy is gone."""
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
        stored = moved(samples, self._device)
        return (stored,) if self._labels is None else (stored, self._labels[moved(index, self._device)].long())

    def materialize(self, prepared: PreparedBatch) -> Batch:
        """Scale the samples."""
        samples, *labels = prepared
        return Batch(to_float(samples), labels[0] if labels else None)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the number of batches taken, not counting those read ahead."""
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


def moved(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a tensor of the CPU on a device; on a GPU without waiting for the work that is queued there."""
    if device.type != "cuda":
        return tensor.to(device)
    # Only from pinned memory may the copy run behind the host's back: the allocator keeps pinned memory until the copy
    # is done. On MPS, an unpinned source could be freed and reused while it is still being read.
    return tensor.pin_memory().to(device, non_blocking=True)


def draw_batch(
    data: SyntheticData, num: int, source: torch.Generator, *, labels: bool, text: TextSpec | None = None
) -> Batch:
    """Draw samples of a synthetic dataset, and their labels, or texts, if wanted; `source` continues after the samples.

    Raises DatasetError for a text that the spec does not cover.
    """
    draw_rows = data.draw_labels if text is None else data.draw_texts
    before = source.get_state()
    samples = data.draw(num, source)
    if not labels or draw_rows is None:
        return Batch(samples, None)
    # Labels are drawn from the state that the samples were drawn from. The state after the samples is restored, so that
    # the sequence of samples is the same with and without labels.
    after = source.get_state()
    source.set_state(before)
    rows = draw_rows(num, source)
    source.set_state(after)
    if isinstance(rows, Tensor):
        return Batch(samples, rows)
    assert text is not None
    try:
        encoded = [text.encode(content) for content in rows]
    except ValueError as error:
        raise DatasetError(
            f"a drawn sample does not fit the TextSpec of its dataset: {error}.",
            hint="Report this to the author of the dataset's plugin.",
        ) from error
    return Batch(samples, torch.tensor(encoded, device=samples.device))


class DrawnBatches(Batches):
    """Samples of a synthetic dataset, drawn as they are needed. The position is the state of the random generator.

    They are drawn on the CPU, from the same numbers for every device. Many datasets compute on it anyway, such as
    pictures of words, and would wait in each step for numbers drawn on a GPU.
    """

    place = "drawn"

    def __init__(
        self,
        data: SyntheticData,
        batch_size: int,
        seed: int,
        device: torch.device,
        processes: Processes = SINGLE_PROCESS,
        *,
        conditional: bool = False,
        text: TextSpec | None = None,
    ) -> None:
        self._data, self._batch_size, self._processes = data, batch_size, processes
        self._conditional, self._text = conditional, text
        self._device, self._source = device, randomness.generator(seed, "data")

    def prepare(self) -> PreparedBatch:
        """Draw the global batch on every rank and keep the own rows; here, because a draw may need the host."""
        drawn = draw_batch(self._data, self._batch_size, self._source, labels=self._conditional, text=self._text)
        return tuple(moved(self._processes.local_rows(part), self._device) for part in drawn if part is not None)

    def materialize(self, prepared: PreparedBatch) -> Batch:
        """Return the samples, with labels or texts for a conditional model."""
        samples, *labels = prepared
        return Batch(samples, labels[0] if labels else None)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the generator's state."""
        return {"generator": self._source.get_state()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Continue from that state."""
        self._source.set_state(state["generator"])
