"""MJSynth as LMDB, as text recognisers use it: `image-%09d` (a JPEG or PNG), `label-%09d` (the word), `num-samples`.

Numbers start at 1. A number without an image or a word is skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from ganzoo.errors import DatasetError
from ganzoo.specs import ArrayData, StreamedData
from ganzoo_mjsynth.images import MAX_BYTES
from ganzoo_mjsynth.items import Item, collect
from ganzoo_mjsynth.names import near, split_named

FILE = "data.mdb"


def find(root: Path, split: str) -> Path | None:
    """Return the folder of a split's database, by its name; `root` itself counts as train if its name says nothing.

    Archives of several datasets keep MJSynth's databases under `MJ`; these come first.
    """
    for path in sorted([*near(root, FILE), *root.glob(f"*/MJ/*/{FILE}")], key=lambda path: "MJ" not in path.parts):
        default = "train" if path.parent == root else None
        if (split_named(path.parent.resolve().name) or default) == split:
            return path.parent
    return None


def load(place: Path) -> StreamedData:
    """Open a database and read its number of samples. Raises DatasetError."""
    with _Database(place) as transaction:
        num = _num_samples(place, transaction)
    return StreamedData(num=num, read=partial(read, str(place)), sources=(place / FILE,))


def read(place: str, start: int, stop: int) -> ArrayData:
    """Read the items [start, stop). Raises DatasetError.

    The database is opened for each piece, because its mapped pages would count as this process's memory.
    """
    with _Database(Path(place)) as transaction:
        return collect(_items(transaction, start, stop), stop - start)


def _items(transaction: Any, start: int, stop: int) -> Iterator[Item]:
    for number in range(start + 1, stop + 1):
        name = f"image-{number:09d}"
        image, label = _get(transaction, name), _get(transaction, f"label-{number:09d}")
        if image is None or label is None:
            yield Item(name, "", b"", "there is no such key" if image is None else "it has no label")
        else:
            yield Item(name, label.decode("utf-8", "replace"), image)


def _get(transaction: Any, key: str) -> bytes | None:
    """Return a value, at most one byte more than an image may have."""
    value = transaction.get(key.encode())
    return None if value is None else bytes(value[: MAX_BYTES + 1])


def _num_samples(place: Path, transaction: Any) -> int:
    stored = _get(transaction, "num-samples")
    if stored is None or not stored.isdigit() or len(stored) > 12 or not int(stored):
        raise DatasetError(
            f"{place / FILE} has no valid num-samples.",
            hint="Create it again with the keys image-%09d, label-%09d and num-samples.",
        )
    return int(stored)


class _Database:
    """A database whose `with` gives a read transaction, and raises DatasetError if its pages are damaged."""

    def __init__(self, place: Path) -> None:
        try:
            import lmdb
        except ImportError as error:
            raise DatasetError(
                f"reading the LMDB {place} needs the package lmdb.", hint="pip install 'ganzoo[shards]'"
            ) from error
        self._file, self._error = place / FILE, lmdb.Error
        try:
            self._environment = lmdb.open(str(place), readonly=True, lock=False, readahead=False, create=False)
        except lmdb.Error as error:
            raise DatasetError(f"{place / FILE} is not an LMDB: {error}.", hint="Create it again.") from error
        pages = self._environment.info()["last_pgno"] + 1
        size, needed = (place / FILE).stat().st_size, pages * self._environment.stat()["psize"]
        if size < needed:  # reading past the end of a mapped file kills the process
            self._environment.close()
            raise DatasetError(
                f"{place / FILE} is cut off: {size:,} bytes of {needed:,}.", hint="Copy or create it again."
            )

    def __enter__(self) -> Any:
        self._transaction = self._environment.begin(buffers=True)
        return self._transaction

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self._transaction.abort()
        self._environment.close()
        if isinstance(error, self._error):
            raise DatasetError(f"{self._file} is damaged: {error}.", hint="Copy or create it again.") from error
