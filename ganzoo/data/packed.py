"""Finite datasets, packed once into the store and memory-mapped after.

    datasets/<name>/files/                          what a download puts there, in the official layout
    datasets/<name>/packed/<split>[-<root>]/        the packed copy: `ganzoo.data.pack` says of what files
    datasets/<name>/.lock                           held while files are found or downloaded
    datasets/<name>/.<split>[-<root>].lock          held while that copy is packed

A packed copy remembers size and time of the files it was read from, and is made again when one of them changed. It
remembers those of its own files too: while they are as they were written nothing is read, so that opening takes as long
for nine million images as for nine; when they are not, the digest decides.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from ganzoo.data.pack import ARRAYS, FORMAT, SKIPPED_NAME, check, digest_of_pack, read_errors, stat_of
from ganzoo.data.packing import ShowProgress, write_pack
from ganzoo.errors import DatasetError, MissingDatasetError, UnknownNameError
from ganzoo.specs import ArrayData, DatasetSpec, StreamedData, SyntheticData
from ganzoo.system.files import write_atomically
from ganzoo.weights.store import home, store_errors


@dataclass(frozen=True)
class OpenedDataset:
    """One split, ready to be read."""

    spec: DatasetSpec
    split: str
    data: ArrayData | SyntheticData
    digest: str
    """sha256 of the samples, labels and texts; for a synthetic set, its name."""
    num_skipped: int = 0
    """Items of the files that could not be read."""
    skipped_file: Path | None = None
    """Lists them, one a line; None when there are none."""


def open_dataset(
    spec: DatasetSpec,
    split: str,
    data_dir: Path | None = None,
    *,
    download: bool = True,
    workers: int = 1,
    progress: ShowProgress | None = None,
    waiting: Callable[[], None] | None = None,
    again: bool = False,
) -> OpenedDataset:
    """Open a split: from its packed copy if that is current, else from the official files, which are packed then.

    Args:
        spec: the dataset.
        split: one of `spec.splits`.
        data_dir: a folder with the files in any layout that the dataset knows; None for the store's own.
        download: whether to fetch the files into the store when they are missing (never into `data_dir`).
        workers: processes that read a streamed set while it is packed; 1: this one.
        progress: called with (done, total) items while a streamed set is packed.
        waiting: called once when another process holds what this one needs: it downloads, or packs the same split.
        again: read and pack the files anew, even if the packed copy is current: for files that were mended since, and
            do not show it.

    Packing of a streamed set that was interrupted, even killed, goes on where it stopped.
    Raises MissingDatasetError, DatasetError, StoreError, UnknownNameError.
    """
    if split not in spec.splits:
        raise UnknownNameError(f"split of {spec.name}", split, set(spec.splits))
    if spec.splits[split] is None:
        return OpenedDataset(spec, split, _law(spec, split, download), f"synthetic:{spec.name}")
    root = home() / "datasets" / spec.name
    packed = root / "packed" / (split if data_dir is None else f"{split}-{_short_digest(data_dir)}")
    found = None if again else _read_pack(packed, spec, split, sources_may_be_gone=data_dir is None)
    if found is not None:
        return found
    given = None if data_dir is None else _load(spec, split, data_dir)  # before anything is written
    with store_errors(root), _locked(root / f".{packed.name}.lock", waiting):
        found = None if again else _read_pack(packed, spec, split, sources_may_be_gone=data_dir is None)
        if found is None:
            data = given or _load_own(spec, split, root, download, waiting)
            write_pack(packed, spec, data, workers, progress, again=again)
            found = _read_pack(packed, spec, split, sources_may_be_gone=True)
    if found is None:
        raise DatasetError(f"the packed copy {packed} cannot be read back.", hint="Check the disk, and try again.")
    return found


@contextlib.contextmanager
def _locked(path: Path, waiting: Callable[[], None] | None) -> Iterator[None]:
    """Let other processes wait for our download or packing instead of doing the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if waiting is not None:
            waiting()
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _law(spec: DatasetSpec, split: str, download: bool) -> SyntheticData:
    law = spec.load(home() / "datasets" / spec.name, split, download)
    if not isinstance(law, SyntheticData):
        raise DatasetError(f"{spec.name} states no size but has one.", hint="Its plugin must mend it.")
    return law


def _load_own(
    spec: DatasetSpec, split: str, root: Path, download: bool, waiting: Callable[[], None] | None
) -> ArrayData | StreamedData:
    """Load a split from the store's own files. Raises OSError when a download cannot be written, DatasetError."""
    with _locked(root / ".lock", waiting):
        try:
            return _load(spec, split, root / "files")
        except MissingDatasetError:
            if not download:
                raise
        return _load(spec, split, root / "files", download=True)


def _load(spec: DatasetSpec, split: str, files: Path, *, download: bool = False) -> ArrayData | StreamedData:
    """Load a finite split and hold it to its spec, as far as it is read already.

    Raises DatasetError; what the operating system says about a download is the store's.
    """
    with contextlib.nullcontext() if download else read_errors(spec):
        data = spec.load(files, split, download)
    if isinstance(data, SyntheticData):
        raise DatasetError(f"{spec.name} states its size but draws its samples.", hint="Its plugin must mend it.")
    if isinstance(data, ArrayData):
        check(spec, data)
    return data


def _short_digest(folder: Path) -> str:
    return hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]


def _read_pack(packed: Path, spec: DatasetSpec, split: str, *, sources_may_be_gone: bool) -> OpenedDataset | None:
    """Return the memory-mapped arrays, or None when the copy is missing, stale, damaged or incomplete."""
    try:
        record = json.loads((packed / "pack.json").read_text(encoding="utf-8"))
        if record["format"] != FORMAT or record["dataset"] != spec.name:
            return None
        if not all(_is_current(source, sources_may_be_gone) for source in record["sources"]):
            return None
        names = [name for name in ARRAYS if name in record.get("arrays", ["samples"] + ["labels"] * record["labels"])]
        arrays = {name: np.load(packed / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in names}
        samples = arrays["samples"]
        if list(samples.shape) != record["shape"] or samples.shape[1:] != spec.sample.shape:
            return None
        if not _is_whole(packed, names, record):
            return None
        num_skipped = record.get("skipped", 0)
        return OpenedDataset(
            spec,
            split,
            ArrayData(**arrays, sources=tuple(Path(source["path"]) for source in record["sources"])),
            record["digest"],
            num_skipped,
            packed / SKIPPED_NAME if num_skipped else None,
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _is_whole(packed: Path, names: list[str], record: dict[str, Any]) -> bool:
    """Whether the arrays hold what was written: their size and time say so, or else their digest does."""
    files = {f"{name}.npy": stat_of(packed / f"{name}.npy") for name in names}
    if record.get("files") == files:
        return True
    if digest_of_pack(packed, names) != record["digest"]:
        return False
    with contextlib.suppress(OSError):  # a store that cannot be written to is hashed each time
        write_atomically(packed / "pack.json", json.dumps({**record, "files": files}, indent=2).encode())
    return True


def _is_current(source: dict[str, Any], may_be_gone: bool) -> bool:
    try:
        return stat_of(Path(source["path"])) == {"size": source["size"], "mtime_ns": source["mtime_ns"]}
    except FileNotFoundError:
        return may_be_gone
