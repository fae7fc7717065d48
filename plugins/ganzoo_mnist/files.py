"""MNIST from one folder: torchvision's `MNIST/raw`, four .gz files, or four raw idx files."""

from __future__ import annotations

import contextlib
import gzip
import shutil
import sys
import zlib
from http.client import HTTPException
from math import prod
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
from numpy.typing import NDArray

from ganzoo.errors import DatasetError, MissingDatasetError, hint_for
from ganzoo.specs import ArrayData

PREFIXES = {"train": "train", "test": "t10k"}
FOLDERS = ("MNIST/raw", "raw", ".")
"""Where to look for the files under the root: torchvision's layout, a part of it, or the root itself."""

MAX_NUM = 1_000_000
"""Larger sets are not read; the largest relative of MNIST has 814,255 digits and letters."""

_UINT8 = 0x08
"""The idx format's code for unsigned bytes, the only type that MNIST uses."""


def load(root: Path, split: str, download: bool) -> ArrayData:
    """Read one split: images uint8 [num, 1, 28, 28], labels int64 [num].

    Raises MissingDatasetError if there are no files (and no download), DatasetError if they are not MNIST's.
    """
    found = _find(root, split)
    if found is None and download:
        _download(root)
        found = _find(root, split)
    if found is None:
        raise MissingDatasetError(f"no MNIST {split} files under {root}.", hint=_how_to_get(split))
    images_path, labels_path = found
    images, labels = _read_idx(images_path, 3), _read_idx(labels_path, 1)
    if len(images) != len(labels):
        raise DatasetError(f"{images_path} holds {len(images)} images for {len(labels)} labels.", hint=_REPLACE)
    return ArrayData(samples=images[:, np.newaxis], labels=labels.astype(np.int64), sources=found)


_REPLACE = "Replace it with the official file: https://ossci-datasets.s3.amazonaws.com/mnist/"


def _how_to_get(split: str) -> str:
    names = ", ".join(f"{PREFIXES[split]}-{kind}.gz" for kind in ("images-idx3-ubyte", "labels-idx1-ubyte"))
    return (
        f"Get {names} from https://ossci-datasets.s3.amazonaws.com/mnist/ (on any machine), put them into one folder, "
        "and pass it with --data-dir FOLDER."
    )


def _find(root: Path, split: str) -> tuple[Path, Path] | None:
    """Return the files of images and labels, both from one folder; unpacked files come first."""
    for folder in FOLDERS:
        pair = [
            _first_file(
                root / folder, f"{PREFIXES[split]}-{kind}-idx{rank}-ubyte", f"{PREFIXES[split]}-{kind}.idx{rank}-ubyte"
            )
            for kind, rank in (("images", 3), ("labels", 1))
        ]
        if pair[0] is not None and pair[1] is not None:
            return pair[0], pair[1]
    return None


def _first_file(folder: Path, *stems: str) -> Path | None:
    candidates = (folder / (stem + suffix) for suffix in ("", ".gz") for stem in stems)
    return next((path for path in candidates if path.is_file()), None)


def _read_idx(path: Path, rank: int) -> NDArray[Any]:
    """Read an idx file: two zero bytes, a type, the rank, each length as big-endian uint32, then the values."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            shape = _shape(path, file.read(4 + 4 * rank), rank)
            # No more is unpacked than was promised, and one byte that tells whether there is more.
            content = file.read(prod(shape) + 1)
    except (OSError, EOFError, zlib.error) as error:
        # gzip's own errors are OSErrors without a number.
        hint = hint_for(error) if isinstance(error, OSError) and error.errno else _REPLACE
        raise DatasetError(f"cannot read {path}: {error}.", hint=hint) from error
    if len(content) != prod(shape):
        found = "more" if len(content) > prod(shape) else f"{len(content):,}"
        raise DatasetError(f"{path} promises {prod(shape):,} bytes for {list(shape)} but holds {found}.", hint=_REPLACE)
    return np.frombuffer(content, np.uint8).reshape(shape)


def _shape(path: Path, header: bytes, rank: int) -> tuple[int, ...]:
    """Return the shape that a header states. Raises DatasetError if it is not one of MNIST's."""
    if len(header) < 4 + 4 * rank or header[:4] != bytes((0, 0, _UINT8, rank)):
        raise DatasetError(f"{path} is not an idx file of bytes in {rank} dimensions.", hint=_REPLACE)
    num, *size = map(int, np.frombuffer(header, ">u4", offset=4))
    if size and size != [28, 28]:
        raise DatasetError(f"{path} holds images of {tuple(size)} pixels, not 28 × 28.", hint=_REPLACE)
    if num > MAX_NUM:
        raise DatasetError(f"{path} promises {num:,} items, more than {MAX_NUM:,}.", hint=_REPLACE)
    return num, *size


def _download(root: Path) -> None:
    """Fetch the four official files into `root/MNIST/raw`, checked against torchvision's digests.

    They are moved there when all are complete, so an interrupted download leaves nothing that `_find` would accept.
    """
    from torchvision.datasets import MNIST  # importing torchvision takes as long as torch

    work, folder = root / ".download", "MNIST/raw"
    shutil.rmtree(work, ignore_errors=True)
    try:
        # torchvision prints to stdout, which is reserved for data.
        with contextlib.redirect_stdout(sys.stderr):
            MNIST(str(work), download=True)
    except (URLError, HTTPException, ConnectionError, TimeoutError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".:")
        raise MissingDatasetError(f"cannot download MNIST: {reason}.", hint=_how_to_get("train")) from error
    shutil.rmtree(root / folder, ignore_errors=True)
    (root / folder).parent.mkdir(exist_ok=True)
    (work / folder).replace(root / folder)
    shutil.rmtree(work)
