"""The real samples of a protocol: opened when a metric first needs them, their features taken from the store."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganzoo import randomness
from ganzoo.data import OpenedDataset, open_dataset, to_float
from ganzoo.data.settings import configured
from ganzoo.errors import EvaluationError
from ganzoo.evaluation.extractors import Extractors
from ganzoo.evaluation.features import (
    ExtractedFeatures,
    StoredFeatures,
    StoredRows,
    read_stored,
    stored_folder,
    write_stored,
)
from ganzoo.specs import ArrayData, DatasetSpec, EvaluationProtocol, Features, SyntheticData

REAL_SEED = 0
"""Seed of the real samples of an unlimited dataset."""


class Cache:
    """Results by name, each computed on first use."""

    def __init__(self) -> None:
        self._results: dict[str, Any] = {}

    def __call__(self, name: str, compute: Callable[[], Any]) -> Any:
        """Return `compute()`, or what it returned the first time."""
        if name not in self._results:
            self._results[name] = compute()
        return self._results[name]


class RealSamples:
    """The real samples of a protocol, their features and texts. All ranks must call the methods together.

    Args:
        dataset: with the settings of the model.
        protocol: split and number.
        data_dir: as for `evaluate`.
        extractors: for the features.
        any_number: take what there is, up to the number of the protocol, as of a split whose number varies.
    """

    def __init__(
        self,
        dataset: DatasetSpec,
        protocol: EvaluationProtocol,
        data_dir: Path | None,
        extractors: Extractors,
        *,
        any_number: bool = False,
    ) -> None:
        self._any_number = any_number
        self._dataset, self._protocol, self._extractors = configured(dataset), protocol, extractors
        self._data_dir = data_dir
        self._digest: str | None = None
        self.deviation: str | None = None
        self.cached = Cache()

    @property
    def digest(self) -> str | None:
        """sha256 of the real split; None if no metric used it."""
        return self._digest

    def open(self) -> None:
        """Open a split that comes from files, packed if need be. Raises MissingDatasetError, DatasetError."""
        if self._has_files:
            _ = self._opened

    def check(self) -> None:
        """Open a split as `open` does. Raises EvaluationError too, for fewer samples than the protocol takes."""
        if self._has_files:
            assert isinstance(self._opened.data, ArrayData)
            self._check_count(len(self._opened.data.samples), self._opened.num_skipped)

    @property
    def num(self) -> int | None:
        """How many real samples are compared with; None if no metric used them."""
        return None if self._digest is None else self._num

    @property
    def num_split(self) -> int:
        """Samples of the split, which comes from files."""
        assert isinstance(self._data, ArrayData)
        return len(self._data.samples)

    @property
    def _has_files(self) -> bool:
        return self._dataset.splits.get(self._protocol.split or "") is not None

    def samples(self) -> Tensor:
        """Return the real samples as float32 [num, *shape] in the range that nets see."""
        return self._samples

    def texts(self) -> Sequence[str] | None:
        """Return the text shown on each; None for a dataset without texts."""
        data = self._data
        if isinstance(data, SyntheticData):
            return None if data.draw_texts is None else data.draw_texts(self._num, self._source())
        return None if data.texts is None else [text.decode() for text in data.texts[self.index].tolist()]

    def vocabulary(self) -> frozenset[str]:
        """Return the words of the whole split, in lower case. Raises EvaluationError without texts."""
        return self._vocabulary

    def features(self, extractor: str) -> Features:
        """Return the features of the real samples under an extractor, computed once for each store."""
        return self.cached(f"features of {extractor}", lambda: self._stored_features(extractor))

    def _stored_features(self, name: str) -> Features:
        spec, extractor = self._extractors.get(name)
        num, processes = self._num, self._extractors.processes  # `_num` opens the data, which sets the digest
        folder = stored_folder(self._dataset.name, f"{self._digest}:{num}", spec, extractor)
        found: StoredFeatures | ExtractedFeatures | None = processes.run_on_all(lambda: read_stored(folder))
        # Each machine may have a store of its own, but all ranks must extract together.
        if any(processes.all_reduce_max([found is None])):
            computed = self._extractors.extract(name, self.rows, self._dataset.sample.kind)
            facts = {
                "dataset": self._dataset.name,
                "split": self._protocol.split,
                "extractor": name,
                "digest": self._digest,
                "num": num,
            }
            found = processes.main_first(lambda: read_stored(folder) or write_stored(folder, computed, facts))
        assert found is not None
        return found

    @cached_property
    def _opened(self) -> OpenedDataset:
        if self._protocol.split is None:
            raise EvaluationError(
                f"the protocol {self._protocol.name!r} has no real samples.", hint="Choose one that has."
            )
        split = self._protocol.split
        return self._extractors.processes.main_first(lambda: open_dataset(self._dataset, split, self._data_dir))

    @cached_property
    def _data(self) -> ArrayData | SyntheticData:
        opened = self._opened
        # Set when a metric first asks for real samples, so that an evaluation that uses none reports no digest.
        self._digest = opened.digest
        if isinstance(opened.data, ArrayData):
            self._check_count(len(opened.data.samples), opened.num_skipped)
        elif self._protocol.num_real is None:
            raise EvaluationError(
                f"the protocol {self._protocol.name!r} needs num_real, because its dataset is unlimited.",
                hint="Fix the plugin of the dataset.",
            )
        else:
            # A synthetic dataset has no files: its digest is that of the samples as drawn with the protocol's fixed
            # seed.
            self._drawn = opened.data.draw(self._protocol.num_real, self._source())
            self._digest = hashlib.sha256(self._drawn.numpy().tobytes()).hexdigest()
        if self._protocol.real_sha256 not in (None, self._digest):
            self.deviation = f"the real samples are not those of the protocol: their sha256 is {self._digest}"
        return opened.data

    def _check_count(self, num: int, num_skipped: int) -> None:
        """Raise EvaluationError for fewer samples than the protocol takes; its digest, if any, covers the rest."""
        assert self._protocol.split is not None
        official = self._dataset.splits[self._protocol.split]
        if official == "varies" or self._any_number:
            needed = self._protocol.min_real or 1
            if num < needed:
                raise EvaluationError(
                    f"the protocol {self._protocol.name!r} needs at least {needed:,} real samples; there are {num:,}.",
                    hint="Choose a protocol for fewer: `ganzoo protocols` lists them.",
                )
            return
        assert official is not None  # an unlimited split has no files
        needed = self._protocol.num_real or official - num_skipped
        if num < needed:
            raise EvaluationError(
                f"the protocol {self._protocol.name!r} takes {needed:,} real samples; this {self._protocol.split} "
                f"split of {self._dataset.name} has {num:,}.",
                hint="Pass the folder with the complete dataset as --data-dir.",
            )
        # With a digest, other data is noticed anyway. Without one, the number of samples is all there is to compare.
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
            hint="Choose a metric that does not need them.",
        )

    @cached_property
    def _samples(self) -> Tensor:
        return to_float(self.rows[:])

    @property
    def rows(self) -> Tensor | StoredRows:
        """The real samples as they are stored, of a split that comes from files; else as they were drawn."""
        data = self._data
        return self._drawn if isinstance(data, SyntheticData) else StoredRows(data.samples, self.index)

    def _source(self) -> torch.Generator:
        # A new one each time: texts are drawn from the same state as the images that show them.
        return randomness.generator(REAL_SEED, "real")

    @property
    def _num(self) -> int:
        """How many real samples the protocol takes; all of the split if there are fewer."""
        wanted = self._protocol.num_real
        if isinstance(self._data, SyntheticData):
            assert wanted is not None
            return wanted
        return len(self._data.samples) if wanted is None else min(wanted, len(self._data.samples))

    @property
    def index(self) -> NDArray[np.int64]:
        """Which rows of a split from files: evenly spaced, so that a sorted split is not cut off."""
        assert isinstance(self._data, ArrayData)
        return np.linspace(0, len(self._data.samples), self._num, endpoint=False).astype(np.int64)
