"""MJSynth as WebDataset tars: members `KEY.jpg` or `KEY.png` next to `KEY.txt`, `KEY.cls` or `KEY.json`.

A tar's name, or else its folder's, says which split it belongs to: `mjsynth-train-000012.tar`, `train/000012.tar`. A
key is a member's path up to the first dot in its last part. The word is the text of `.txt` or `.cls`; in `.json`, a
string or the `text`, `label` or `word` of an object.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from ganzoo.errors import DatasetError, hint_for
from ganzoo.specs import ArrayData, StreamedData
from ganzoo_mjsynth.images import MAX_BYTES
from ganzoo_mjsynth.items import Item, collect
from ganzoo_mjsynth.names import files_of, with_folders

STRIDE = 512
"""The location of every STRIDE-th item is kept."""
MAX_LABEL = 1 << 16
"""Maximum number of bytes read from a label."""

IMAGES = ("jpg", "jpeg", "png")
LABELS = ("txt", "cls", "json")

Place = tuple[int, int]
"""Index of a tar, and the offset of an item in it."""


def find(root: Path, split: str) -> tuple[Path, ...]:
    """Return the tars of a split, in order."""
    return files_of(root, "*.tar", split)


def load(paths: tuple[Path, ...]) -> StreamedData:
    """Index the tars by reading every header. Raises DatasetError if one is damaged or cut off."""
    places: list[Place] = []
    num = 0
    for number, path in enumerate(paths):
        with _opened(path) as file:
            for offset, _ in _groups(file, path, 0):
                if num % STRIDE == 0:
                    places.append((number, offset))
                num += 1
    return StreamedData(num=num, read=partial(read, tuple(map(str, paths)), tuple(places)), sources=with_folders(paths))


def read(paths: tuple[str, ...], places: tuple[Place, ...], start: int, stop: int) -> ArrayData:
    """Read the items [start, stop). Raises DatasetError."""
    items = _items(paths, *places[start // STRIDE])
    return collect(islice(items, start % STRIDE, start % STRIDE + stop - start), stop - start)


Group = dict[str, tuple[int, int]]
"""Suffix -> offset and size of a member's content."""


def _items(paths: tuple[str, ...], first: int, offset: int) -> Iterator[Item]:
    for path in map(Path, paths[first:]):
        with _opened(path) as file:
            for _, (key, group) in _groups(file, path, offset):
                yield _item(file, f"{path.name}/{key}", group)
        offset = 0


def _item(file: BinaryIO, name: str, group: Group) -> Item:
    image = next((group[suffix] for suffix in IMAGES if suffix in group), None)
    suffix = next((suffix for suffix in LABELS if suffix in group), None)
    if image is None or suffix is None:
        return Item(name, "", b"", "it has no image" if image is None else "it has no label")
    try:
        text = _text(suffix, _content(file, *group[suffix], MAX_LABEL))
    except (ValueError, RecursionError) as error:
        return Item(name, "", b"", f"its label cannot be read: {error}")
    return Item(name, text, _content(file, *image, MAX_BYTES + 1))


def _content(file: BinaryIO, offset: int, size: int, limit: int) -> bytes:
    file.seek(offset)
    return file.read(min(size, limit))


def _text(suffix: str, content: bytes) -> str:
    text = content.decode("utf-8")
    if suffix != "json":
        return text.strip()
    document = json.loads(text)
    if isinstance(document, dict):
        document = next((document[key] for key in ("text", "label", "word") if key in document), None)
    if not isinstance(document, str):
        raise ValueError("the JSON does not contain a word")  # noqa: TRY004 - about the content, not an argument
    return document


def _groups(file: BinaryIO, path: Path, offset: int) -> Iterator[tuple[int, tuple[str, Group]]]:
    """Yield the offset of each key's first member, the key and its members. The caller may seek in between."""
    begins, key, group = offset, "", Group()
    for header, name, content in _members(file, path, offset):
        folder, slash, last = name.rpartition("/")
        stem, _, suffix = last.partition(".")
        if not suffix:
            continue
        if folder + slash + stem != key:
            if group:
                yield begins, (key, group)
            begins, key, group = header, folder + slash + stem, Group()
        group[suffix.lower()] = content
    if group:
        yield begins, (key, group)


def _members(file: BinaryIO, path: Path, offset: int) -> Iterator[tuple[int, str, tuple[int, int]]]:
    """Yield each regular file from a header on: offset of its header, name, offset and size of its content."""
    again = "Download the file again."
    try:
        file.seek(offset)
        archive = tarfile.TarFile(fileobj=file)
        while (member := archive.next()) is not None:
            archive.members.clear()  # or it would keep every header in memory
            if member.isreg() and member.size >= 0:
                yield member.offset, member.name, (member.offset_data, member.size)
        # tarfile stops silently at a damaged header. A complete archive ends with a block of zeros.
        file.seek(archive.offset)
        complete = file.read(tarfile.BLOCKSIZE) == bytes(tarfile.BLOCKSIZE)
    except Exception as error:  # damaged headers make tarfile raise almost anything
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise DatasetError(f"{path} is not a complete tar: {reason}.", hint=again) from error
    if not complete:
        raise DatasetError(f"{path} is not a complete tar: it breaks off at byte {archive.offset:,}.", hint=again)


class _Archive(io.BufferedReader):
    """A file whose reads are bounded: tarfile reads a long name in one piece, however long its header says it is."""

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= MAX_BYTES + 1:
            raise tarfile.ReadError(f"a header promises {size} bytes")
        return super().read(size)


def _opened(path: Path) -> BinaryIO:
    try:
        return _Archive(io.FileIO(path))
    except OSError as error:
        raise DatasetError(f"cannot read {path}: {error.strerror}.", hint=hint_for(error)) from error
