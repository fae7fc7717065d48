"""A packed copy of a dataset split: its files, its record, and the checks on the data that goes in.

samples.npy         [num, *shape]
labels.npy          [num], int64; only for a set with classes
texts.npy           [num], bytes of UTF-8; only for a set with texts
skipped.txt         one line per item that could not be read, with name and reason; only if there are any
pack.json           shape, digest, split, settings, source files, and size and time of the files above
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ganzoo.data.location import FORMAT, settings_key, stat_of
from ganzoo.errors import DatasetError, MissingDatasetError, hint_for, shortened
from ganzoo.specs import TEXT_BYTES, ArrayData, DatasetSpec, SampleSpec
from ganzoo.system.files import open_regular, write_atomically

if TYPE_CHECKING:
    from ganzoo.data.settings import ConfiguredDataset

ARRAYS = ("samples", "labels", "texts")
"""In the order in which the digest covers them."""
SKIPPED_NAME = "skipped.txt"

_log = logging.getLogger("ganzoo")

_BLOCK = 1 << 20
"""Bytes hashed at a time."""


@contextmanager
def read_errors(spec: DatasetSpec) -> Iterator[None]:
    """Turn an OSError of reading the user's files into a DatasetError."""
    try:
        yield
    except OSError as error:
        raise DatasetError(
            f"{spec.name}: cannot read {error.filename or 'its files'}: {error.strerror or error}.",
            hint=hint_for(error),
        ) from error


SERVER_SECONDS = 30.0
"""How long a server may be silent while a dataset is downloaded."""


@contextmanager
def download_errors(spec: DatasetSpec, store: Path) -> Iterator[None]:
    """Turn an OSError of a plugin's download into a MissingDatasetError, unless the store could not be written.

    A server that falls silent ends the download too: urllib, with which torchvision downloads, would wait for ever.
    """
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(before or SERVER_SECONDS)
    notice = threading.Timer(5, _log.warning, ("Downloading %s ...", spec.name))
    notice.daemon = True
    notice.start()
    try:
        yield
    except OSError as error:
        in_store = isinstance(error.filename, str) and Path(error.filename).is_relative_to(store)
        if in_store or error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise MissingDatasetError(
            f"{spec.name}: the download failed: {error.strerror or error}.",
            hint="Check the network, or pass your own copy with --data-dir FOLDER.",
        ) from error
    finally:
        notice.cancel()
        socket.setdefaulttimeout(before)


def check(spec: ConfiguredDataset, data: ArrayData) -> None:
    """Check that the data a plugin loaded matches its spec. Raises DatasetError."""
    sample, samples, labels, texts = spec.sample, data.samples, data.labels, data.texts
    dtype = np.uint8 if sample.kind == "image" else np.float32
    if samples.dtype != dtype or samples.shape[1:] != sample.shape:
        raise DatasetError(
            f"{spec.name}: loaded {samples.dtype} {list(samples.shape)}, not {np.dtype(dtype)} [num, "
            f"{', '.join(map(str, sample.shape))}].",
            hint="Check the files. If they are right, report this to the plugin's author.",
        )
    if labels is not None and (labels.shape != samples.shape[:1] or not _in_classes(labels, sample)):
        raise DatasetError(
            f"{spec.name}: labels do not fit {len(samples)} samples of {len(sample.classes or ())} classes.",
            hint="Check the label files.",
        )
    if texts is not None and (texts.shape != samples.shape[:1] or texts.dtype != f"S{TEXT_BYTES}"):
        raise DatasetError(
            f"{spec.name}: loaded texts {texts.dtype} {list(texts.shape)}, not S{TEXT_BYTES} [{len(samples)}].",
            hint="Report this to the plugin's author.",
        )


def no_samples_error(spec: DatasetSpec, num_skipped: int, first_skipped: str) -> DatasetError:
    """Return the error for a split without a single readable sample."""
    why = f"; {num_skipped:,} cannot be read, the first of them {shortened(first_skipped, 150)}" if num_skipped else ""
    return DatasetError(f"{spec.name}: not one sample{why}.", hint="Check that all files are in place.")


def _in_classes(labels: NDArray[Any], sample: SampleSpec) -> bool:
    if not len(labels):
        return True
    return bool(labels.min() >= 0 and (sample.classes is None or labels.max() < len(sample.classes)))


def arrays_of(data: ArrayData) -> dict[str, NDArray[Any]]:
    """Return the arrays that the data has, by name, in the digest's order."""
    return {name: array for name in ARRAYS if (array := getattr(data, name)) is not None}


def write_whole(folder: Path, spec: ConfiguredDataset, data: ArrayData, origin: Mapping[str, Any]) -> None:
    """Write all files of a split that is in memory. Raises OSError, DatasetError."""
    check(spec, data)
    if not len(data.samples):
        raise no_samples_error(spec, len(data.skipped), data.skipped[0] if data.skipped else "")
    arrays, digest = arrays_of(data), hashlib.sha256(settings_key(spec.settings))
    for name, array in arrays.items():
        with (folder / f"{name}.npy").open("wb") as file:
            write_header(file, array, len(array))
            values = np.ascontiguousarray(array).data
            digest.update(values)
            file.write(values)
            flush(file)
    if data.skipped:
        (folder / SKIPPED_NAME).write_text("".join(f"{one_line(item)}\n" for item in data.skipped), encoding="utf-8")
    shape, sources = list(data.samples.shape), fingerprints(spec, data.sources)
    write_record(folder, spec, origin, shape, list(arrays), len(data.skipped), digest.hexdigest(), sources)


def write_header(file: BinaryIO, like: NDArray[Any], num: int) -> None:
    """Write the header of an .npy file. numpy pads it, so it has the same length for any number of rows."""
    described = {**np.lib.format.header_data_from_array_1_0(like[:0]), "shape": (num, *like.shape[1:])}
    described["fortran_order"] = False
    np.lib.format.write_array_header_1_0(file, described)


def read_header(file: BinaryIO) -> NDArray[Any]:
    """Read the header of an .npy file, up to where its rows begin; return an array of its kind with no rows."""
    np.lib.format.read_magic(file)
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    return np.empty((0, *shape[1:]), dtype)


def flush(file: BinaryIO) -> None:
    """Wait until everything written is on disk."""
    file.flush()
    os.fsync(file.fileno())


def one_line(text: str) -> str:
    """Return a text without line breaks."""
    return " ".join(text.split())


def write_record(
    folder: Path,
    spec: ConfiguredDataset,
    origin: Mapping[str, Any],
    shape: list[int],
    names: Sequence[str],
    num_skipped: int,
    digest: str,
    sources: list[dict[str, Any]],
) -> None:
    """Write pack.json, the last file of a pack; `origin` holds the split, the folder of the sources, and the time."""
    record = {
        "format": FORMAT,
        "dataset": spec.name,
        "settings": dict(spec.settings),
        **origin,
        "shape": shape,
        "arrays": list(names),
        "skipped": num_skipped,
        "digest": digest,
        "sources": sources,
        "files": {f"{name}.npy": stat_of(folder / f"{name}.npy") for name in names},
    }
    write_atomically(folder / "pack.json", json.dumps(record, indent=2).encode())


def fingerprints(spec: DatasetSpec, sources: Sequence[Path]) -> list[dict[str, Any]]:
    """Return path, size and modification time of each file; -1 for one that is gone by now. Raises DatasetError."""
    with read_errors(spec):
        return [{"path": str(path.resolve()), **_stat_of_source(path)} for path in sources]


def _stat_of_source(path: Path) -> dict[str, int]:
    try:
        return stat_of(path)
    except FileNotFoundError:  # removed from a folder since it was listed; then the copy is out of date from the start
        return {"size": -1, "mtime_ns": -1}


def digest_of_pack(folder: Path, names: Sequence[str], settings: Mapping[str, Any]) -> str:
    """Return the sha256 of the dataset's settings and of the values in a pack's arrays. Raises OSError, ValueError."""
    digest = hashlib.sha256(settings_key(settings))
    for name in names:
        with open_regular(folder / f"{name}.npy") as file:
            read_header(file)
            for block in blocks(file, file.tell()):
                digest.update(block)
    return digest.hexdigest()


def blocks(file: BinaryIO, start: int) -> Iterator[bytes]:
    """Yield a file's bytes from `start` on."""
    file.seek(start)
    while block := file.read(_BLOCK):
        yield block
