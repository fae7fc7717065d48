"""CIFAR-10 as users have it, unpacked in one folder: the binary version or the python version."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
from numpy.typing import NDArray

from ganzoo.errors import DatasetError, MissingDatasetError
from ganzoo.specs import ArrayData
from ganzoo_cifar10.python_version import read_arrays

BATCHES = {"train": tuple(f"data_batch_{number}" for number in range(1, 6)), "test": ("test_batch",)}
PIXELS = 3 * 32 * 32
"""Bytes of an image: its red, its green and its blue plane, row by row."""

HOMEPAGE = "https://www.cs.toronto.edu/~kriz/cifar.html"
_REPLACE = f"Replace it by the official file: {HOMEPAGE}"

Batch = tuple[NDArray[np.uint8], NDArray[np.int64]]
"""Images [num, 3072] and labels [num]."""


def load(root: Path, split: str, download: bool) -> ArrayData:
    """Read one split: images uint8 [num, 3, 32, 32], labels int64 [num].

    Raises MissingDatasetError when there are no files (and no download), DatasetError when they are not CIFAR-10's.
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
    if sizes[smallest] != sizes[largest]:  # a copy that broke off between two images looks whole by itself
        raise DatasetError(
            f"{smallest} holds {sizes[smallest]:,} images, {largest.name} {sizes[largest]:,}.",
            hint=f"The batches are of one size. {_REPLACE}",
        )
    return ArrayData(
        samples=np.concatenate([pixels for pixels, _ in batches]).reshape(-1, 3, 32, 32),
        labels=np.concatenate([labels for _, labels in batches]),
        sources=paths,
    )


_HOW_TO_GET = (
    f"Get the binary or the python version from {HOMEPAGE} (on any machine), unpack it, and pass the folder that it "
    "makes with --data-dir FOLDER."
)


def _read_binary(path: Path) -> Batch:
    """Read a .bin file: for each image a byte of label and 3,072 bytes of pixels."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"cannot read {path}: {error.strerror}.", hint=_REPLACE) from error
    if not content or len(content) % (1 + PIXELS):
        raise DatasetError(
            f"{path} holds {len(content):,} bytes, not whole images of {1 + PIXELS:,} each.", hint=_REPLACE
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, 1 + PIXELS)
    return _checked(path, records[:, 1:], records[:, 0].astype(np.int64))


def _read_python(path: Path) -> Batch:
    """Read a file of the python version, a pickle, of which only numbers and bytes are accepted."""
    try:
        pixels, labels = read_arrays(path.read_bytes(), PIXELS)
    except OSError as error:
        raise DatasetError(f"cannot read {path}: {error.strerror}.", hint=_REPLACE) from error
    except ValueError as error:
        raise DatasetError(f"{path} is no batch of the python version: {error}.", hint=_REPLACE) from error
    return _checked(path, pixels, labels)


def _checked(path: Path, pixels: NDArray[np.uint8], labels: NDArray[np.int64]) -> Batch:
    if labels.max() > 9 or labels.min() < 0:
        raise DatasetError(f"{path} holds a label outside 0 to 9.", hint=_REPLACE)
    return pixels, labels


VERSIONS: tuple[tuple[str, str, Callable[[Path], Batch]], ...] = (
    ("cifar-10-batches-bin", ".bin", _read_binary),
    ("cifar-10-batches-py", "", _read_python),
)
"""Folder in the official archive, suffix of its batches, how they are read."""


def _find(root: Path, split: str) -> tuple[tuple[Path, ...], Callable[[Path], Batch]] | None:
    """Return all batches of a split in one version. Raises DatasetError when a version is there but not whole."""
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

    It is moved to its place when it is whole: a stop leaves nothing that `_find` would take for a version.
    """
    from torchvision.datasets import CIFAR10  # here: importing torchvision takes as long as torch itself

    work, folder = root / ".download", CIFAR10.base_folder
    shutil.rmtree(work, ignore_errors=True)
    try:
        # torchvision talks on stdout, which is for data.
        with contextlib.redirect_stdout(sys.stderr):
            CIFAR10(str(work), download=True)
    except (URLError, HTTPException, ConnectionError, TimeoutError, RuntimeError) as error:
        lines: list[Any] = str(error).strip().splitlines() or [type(error).__name__]
        raise MissingDatasetError(f"cannot download CIFAR-10: {lines[0].rstrip('.:')}.", hint=_HOW_TO_GET) from error
    shutil.rmtree(root / folder, ignore_errors=True)
    (work / folder).replace(root / folder)
    shutil.rmtree(work)
