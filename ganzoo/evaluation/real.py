"""The real side of a protocol: opened when a metric first asks for it, its features taken from the store."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ganzoo import randomness
from ganzoo.data import open_dataset, to_float
from ganzoo.errors import EvaluationError
from ganzoo.evaluation.extractors import Extractors
from ganzoo.evaluation.features import read_stored, stored_folder, write_stored
from ganzoo.evaluation.memo import Cache
from ganzoo.specs import ArrayData, DatasetSpec, Features, EvaluationProtocol, SyntheticData


def _own_folder(data_dir: Path | None, dataset: DatasetSpec) -> Path | None:
    """Let one folder hold several datasets, each in a folder of its name."""
    return data_dir / dataset.name if data_dir is not None and (data_dir / dataset.name).is_dir() else data_dir


LAW_SEED = 0
"""Seed of the real samples of an unlimited dataset."""


class RealSide:
    """The real samples of a protocol, and what extractors and annotations say of them."""

    def __init__(
        self, dataset: DatasetSpec, protocol: EvaluationProtocol, data_dir: Path | None, extractors: Extractors
    ) -> None:
        self._dataset, self._protocol, self._extractors = dataset, protocol, extractors
        self._data_dir = _own_folder(data_dir, dataset)
        self._features: dict[str, Features] = {}
        self._digest: str | None = None
        self.deviation: str | None = None
        self.shared = Cache()

    @property
    def digest(self) -> str | None:
        """sha256 of the real set; None when no metric asked for it."""
        return self._digest

    def samples(self) -> Tensor:
        """Return the real samples as float32 [num, *shape] in the range that nets see."""
        return self._samples

    def texts(self) -> Sequence[str] | None:
        """Return what is written on them; None for a set without texts."""
        data = self._data
        if isinstance(data, SyntheticData):
            return None if data.draw_texts is None else data.draw_texts(self._num, self._law_source())
        return None if data.texts is None else [text.decode() for text in data.texts[self._index].tolist()]

    def vocabulary(self) -> frozenset[str]:
        """Return the words of the whole split, in lower case. Raises EvaluationError for a set without texts."""
        return self._vocabulary

    def features(self, name: str) -> Features:
        """Return the features of the real samples under an extractor, computed once for each machine."""
        if name not in self._features:
            spec, extractor = self._extractors.get(name)
            num = self._num  # opens the data, and with it knows their digest
            folder = stored_folder(self._dataset.name, f"{self._digest}:{num}", spec, extractor)
            found = read_stored(folder)
            if found is None:
                computed = self._extractors.extract(name, self._samples)
                facts = {"dataset": self._dataset.name, "split": self._protocol.split, "extractor": name}
                write_stored(folder, computed, {**facts, "digest": self._digest, "num": num})
                found = read_stored(folder)
                assert found is not None
            self._features[name] = found
        return self._features[name]

    @cached_property
    def _data(self) -> ArrayData | SyntheticData:
        if self._protocol.split is None:
            raise EvaluationError(
                f"the protocol {self._protocol.name!r} names no real samples.", hint="Choose one that does."
            )
        opened = open_dataset(self._dataset, self._protocol.split, self._data_dir)
        self._digest = opened.digest
        if isinstance(opened.data, ArrayData):
            self._check_count(len(opened.data.samples), opened.num_skipped)
        elif self._protocol.num_real is None:
            raise EvaluationError(
                f"the protocol {self._protocol.name!r} does not say how many samples of an unlimited set it takes.",
                hint="Its plugin must mend it.",
            )
        else:
            self._drawn = opened.data.draw(self._protocol.num_real, self._law_source())
            self._digest = hashlib.sha256(self._drawn.numpy().tobytes()).hexdigest()
        if self._protocol.real_sha256 not in (None, self._digest):
            self.deviation = f"the real samples are not those of the protocol, but sha256 {self._digest}"
        return opened.data

    def _check_count(self, num: int, num_skipped: int) -> None:
        """Refuse a split with fewer samples than the protocol takes; a pinned digest says the rest.

        Raises EvaluationError.
        """
        assert self._protocol.split is not None
        official = self._dataset.splits[self._protocol.split] or 0
        needed = self._protocol.num_real or official - num_skipped
        if num < needed:
            raise EvaluationError(
                f"the protocol {self._protocol.name!r} takes {needed:,} real samples; this {self._protocol.split} "
                f"split of {self._dataset.name} has {num:,}.",
                hint="Pass the folder with the whole set as --data-dir.",
            )
        if self._protocol.real_sha256 is None and num + num_skipped != official:
            self.deviation = f"the split has {num + num_skipped:,} samples instead of the official {official:,}"

    @cached_property
    def _vocabulary(self) -> frozenset[str]:
        data = self._data
        if isinstance(data, SyntheticData) and data.vocabulary is not None:
            return data.vocabulary()
        if isinstance(data, ArrayData) and data.texts is not None:
            return frozenset(text.decode().lower() for text in np.unique(data.texts).tolist())
        raise EvaluationError(
            f"the dataset {self._dataset.name!r} does not say which words its samples show.",
            hint="Choose a metric that needs none.",
        )

    @cached_property
    def _samples(self) -> Tensor:
        data = self._data
        if isinstance(data, SyntheticData):
            return self._drawn
        return to_float(torch.from_numpy(np.array(data.samples[self._index])))

    def _law_source(self) -> torch.Generator:
        return randomness.generator(LAW_SEED, "real")

    @property
    def _num(self) -> int:
        """Real samples that the protocol takes, or all where there are fewer."""
        wanted = self._protocol.num_real
        if isinstance(self._data, SyntheticData):
            assert wanted is not None
            return wanted
        return len(self._data.samples) if wanted is None else min(wanted, len(self._data.samples))

    @property
    def _is_whole(self) -> bool:
        return isinstance(self._data, ArrayData) and self._num == len(self._data.samples)

    @property
    def _index(self) -> slice | np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Evenly spaced positions: sorted sets are then taken from everywhere."""
        assert isinstance(self._data, ArrayData)
        if self._is_whole:
            return slice(None)
        return np.linspace(0, len(self._data.samples), self._num, endpoint=False).astype(np.int64)
