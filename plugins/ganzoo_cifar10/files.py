"""CIFAR-10 from an unpacked folder, in the binary or the python version."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
from numpy.typing import NDArray

from ganzoo.errors import DatasetError, MissingDatasetError, hint_for, shortened
from ganzoo.specs import ArrayData
from ganzoo_cifar10.python_version import read_arrays

BATCHES = {"train": tuple(f"data_batch_{number}" for number in range(1, 6)), "test": ("test_batch",)}
PIXELS = 3 * 32 * 32
"""Bytes of an image: its red, green and blue planes, row by row."""

MAX_BYTES = 1 << 28
"""A larger file is not a batch; the official ones have 31 MB."""

HOMEPAGE = "https://www.cs.toronto.edu/~kriz/cifar.html"
_REPLACE = f"Replace it with the official file: {HOMEPAGE}"

Batch = tuple[NDArray[np.uint8], NDArray[np.int64]]
"""Images [num, 3072] and labels [num]."""


def load(root: Path, split: str, download: bool) -> ArrayData:
    """Read one split: images uint8 [num, 3, 32, 32], labels int64 [num].

    Raises MissingDatasetError if there are no files (and no download), DatasetError if they are not CIFAR-10's.
    """
    found = _find(root, split)
    if found is None and download:
        _download(root)
        found = _find(root, split)
    if found is None:
        raise MissingDatasetError(f"no CIFAR-10 {split} files under {root}.", hint=_HOW_TO_GET)
    paths, read = found
    batches = [read(path) for path in paths]
    sizes = {path: len(labels) for path, (_, labels) in zip(paths, batches, strict=True)}
    smallest, largest = min(sizes, key=sizes.__getitem__), max(sizes, key=sizes.__getitem__)
    if sizes[smallest] != sizes[largest]:  # a file cut off between two images looks complete
        raise DatasetError(
            f"{smallest} holds {sizes[smallest]:,} images, {largest.name} {sizes[largest]:,}.",
            hint=f"All batches have the same size. {_REPLACE}",
        )
    return ArrayData(
        samples=np.concatenate([pixels for pixels, _ in batches]).reshape(-1, 3, 32, 32),
        labels=np.concatenate([labels for _, labels in batches]),
        sources=paths,
    )


_HOW_TO_GET = (
    f"Get the binary or the python version from {HOMEPAGE} (on any machine), unpack it, and pass the resulting "
    "folder with --data-dir FOLDER."
)


def _read_binary(path: Path) -> Batch:
    """Read a .bin file: a label byte and 3,072 bytes of pixels per image."""
    content = _content(path)
    if not content or len(content) % (1 + PIXELS):
        raise DatasetError(
            f"{path} holds {len(content):,} bytes, not whole images of {1 + PIXELS:,} each.", hint=_REPLACE
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, 1 + PIXELS)
    return _checked(path, records[:, 1:], records[:, 0].astype(np.int64))


def _read_python(path: Path) -> Batch:
    """Read a file of the python version: a pickle, of which only numbers and bytes are accepted."""
    content = _content(path)
    try:
        pixels, labels = read_arrays(content, PIXELS)
    except ValueError as error:
        raise DatasetError(
            f"{path} is not a batch of the python version: {shortened(error).rstrip('.')}.", hint=_REPLACE
        ) from error
    return _checked(path, pixels, labels)


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            content = file.read(size) if size <= MAX_BYTES else b""
    except OSError as error:
        raise DatasetError(f"cannot read {path}: {error.strerror}.", hint=hint_for(error)) from error
    if size > MAX_BYTES:
        raise DatasetError(f"{path} has more than {MAX_BYTES:,} bytes.", hint=_REPLACE)
    return content


def _checked(path: Path, pixels: NDArray[np.uint8], labels: NDArray[np.int64]) -> Batch:
    if labels.max() > 9 or labels.min() < 0:
        raise DatasetError(f"{path} holds a label outside 0 to 9.", hint=_REPLACE)
    return pixels, labels


VERSIONS: tuple[tuple[str, str, Callable[[Path], Batch]], ...] = (
    ("cifar-10-batches-bin", ".bin", _read_binary),
    ("cifar-10-batches-py", "", _read_python),
)
"""Folder in the official archive, suffix of its batches, and their reader."""


def _find(root: Path, split: str) -> tuple[tuple[Path, ...], Callable[[Path], Batch]] | None:
    """Return all batches of a split in one version, and their reader. Raises DatasetError if some are missing."""
    for folder, suffix, read in VERSIONS:
        for place in (root / folder, root):
            paths = tuple(place / (name + suffix) for name in BATCHES[split])
            missing = [path.name for path in paths if not path.is_file()]
            if not missing:
                return paths, read
            if len(missing) < len(paths):
                raise DatasetError(f"{place} lacks {', '.join(missing)}.", hint=f"Unpack it again from {HOMEPAGE}")
    return None


def _download(root: Path) -> None:
    """Fetch and unpack the official python version, checked against torchvision's digests.

    It is renamed into place when complete, so an interrupted download leaves nothing that `_find` would accept.
    """
    from torchvision.datasets import CIFAR10  # importing torchvision takes as long as torch

    work, folder = root / ".download", CIFAR10.base_folder
    shutil.rmtree(work, ignore_errors=True)
    try:
        # torchvision prints to stdout, which is reserved for data.
        with contextlib.redirect_stdout(sys.stderr):
            CIFAR10(str(work), download=True)
    except (URLError, HTTPException, ConnectionError, TimeoutError, RuntimeError) as error:
        lines: list[Any] = str(error).strip().splitlines() or [type(error).__name__]
        raise MissingDatasetError(f"cannot download CIFAR-10: {lines[0].rstrip('.:')}.", hint=_HOW_TO_GET) from error
    shutil.rmtree(root / folder, ignore_errors=True)
    (work / folder).replace(root / folder)
    shutil.rmtree(work)
