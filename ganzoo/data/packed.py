"""Finite datasets, packed once into the store and memory-mapped from then on.

    datasets/<name>/files/                          downloaded files, in the official layout
    datasets/<name>/packed/<copy>/                  a packed copy; `ganzoo.data.pack` lists its files
    datasets/<name>/.lock                           held while files are found or downloaded
    datasets/<name>/.<copy>.lock                    held while that copy is packed

<copy> is the split, with digests of the folder that it was packed from and of the dataset's settings, if there are any.

A packed copy records size and modification time of its source files, and is rebuilt when one of them changes. Without a
given folder, the copy that was packed last is used, even if its source files are gone. A copy records size and time of
its own files too: while they match, nothing is read, so opening nine million images takes as long as opening nine. If
they do not match, the digest decides.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from ganzoo import randomness
from ganzoo.data.location import (
    FORMAT,
    PackedCopy,
    dataset_folder,
    is_current,
    pack_path,
    packed_copies,
    read_copy,
    read_record,
    settings_key,
    stat_of,
)
from ganzoo.data.pack import (
    ARRAYS,
    SKIPPED_NAME,
    check,
    digest_of_pack,
    download_errors,
    read_errors,
)
from ganzoo.data.packing import JOURNAL_NAME, ShowProgress, write_pack
from ganzoo.data.settings import ConfiguredDataset, configured
from ganzoo.errors import DatasetError, MissingDatasetError, UnknownNameError, shortened
from ganzoo.guard import described, guarded, plugin_error
from ganzoo.hub.endpoint import is_offline
from ganzoo.registry import datasets
from ganzoo.specs import ArrayData, DatasetSpec, StreamedData, SyntheticData
from ganzoo.system.files import write_atomically
from ganzoo.system.locks import holder
from ganzoo.weights.store import home, store_errors

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class OpenedDataset:
    """One split, ready to use."""

    spec: ConfiguredDataset
    split: str
    data: ArrayData | SyntheticData
    digest: str
    """sha256 of the settings, samples, labels and texts; for a synthetic set, its name and settings."""
    num_skipped: int = 0
    """Items that could not be read."""
    skipped_file: Path | None = None
    """Lists them, one per line; None if there are none."""


def open_dataset(
    spec: DatasetSpec,
    split: str,
    data_dir: Path | None = None,
    *,
    download: bool = True,
    workers: int = 1,
    progress: ShowProgress | None = None,
    waiting: Callable[[str], None] | None = None,
    force: bool = False,
) -> OpenedDataset:
    """Open a split from its packed copy; if there is none, or it is out of date, pack the official files first.

    Args:
        spec: the dataset, with settings that `ganzoo.data.settings.configured` chose, or else its default ones.
        split: one of `spec.splits`.
        data_dir: a folder with the files in any layout that the dataset supports, or one with a folder of the dataset's
            name; for a split that "varies", the user's own folder or archive. None for the copy that was packed last,
            wherever from (a message says from where), else the store's own files.
        download: whether to download missing files into the store (never into `data_dir`).
        workers: processes that read the files of a streamed dataset; 1 for this process alone.
        progress: called with (done, total) items while a streamed dataset is packed.
        waiting: called once with the process that is downloading or packing the same split.
        force: read and pack the files again, even if the packed copy looks current. Needed after repairing files whose
            size and time are not watched, such as the single images of a large folder.

    Interrupted packing of a streamed dataset, even if killed, resumes where it stopped.
    Raises MissingDatasetError, DatasetError, StoreError, UnknownNameError.
    """
    if split not in spec.splits:
        raise UnknownNameError(f"split of {spec.name}", split, set(spec.splits))
    dataset = configured(spec)
    if dataset.splits[split] is None:
        digest = f"synthetic:{dataset.name}{settings_key(dataset.settings).decode()}"
        return OpenedDataset(dataset, split, _synthetic(dataset, split, download), digest)

    def open_from(
        folder: Path | None, packed: Path, *, may_be_gone: bool = True, download: bool = False
    ) -> OpenedDataset:
        """Open the copy that is packed from a folder (None: the store's own files), and pack it if need be."""
        root = home() / "datasets" / dataset.name
        found = None if force else _read_pack(packed, dataset, split, sources_may_be_gone=may_be_gone)
        if found is not None:
            return found
        given = None if folder is None else _load(dataset, split, folder)  # before anything is written
        with store_errors(root), _locked(root / f".{packed.name}.lock", waiting):
            # Another process may have packed it while this one waited.
            found = None if force else _read_pack(packed, dataset, split, sources_may_be_gone=may_be_gone)
            if found is None:
                data = given or _load_own(dataset, split, root, download, waiting)
                origin = {
                    "split": split,
                    "folder": None if folder is None else str(folder.resolve()),
                    "time": datetime.now(UTC).isoformat(),
                }
                write_pack(packed, dataset, data, origin, workers, progress, force=force)
                # A file that changed meanwhile makes the copy out of date for the next command, not for this one.
                found = _read_pack(packed, dataset, split)
        if found is None:
            raise DatasetError(f"the packed copy {packed} cannot be read back.", hint="Check the disk, and try again.")
        return found

    varies = dataset.splits[split] == "varies"
    if data_dir is not None:
        # A user's own folder may have any sub-folders, one with the dataset's name too.
        folder = data_dir if varies else dataset_folder(data_dir, dataset.name)
        packed = pack_path(dataset.name, split, folder, dataset.settings)
        if not varies or os.path.exists(folder):  # noqa: PTH110 - False, not an error, for a path with a NUL
            return open_from(folder, packed, may_be_gone=False)
        copies = [copy for copy in (read_copy(packed),) if copy is not None]
    else:
        # Copies of other settings hold other samples.
        copies = [copy for copy in packed_copies(dataset.name, split) if copy.settings == dataset.settings]
        if varies and len(copies) > 1:  # the newest one may be of other pictures
            raise DatasetError(
                f"{dataset.name}: {len(copies)} folders are packed with these settings, such as {copies[0].folder}.",
                hint="Name the one that you mean: --data-dir PATH.",
            )
    for copy in copies:
        # Missing: it is out of date or damaged, and the files to pack it again from are gone.
        with contextlib.suppress(MissingDatasetError):
            found = open_from(copy.folder, copy.path)
            if copy.folder is not None or len(copies) > 1:
                _say_which(found, copy)
            return found
    if varies:
        what = "reads files of your own" if data_dir is None else f"needs {data_dir}, which does not exist"
        raise MissingDatasetError(f"the dataset {dataset.name!r} {what}.", hint="Name a folder: --data-dir PATH.")
    return open_from(None, pack_path(dataset.name, split, None, dataset.settings), download=download)


def _say_which(found: OpenedDataset, copy: PackedCopy) -> None:
    """Report which packed copy is used, because nobody named it."""
    assert isinstance(found.data, ArrayData)
    num, official = len(found.data.samples) + found.num_skipped, found.spec.splits[found.split]
    part = f" ({num:,} of the official {official:,} samples)" if isinstance(official, int) and num != official else ""
    gone = " These files are gone." if copy.is_sourceless else ""
    place = "the store's own files" if copy.folder is None else copy.folder
    _say(f"{copy.dataset} {copy.split}{part}: using the copy that was packed from {place}.{gone}")


@functools.cache
def _say(message: str) -> None:
    """Report once in a process: an evaluation of many weights opens the same split many times."""
    logger.warning("%s", message)


@contextlib.contextmanager
def _locked(path: Path, waiting: Callable[[str], None] | None) -> Iterator[None]:
    """Hold a file lock, so that other processes wait for our download or packing instead of repeating it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if waiting is not None:
            waiting(holder(path))
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _loaded(
    spec: ConfiguredDataset, root: Path, split: str, download: bool
) -> ArrayData | StreamedData | SyntheticData:
    """Call a plugin's loader. Raises PluginError for what it raises or returns against its contract."""
    with guarded(datasets, spec.name, "load"):
        data: object = spec.load(root, split, download)
    if isinstance(data, ArrayData) and not isinstance(data.samples, np.ndarray):
        what = f"ArrayData whose samples are {described(data.samples)}, not a numpy array"
    elif not isinstance(data, (ArrayData, StreamedData, SyntheticData)):
        what = f"{described(data)}, not ArrayData, StreamedData or SyntheticData"
    else:
        return data
    raise plugin_error(datasets, spec.name, f"load of {spec.name!r} returned {what}.")


def _synthetic(spec: ConfiguredDataset, split: str, download: bool) -> SyntheticData:
    data = _loaded(spec, home() / "datasets" / spec.name, split, download and not is_offline())
    if not isinstance(data, SyntheticData):
        what = f"{spec.name!r} declares split {split!r} as unlimited, but load returned {type(data).__name__}."
        raise plugin_error(datasets, spec.name, what)
    _check_draw(spec, data)
    return data


def _check_draw(spec: ConfiguredDataset, data: SyntheticData) -> None:
    """Draw two samples, so that functions that break their contract are named before anything relies on them."""
    import torch

    checks = [("draw", data.draw, f"float32 {[2, *spec.sample.shape]}")]
    if data.draw_labels is not None:
        checks.append(("draw_labels", data.draw_labels, "int64 [2]"))
    for function, draw, expected in checks:
        with guarded(datasets, spec.name, function), torch.random.fork_rng(devices=[]):
            drawn: object = draw(2, randomness.generator(0, "check"))
        found = described(drawn) if isinstance(drawn, torch.Tensor) else type(drawn).__name__
        if found != expected:
            raise plugin_error(datasets, spec.name, f"{function} of {spec.name!r} returned {found}, not {expected}.")
    if data.draw_texts is not None:
        with guarded(datasets, spec.name, "draw_texts"), torch.random.fork_rng(devices=[]):
            texts: object = data.draw_texts(2, randomness.generator(0, "check"))
        if not isinstance(texts, list) or [type(text) for text in texts] != [str, str]:
            what = f"draw_texts of {spec.name!r} returned {shortened(repr(texts), 60)}, not a list of 2 texts."
            raise plugin_error(datasets, spec.name, what)


def _load_own(
    spec: ConfiguredDataset, split: str, root: Path, download: bool, waiting: Callable[[str], None] | None
) -> ArrayData | StreamedData:
    """Load a split from the store's own files. Raises OSError if the store cannot be written, DatasetError."""
    with _locked(root / ".lock", waiting):
        try:
            return _load(spec, split, root / "files")
        except MissingDatasetError:
            if not download:
                raise
            if is_offline():
                raise MissingDatasetError(
                    f"the {spec.name} {split} split has to be downloaded, but HF_HUB_OFFLINE forbids it.",
                    hint="Unset HF_HUB_OFFLINE once, or pass your own copy with --data-dir FOLDER.",
                ) from None
        return _load(spec, split, root / "files", download=True)


def _load(spec: ConfiguredDataset, split: str, files: Path, *, download: bool = False) -> ArrayData | StreamedData:
    """Load a finite split and check what is already read. Raises DatasetError, OSError as `download_errors` says."""
    with download_errors(spec, files) if download else read_errors(spec):
        data = _loaded(spec, files, split, download)
    if isinstance(data, SyntheticData):
        raise DatasetError(
            f"{spec.name} declares a size for split {split}, but loads SyntheticData.",
            hint="Report this to the plugin's author.",
        )
    if isinstance(data, ArrayData):
        check(spec, data)
    return data


def _read_pack(
    packed: Path, spec: ConfiguredDataset, split: str, *, sources_may_be_gone: bool | None = None
) -> OpenedDataset | None:
    """Return the memory-mapped arrays, or None if the copy is missing, out of date, damaged or incomplete.

    Without `sources_may_be_gone`, source files are not compared.
    """
    try:
        record = read_record(packed)
        if record["format"] != FORMAT or record["dataset"] != spec.name:
            return None
        if record["settings"] != spec.settings:
            return None
        compared = () if sources_may_be_gone is None else record["sources"]
        if not all(is_current(source, bool(sources_may_be_gone)) for source in compared):
            return None
        names = [name for name in ARRAYS if name in record["arrays"]]
        arrays = {name: np.load(packed / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in names}
        samples = arrays["samples"]
        if list(samples.shape) != record["shape"] or samples.shape[1:] != spec.sample.shape:
            return None
        if not _is_whole(packed, names, record):
            return None
        num_skipped = record["skipped"]
        with contextlib.suppress(OSError):
            (packed / JOURNAL_NAME).unlink()  # of a packing that was killed in its last step
        return OpenedDataset(
            spec,
            split,
            ArrayData(**arrays, sources=tuple(Path(source["path"]) for source in record["sources"])),
            record["digest"],
            num_skipped,
            packed / SKIPPED_NAME if num_skipped else None,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _is_whole(packed: Path, names: list[str], record: dict[str, Any]) -> bool:
    """Whether the arrays are as they were written, by size and time or else by digest."""
    files = {f"{name}.npy": stat_of(packed / f"{name}.npy") for name in names}
    if record["files"] == files:
        return True
    if digest_of_pack(packed, names, record["settings"]) != record["digest"]:
        return False
    with contextlib.suppress(OSError):  # in a read-only store the arrays are hashed each time
        write_atomically(packed / "pack.json", json.dumps({**record, "files": files}, indent=2).encode())
    return True
