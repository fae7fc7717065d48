"""The official folder: a tree of JPEG files and a list of them for each split.

    90kDICT32px/annotation_train.txt        lines such as ./3000/7/182_slinking_71711.jpg 71711
    90kDICT32px/3000/7/182_slinking_71711.jpg

The word is in the file's name. The number after it is the word's line in lexicon.txt, from 0, and is not needed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ganzoo.errors import DatasetError, hint_for
from ganzoo.specs import ArrayData, StreamedData
from ganzoo_mjsynth.images import MAX_BYTES
from ganzoo_mjsynth.items import Item, collect

PLACES = (".", "90kDICT32px", "mnt/ramdisk/max/90kDICT32px")
"""Where to look for the folder: the root itself, inside it, or as deep as in the official archive."""

STRIDE = 1024
"""The byte offset of every STRIDE-th line is kept."""

MAX_LINE = 1 << 16
"""Bytes read of a line."""

_BLOCK = 1 << 22


def folder(root: Path) -> Path | None:
    """Return the official folder under `root`, if there is one, whichever splits it has."""
    for place in PLACES:
        if any((root / place).glob("annotation_*.txt")):
            return root / place
    return None


def list_of(place: Path, split: str) -> Path:
    """Return the file that lists a split."""
    return place / f"annotation_{split}.txt"


def load(place: Path, split: str) -> StreamedData:
    """Index the list of a split, which has one item per line. Raises DatasetError."""
    listed = list_of(place, split)
    try:
        num, offsets = _index(listed)
    except OSError as error:
        raise DatasetError(f"cannot read {listed}: {error.strerror}.", hint=hint_for(error)) from error
    return StreamedData(num=num, read=partial(read, str(listed), offsets), sources=(listed,))


def _index(listed: Path) -> tuple[int, tuple[int, ...]]:
    """Return the number of lines, and the offset of every STRIDE-th."""
    offsets, num, place, last = [0], 0, 0, b"\n"
    with listed.open("rb") as file:
        while block := file.read(_BLOCK):
            ends = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n"))
            # Line ends before line number STRIDE, 2 STRIDE, …
            chosen = ends[-(num + 1) % STRIDE :: STRIDE]
            offsets += (chosen + place + 1).tolist()
            num, place, last = num + len(ends), place + len(block), block[-1:]
    return num + (last != b"\n"), tuple(offsets)


def read(listed: str, offsets: tuple[int, ...], start: int, stop: int) -> ArrayData:
    """Read the items [start, stop). Raises DatasetError if the list cannot be read."""
    try:
        with Path(listed).open("rb") as file:
            file.seek(offsets[start // STRIDE])
            lines = islice(_lines(file), start % STRIDE, start % STRIDE + stop - start)
            return collect(_items(str(Path(listed).parent), lines), stop - start)
    except OSError as error:
        raise DatasetError(f"cannot read {listed}: {error.strerror}.", hint=hint_for(error)) from error


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield each line, at most MAX_LINE bytes of it."""
    while line := file.readline(MAX_LINE):
        yield line
        while line and not line.endswith(b"\n"):
            line = file.readline(MAX_LINE)


def _content(place: str, name: str) -> bytes:
    """Read an image, if it is a file of ordinary size in the folder. Raises OSError, ValueError."""
    # Plain strings and a cache of folders: nine million pathlib objects take minutes.
    folder, _, last = f"{place}/{name}".rpartition("/")
    path = f"{_resolved(folder)}/{last}"
    if os.path.islink(path):  # noqa: PTH114
        path = os.path.realpath(path)
    if not path.startswith(f"{_resolved(place)}/"):
        raise ValueError("it is outside the folder")
    # Opening a FIFO would wait for a writer.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
            raise ValueError("it is not a regular file, or too large")
        return file.read()


@lru_cache(maxsize=4096)
def _resolved(folder: str) -> str:
    return os.path.realpath(folder)


def _items(place: str, lines: Iterator[bytes]) -> Iterator[Item]:
    for line in lines:
        fields = line.decode("utf-8", "replace").split()
        name = fields[0] if fields else "an empty line"
        _, _, rest = name.rpartition("/")[2].partition("_")
        word, _, _ = rest.rpartition("_")
        if not word:
            yield Item(name, "", b"", "its name does not contain a word")
            continue
        try:
            yield Item(name, word, _content(place, name))
        except FileNotFoundError:
            yield Item(name, word, b"", "there is no such file")
        except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
            yield Item(name, word, b"", getattr(error, "strerror", None) or str(error) or "it cannot be read")
