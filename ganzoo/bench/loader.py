"""The real samples of the plain loop: one at a time through torchvision's transforms, collated by a `DataLoader`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from ganzoo import randomness
from ganzoo.data import Batch, OpenedDataset
from ganzoo.specs import ArrayData, SyntheticData


def endless(dataset: OpenedDataset, batch_size: int) -> Iterator[Batch]:
    """Yield shuffled batches on the CPU, epoch after epoch, in this process; an incomplete last one is left out."""
    loader: DataLoader[Any]
    if isinstance(dataset.data, SyntheticData):
        loader = DataLoader(_Drawn(dataset.data, batch_size), batch_size=None)
    else:
        samples = _Images(dataset.data) if dataset.spec.sample.kind == "image" else _Curves(dataset.data)
        loader = DataLoader(samples, batch_size=batch_size, shuffle=True, drop_last=True)
    while True:
        for batch in loader:
            yield batch if isinstance(batch, Batch) else Batch(*batch)


Labelled = tuple[Tensor, int]
"""A sample [*shape] and its label; 0 in a set without classes."""


class _Curves(Dataset[Labelled]):
    """Samples as they are stored."""

    def __init__(self, data: ArrayData) -> None:
        self._samples, self._labels = np.asarray(data.samples), data.labels

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Labelled:
        return torch.from_numpy(self._samples[index].copy()), self._label(index)

    def _label(self, index: int) -> int:
        return 0 if self._labels is None else int(self._labels[index])


class _Images(_Curves):
    """Images as torchvision's datasets give them: array -> PIL -> tensor -> normalised to [-1, 1]."""

    def __init__(self, data: ArrayData) -> None:
        from torchvision import transforms

        super().__init__(data)
        middle = (0.5,) * self._samples.shape[1]
        self._transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(middle, middle)])

    def __getitem__(self, index: int) -> Labelled:
        from PIL import Image

        pixels = np.ascontiguousarray(self._samples[index].transpose(1, 2, 0))  # [height, width, channels]
        image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
        return self._transform(image), self._label(index)


class _Drawn(IterableDataset[Batch]):
    """A synthetic set, a batch at a time."""

    def __init__(self, data: SyntheticData, batch_size: int) -> None:
        self._data, self._batch_size = data, batch_size

    def __iter__(self) -> Iterator[Batch]:
        source = randomness.generator(0, "bench")
        while True:
            yield Batch(self._data.draw(self._batch_size, source), None)
