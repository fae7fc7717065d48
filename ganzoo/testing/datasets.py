"""Checks of datasets: files that are missing are reported, and data is what the spec says."""

from __future__ import annotations

import pickle
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from ganzoo.data.location import dataset_folder
from ganzoo.data.pack import arrays_of
from ganzoo.data.pack import check as check_arrays
from ganzoo.data.settings import ConfiguredDataset, configured
from ganzoo.errors import DatasetError, MissingDatasetError, shortened
from ganzoo.guard import described
from ganzoo.specs import ArrayData, DatasetSpec, StreamedData, SyntheticData
from ganzoo.specs.registration import NAME
from ganzoo.testing.checks import Check, CheckError, CheckSkippedError, Example, blamed, expect
from ganzoo.testing.evaluation import check_protocol_names
from ganzoo.testing.every_spec import EVERY_SPEC, check_config
from ganzoo.weights.store import home

NUM = 64
"""Samples that are looked at."""
FIX_FIELDS = "Change `sample`, or what `load` returns."


def _dataset(example: Example) -> ConfiguredDataset:
    return configured(example.spec, example.config or {}, "example")


def _loaded(example: Example, dataset: ConfiguredDataset, split: str) -> ArrayData | StreamedData | SyntheticData:
    """Load a split from the given folder or the store. Raises CheckSkippedError without its files."""
    own = home() / "datasets" / dataset.name / "files"
    root = own if example.data_dir is None else dataset_folder(example.data_dir, dataset.name)
    try:
        with blamed("load"):
            data: object = dataset.load(root, split, False)
    except MissingDatasetError as error:
        raise CheckSkippedError(f"there are no files of {dataset.name} in {root}") from error
    if not isinstance(data, ArrayData | StreamedData | SyntheticData):
        raise CheckError(
            f"load returned {type(data).__name__}.", "Return ArrayData, StreamedData or SyntheticData of ganzoo.specs."
        )
    expect(
        isinstance(data, SyntheticData) == (dataset.splits[split] is None),
        f"split {split!r} has {dataset.splits[split]} samples in the spec, but load returned {type(data).__name__}.",
        "Use None in `splits` for SyntheticData, and a number or 'varies' for the others.",
    )
    return data


def _pieces(example: Example) -> Iterator[tuple[ConfiguredDataset, str, ArrayData]]:
    """Yield the first samples of each finite split. Raises CheckSkippedError at the first one without files."""
    dataset = _dataset(example)
    for split in dataset.splits:
        data = _loaded(example, dataset, split)
        if isinstance(data, StreamedData):
            num = min(NUM, data.num)
            with blamed("read"):
                piece = data.read(0, num)
            expected = data.samples_per_item * (num - len(piece.skipped))
            expect(
                len(piece.samples) == expected,
                f"read(0, {num}) returned {len(piece.samples)} samples and skipped {len(piece.skipped)}, but "
                f"samples_per_item is {data.samples_per_item}.",
                "Return every item's samples, or list the item as skipped.",
            )
            yield dataset, split, piece
        elif isinstance(data, ArrayData):
            yield dataset, split, data


def _synthetic(example: Example) -> Iterator[tuple[ConfiguredDataset, SyntheticData]]:
    dataset = _dataset(example)
    for split, num in dataset.splits.items():
        if num is None:
            data = _loaded(example, dataset, split)
            assert isinstance(data, SyntheticData)
            yield dataset, data


def its_settings_are_bounded(example: Example) -> None:
    """Its settings, if it has any, are a frozen dataclass whose every field has bounds and a default."""
    if example.spec.config is not None:
        check_config(example.spec.config, "config", needs_defaults=True)


def its_splits_have_names_and_sizes(example: Example) -> None:
    """It has a split; names follow the rule, and sizes are at least 1, "varies" or None."""
    spec: DatasetSpec = example.spec
    expect(spec.splits, "it has no splits.", "Name at least one, such as splits={'train': 60_000}.")
    for split, num in spec.splits.items():
        has_size = num in (None, "varies") or (isinstance(num, int) and num > 0)
        change = "Use a lower-case name, and a number, None (unlimited) or 'varies'."
        expect(NAME.fullmatch(str(split)) and has_size, f"splits={{{split!r}: {num!r}}} is not valid.", change)


def missing_files_are_reported(example: Example) -> None:
    """In an empty folder, `load` raises MissingDatasetError with a hint, and writes nothing, unless it downloads."""
    dataset = _dataset(example)
    for split, num in dataset.splits.items():
        with tempfile.TemporaryDirectory() as folder:
            try:
                dataset.load(Path(folder), split, False)
            except MissingDatasetError as error:
                change = "Say in `hint` how to get the files, and where to put them."
                expect(error.hint, "its MissingDatasetError has no hint.", change)
            except Exception as error:
                raise CheckError(
                    f"in an empty folder, load raised {type(error).__name__}: {shortened(error).rstrip('.')}.",
                    "Raise ganzoo.errors.MissingDatasetError, with a hint that says how to get the files.",
                ) from error
            written = [path.name for path in Path(folder).iterdir()]
            what = f"load wrote {written} although `download` was false" + ("." if num else " and it has no files.")
            expect(not written, what, "Download only if `download` is true.")


def its_data_is_what_the_spec_says(example: Example) -> None:
    """Shape, dtype, labels and texts of each split fit `sample`; there are no NaN or infinite values."""
    for dataset, _, piece in _pieces(example):
        try:
            check_arrays(dataset, piece)
        except DatasetError as error:
            raise CheckError(str(error), FIX_FIELDS) from error
        expect(len(piece.samples), "load returned no sample.", "Check the files.")
        expect(np.isfinite(piece.samples[:NUM]).all(), "samples hold NaN or infinite values.", "Leave them out.")
        expect(
            (piece.labels is not None) == (dataset.sample.classes is not None),
            f"sample.classes is {shortened(dataset.sample.classes, 40)}, but labels are {described(piece.labels)}.",
            "Give both, or neither.",
        )
    for dataset, data in _synthetic(example):
        samples = _drawn(data, 0, 5)
        expected = f"float32 {[5, *dataset.sample.shape]}"
        expect(described(samples) == expected, f"draw returned {described(samples)}, not {expected}.", FIX_FIELDS)
        expect(samples.isfinite().all(), "draw returned NaN or infinite values.", "Look for a division by zero.")
        if data.draw_labels is not None:
            with blamed("draw_labels"):
                labels = data.draw_labels(NUM, torch.Generator().manual_seed(0))
            num_classes = len(dataset.sample.classes or ())
            fits = described(labels) == f"int64 [{NUM}]" and labels.min() >= 0 and labels.max() < num_classes
            what = f"draw_labels returned {described(labels)}, not int64 [{NUM}] of 0 to {num_classes - 1}."
            expect(fits, what, "Return indices into `sample.classes`.")


def images_use_their_range(example: Example) -> None:
    """Images are uint8 from 0 to 255, or drawn as float32 in [-1, 1], and not from 0 to 1."""
    dataset = _dataset(example)
    if dataset.sample.kind != "image":
        return
    for _, split, piece in _pieces(example):
        largest = int(piece.samples[:NUM].max())
        what = f"the largest value of the first images of {split!r} is {largest}; uint8 images go from 0 to 255."
        expect(largest > 1, what, "Multiply them by 255 before they become uint8.")
    for _, data in _synthetic(example):
        samples = _drawn(data, 0, NUM)
        low, high = samples.amin().item(), samples.amax().item()
        what = f"draw returned values from {low:.4g} to {high:.4g}, but images lie in [-1, 1]."
        expect(-1.001 <= low < 0 and high <= 1.001, what, "Scale them: 2 * images - 1.")


def it_loads_the_same_again(example: Example) -> None:
    """Files are read in the same order each time, and pieces of a streamed split add up to the whole."""
    for (dataset, split, piece), (_, _, again) in zip(_pieces(example), _pieces(example), strict=True):
        first, second = arrays_of(piece), arrays_of(again)
        same = first.keys() == second.keys() and all(np.array_equal(first[name], second[name]) for name in first)
        expect(
            same, f"split {split!r} is another one when it is loaded again.", "Sort names of files, and do not shuffle."
        )
        data = _loaded(example, dataset, split)
        if not isinstance(data, StreamedData):
            continue
        try:
            pickle.dumps(data.read)
        except Exception as error:
            raise CheckError(
                f"`read` cannot be pickled: {shortened(error)}.",
                "Make it a functools.partial of a module's function; other processes call it.",
            ) from error
        end = min(NUM, data.num)
        parts = np.concatenate([data.read(0, end // 2).samples, data.read(end // 2, end).samples])
        expect(
            np.array_equal(parts, piece.samples),
            "read(0, n) is not read(0, m) and read(m, n) together.",
            "Return the items [start, stop) in a fixed order.",
        )


def draws_follow_from_the_generator(example: Example) -> None:
    """What is drawn depends on the generator alone: on no other random numbers, and not on what was drawn before."""
    for _, data in _synthetic(example):
        functions = {"draw": data.draw, "draw_labels": data.draw_labels, "draw_texts": data.draw_texts}
        for name, function in functions.items():
            if function is None:
                continue
            found = []
            for seed in (1, 2):
                with torch.random.fork_rng(devices=[]):
                    torch.manual_seed(seed)
                    random.seed(seed)
                    np.random.seed(seed)
                    with blamed(name):
                        found.append(function(5, torch.Generator().manual_seed(0)))
            first, second = found
            expect(
                first == second if isinstance(first, list) else torch.equal(first, torch.as_tensor(second)),
                f"{name} returns something else for the same state of its generator.",
                "Pass the generator to every random function: torch.rand(..., generator=generator).",
            )
        expect(
            not torch.equal(_drawn(data, 0, 5), _drawn(data, 1, 5)),
            "draw returns the same samples for every generator.",
            "Draw them with its generator.",
        )


def its_protocols_can_be_evaluated(example: Example) -> None:
    """Each protocol names registered metrics, a split that exists, and settings that are valid."""
    for protocol in example.spec.protocols:
        check_protocol_names(protocol, example.spec)


DATASET_CHECKS: tuple[Check, ...] = (
    *EVERY_SPEC,
    its_settings_are_bounded,
    its_splits_have_names_and_sizes,
    missing_files_are_reported,
    its_data_is_what_the_spec_says,
    images_use_their_range,
    it_loads_the_same_again,
    draws_follow_from_the_generator,
    its_protocols_can_be_evaluated,
)


def _drawn(data: SyntheticData, seed: int, num: int) -> torch.Tensor:
    with blamed("draw"):
        return data.draw(num, torch.Generator().manual_seed(seed))
