"""Finite datasets, packed once into the store and memory-mapped after.

    datasets/<name>/files/                          what a download puts there, in the official layout
    datasets/<name>/packed/<split>[-<root>]/        samples.npy, labels.npy, pack.json

A packed copy remembers size and time of the files it was read from, and is made again when one of them changed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from ganzoo.errors import DatasetError, UnknownNameError
from ganzoo.specs import ArrayData, DatasetSpec, SampleSpec, SyntheticData
from ganzoo.store import home, store_errors

FORMAT = 1


@dataclass(frozen=True)
class OpenedDataset:
    """One split, ready to be read."""

    spec: DatasetSpec
    split: str
    data: ArrayData | SyntheticData
    digest: str
    """sha256 of the samples and labels; for a synthetic set, its name."""


def open_dataset(
    spec: DatasetSpec, split: str, data_dir: Path | None = None, *, download: bool = True
) -> OpenedDataset:
    """Open a split: from its packed copy if that is current, else from the official files, which are packed then.

    Args:
        spec: the dataset.
        split: one of `spec.splits`.
        data_dir: a folder with the files in any layout that the dataset knows; None for the store's own.
        download: whether to fetch the files into the store when they are missing (never into `data_dir`).

    Raises MissingDatasetError, DatasetError, StoreError, UnknownNameError.
    """
    if split not in spec.splits:
        raise UnknownNameError(f"split of {spec.name}", split, set(spec.splits))
    if spec.splits[split] is None:
        law = spec.load(home() / "datasets" / spec.name, split, download)
        return OpenedDataset(spec, split, law, f"synthetic:{spec.name}")
    root = home() / "datasets" / spec.name
    packed = root / "packed" / (split if data_dir is None else f"{split}-{_short_digest(data_dir)}")
    found = _read_pack(packed, spec, sources_may_be_gone=data_dir is None)
    if found is not None:
        return OpenedDataset(spec, split, *found)
    given = None if data_dir is None else _load(spec, split, data_dir, download=False)  # before anything is written
    with store_errors(root), _locked(root):
        found = _read_pack(packed, spec, sources_may_be_gone=data_dir is None)
        if found is None:
            _write_pack(packed, spec, given or _load(spec, split, root / "files", download))
            found = _read_pack(packed, spec, sources_may_be_gone=True)
    if found is None:
        raise DatasetError(f"the packed copy {packed} cannot be read back.", hint="Check the disk, and try again.")
    return OpenedDataset(spec, split, *found)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let other processes wait for our download and packing instead of doing the same."""
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        yield


def _load(spec: DatasetSpec, split: str, files: Path, download: bool) -> ArrayData:
    """Load a finite split and hold it to its spec. Raises DatasetError."""
    data = spec.load(files, split, download)
    if isinstance(data, SyntheticData):
        raise DatasetError(f"{spec.name} states its size but draws its samples.", hint="Its plugin must mend it.")
    _check(spec, data)
    return data


def _short_digest(folder: Path) -> str:
    return hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]


def _check(spec: DatasetSpec, data: ArrayData) -> None:
    """Hold what a plugin loaded to what its spec promises. Raises DatasetError."""
    sample, samples, labels = spec.sample, data.samples, data.labels
    dtype = np.uint8 if sample.kind == "image" else np.float32
    if samples.dtype != dtype or samples.shape[1:] != sample.shape or not len(samples):
        raise DatasetError(
            f"{spec.name}: loaded {samples.dtype} {list(samples.shape)}, not {np.dtype(dtype)} [num, "
            f"{', '.join(map(str, sample.shape))}].",
            hint="Check the files; if they are right, report it to the plugin's author.",
        )
    if labels is not None and (labels.shape != samples.shape[:1] or not _in_classes(labels, sample)):
        raise DatasetError(
            f"{spec.name}: labels do not fit {len(samples)} samples of {len(sample.classes or ())} classes.",
            hint="Check the files of labels.",
        )


def _in_classes(labels: NDArray[Any], sample: SampleSpec) -> bool:
    return bool(labels.min() >= 0 and (sample.classes is None or labels.max() < len(sample.classes)))


def _write_pack(packed: Path, spec: DatasetSpec, data: ArrayData) -> None:
    """Write a packed copy beside its place, delete a stale one, and move it there. Raises OSError."""
    packed.parent.mkdir(parents=True, exist_ok=True)
    partial = packed.with_name(f".{packed.name}.{secrets.token_hex(8)}.partial")
    partial.mkdir()
    try:
        arrays = {"samples": data.samples} | ({"labels": data.labels} if data.labels is not None else {})
        for name, array in arrays.items():
            _write_array(partial / f"{name}.npy", np.ascontiguousarray(array))
        record = {
            "format": FORMAT,
            "dataset": spec.name,
            "shape": list(data.samples.shape),
            "labels": data.labels is not None,
            "digest": _digest(arrays.values()),
            "sources": _fingerprints(data.sources),
        }
        (partial / "pack.json").write_text(json.dumps(record, indent=2), encoding="utf-8")
        if packed.exists():
            shutil.rmtree(packed)
        partial.rename(packed)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write_array(path: Path, array: NDArray[Any]) -> None:
    """Write an .npy file, flushed; `np.save` would report a full disk without its error number."""
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
        file.write(array.data)
        file.flush()
        os.fsync(file.fileno())


def _digest(arrays: Iterable[NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _fingerprints(sources: Sequence[Path]) -> list[dict[str, Any]]:
    return [{"path": str(path.resolve()), **_stat(path)} for path in sources]


def _stat(path: Path) -> dict[str, int]:
    status = os.stat(path)  # noqa: PTH116 - a name that says system call
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns}


def _read_pack(packed: Path, spec: DatasetSpec, *, sources_may_be_gone: bool) -> tuple[ArrayData, str] | None:
    """Return the memory-mapped arrays and their digest, or None when the copy is missing, stale or incomplete."""
    try:
        record = json.loads((packed / "pack.json").read_text(encoding="utf-8"))
        if record["format"] != FORMAT or record["dataset"] != spec.name:
            return None
        if not all(_is_current(source, sources_may_be_gone) for source in record["sources"]):
            return None
        samples = np.load(packed / "samples.npy", mmap_mode="r", allow_pickle=False)
        labels = np.load(packed / "labels.npy", mmap_mode="r", allow_pickle=False) if record["labels"] else None
        if list(samples.shape) != record["shape"] or samples.shape[1:] != spec.sample.shape:
            return None
        if _digest([samples] if labels is None else [samples, labels]) != record["digest"]:
            return None
        sources = tuple(Path(source["path"]) for source in record["sources"])
        return ArrayData(samples=samples, labels=labels, sources=sources), record["digest"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _is_current(source: dict[str, Any], may_be_gone: bool) -> bool:
    try:
        return _stat(Path(source["path"])) == {"size": source["size"], "mtime_ns": source["mtime_ns"]}
    except FileNotFoundError:
        return may_be_gone
