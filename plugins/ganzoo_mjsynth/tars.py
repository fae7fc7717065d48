"""WebDataset tars: members `KEY.jpg` or `KEY.png` beside `KEY.txt`, `KEY.cls` or `KEY.json`, one after the other.

A tar belongs to the split that its name, or else its folder's, says: `mjsynth-train-000012.tar`, `train/000012.tar`.
A key is a member's path up to the first dot in its last part. The word is the text of `.txt` or `.cls`, or of `.json`
a string, or the `text`, `label` or `word` of an object.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from ganzoo.errors import DatasetError
from ganzoo.specs import ArrayData, StreamedData
from ganzoo_mjsynth.items import Item, collect
from ganzoo_mjsynth.names import files_of, with_folders

STRIDE = 512
"""Items between two of which the place in the tars is kept."""
MAX_LABEL = 1 << 16
"""Bytes read of a label."""

IMAGES = ("jpg", "jpeg", "png")
LABELS = ("txt", "cls", "json")

Place = tuple[int, int]
"""Number of a tar, and the byte in it where an item begins."""


def find(root: Path, split: str) -> tuple[Path, ...]:
    """Return the tars of a split, in order."""
    return files_of(root, "*.tar", split)


def load(paths: tuple[Path, ...]) -> StreamedData:
    """Index the tars, for which every header is read. Raises DatasetError when one is damaged or cut off."""
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
"""Suffix -> where a member's content is, and its size."""


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
    return Item(name, text, _content(file, *image, image[1]))


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
        raise ValueError("the JSON holds no word")  # noqa: TRY004 - of the file's content, not of an argument
    return document


def _groups(file: BinaryIO, path: Path, offset: int) -> Iterator[tuple[int, tuple[str, Group]]]:
    """Yield each key with its members, and where the first of them begins; the file may be moved between two."""
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
    """Yield each plain file from a header on: where its header is, its name, and where its content is."""
    again = "Fetch the file again."
    try:
        file.seek(offset)
        archive = tarfile.TarFile(fileobj=file)
        while (member := archive.next()) is not None:
            archive.members.clear()  # else it keeps every header it has seen
            if member.isreg():
                yield member.offset, member.name, (member.offset_data, member.size)
    except (tarfile.TarError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise DatasetError(f"{path} is no whole tar: {reason}.", hint=again) from error
    # A damaged header ends an archive in silence; only a block of zeros ends it rightly.
    file.seek(archive.offset)
    if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise DatasetError(f"{path} is no whole tar: it breaks off at byte {archive.offset:,}.", hint=again)


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise DatasetError(f"cannot read {path}: {error.strerror}.", hint="Check the file.") from error
