"""Writing packed copies: a dataset that fits in memory at once, a larger one piece by piece.

A large dataset is written into `.<split>.packing/` next to its destination. `journal.json` there records how much is
safely on disk. After an interruption the files are cut to that length and packing continues, to the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ganzoo.data.location import FORMAT, MAX_RECORD_BYTES, settings_key
from ganzoo.data.pack import (
    SKIPPED_NAME,
    arrays_of,
    blocks,
    check,
    fingerprints,
    flush,
    no_samples_error,
    one_line,
    read_errors,
    read_header,
    write_header,
    write_record,
    write_whole,
)
from ganzoo.errors import DatasetError, StoreError
from ganzoo.guard import blamed
from ganzoo.registry import datasets
from ganzoo.specs import ArrayData, DatasetSpec, StreamedData
from ganzoo.system.files import read_json, write_atomically
from ganzoo.system.workers import ordered

if TYPE_CHECKING:
    from ganzoo.data.settings import ConfiguredDataset

JOURNAL_NAME = "journal.json"
PIECE = 2048
"""Maximum number of items read, and flushed to disk, at a time."""
PIECE_BYTES = 1 << 25
"""Maximum size of their samples; several pieces wait in memory."""

ShowProgress = Callable[[int, int], None]
"""Called with (done, total) items."""


def write_pack(
    packed: Path,
    spec: ConfiguredDataset,
    data: ArrayData | StreamedData,
    origin: Mapping[str, Any],
    workers: int,
    progress: ShowProgress | None,
    *,
    force: bool = False,
) -> None:
    """Write a packed copy next to its destination, then replace an older copy with it. `origin` goes into its record.

    With `force`, packing resumes only from an interrupted packing that was forced too.
    Raises OSError if it cannot be written, StoreError if the disk is too small, DatasetError if the data cannot be
    read or does not match the spec.
    """
    packed.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(data, StreamedData):
        folder = packed.with_name(f".{packed.name}.packing")
        _write_streamed(folder, spec, data, origin, workers, progress, force)
        _move(folder, packed)
        # An interruption before the move leaves a journal to resume from; after it the journal is not needed. Whoever
        # opens the copy removes one that was left here.
        (packed / JOURNAL_NAME).unlink(missing_ok=True)
        return
    folder = packed.with_name(f".{packed.name}.partial")  # under the split's lock: one that is there is abandoned
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        write_whole(folder, spec, data, origin)
        _move(folder, packed)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _move(folder: Path, packed: Path) -> None:
    if packed.exists():
        shutil.rmtree(packed)
    folder.rename(packed)


@dataclass(frozen=True)
class Journal:
    """Progress of a packing. Bytes in the files beyond it may be incomplete."""

    identity: dict[str, Any]
    """What is packed; a packing of anything else starts from zero."""
    items: int
    """Items written or skipped."""
    num: int
    """Samples written."""
    skipped: int
    """Items skipped."""
    skipped_size: int
    """Bytes of skipped.txt."""
    names: tuple[str, ...]
    """Arrays that the dataset has."""


def _write_streamed(
    folder: Path,
    spec: ConfiguredDataset,
    data: StreamedData,
    origin: Mapping[str, Any],
    workers: int,
    progress: ShowProgress | None,
    force: bool,
) -> None:
    """Pack a dataset of any size, from where an earlier attempt stopped. Raises OSError, DatasetError, StoreError."""
    sources = fingerprints(spec, data.sources)
    identity = {
        "format": FORMAT,
        "dataset": spec.name,
        "settings": dict(spec.settings),
        "items": data.num,
        "sources": sources,
        "force": force,
    }
    journal = _read_journal(folder, identity)
    if journal is None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        journal = Journal(identity, 0, 0, 0, 0, ())
    size = data.samples_per_item * _sample_size(spec)
    _check_space(folder, spec, (data.num - journal.items) * size)

    step = max(1, min(data.piece or PIECE, PIECE, PIECE_BYTES // size))
    pieces = ((start, min(start + step, data.num)) for start in range(journal.items, data.num, step))
    # closing() ends the worker processes now, not at garbage collection.
    with _Files(folder, journal) as files, closing(_read(spec, data, pieces, workers)) as results:
        for piece in results:
            items = min(step, data.num - journal.items)
            _check_piece(spec, piece, items, data.samples_per_item)
            journal = files.append(piece, journal, items)
            if progress is not None:
                progress(journal.items, data.num)
        if journal.num == 0:
            (folder / JOURNAL_NAME).unlink()  # after a repair of the files they must all be read again
            raise no_samples_error(spec, journal.skipped, files.first_skipped())
        digest = files.finish(journal)
    if not journal.skipped:
        (folder / SKIPPED_NAME).unlink()
    shape = [journal.num, *spec.sample.shape]
    write_record(folder, spec, origin, shape, journal.names, journal.skipped, digest, sources)


def _read(
    spec: DatasetSpec, data: StreamedData, pieces: Iterator[tuple[int, int]], workers: int
) -> Generator[ArrayData]:
    """Yield the pieces of a dataset in order. Raises DatasetError."""
    results = ordered(data.read, pieces, workers)
    try:
        with read_errors(spec), blamed(datasets, spec.name, "read"):
            try:
                yield from results
            except BrokenProcessPool as error:
                raise DatasetError(
                    f"{spec.name}: a worker process was killed.",
                    hint="Run the command again, with fewer --workers if memory is short; it resumes where it stopped.",
                ) from error
    finally:
        results.close()


def _read_journal(folder: Path, identity: dict[str, Any]) -> Journal | None:
    """Return the journal of an interrupted packing of the same data, or None if there is none."""
    try:
        document = read_json(folder / JOURNAL_NAME, MAX_RECORD_BYTES)
        journal = Journal(**{**document, "names": tuple(document["names"])})
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return journal if journal.identity == identity else None


def _sample_size(spec: ConfiguredDataset) -> int:
    """Return the bytes of a packed sample."""
    return int(np.prod(spec.sample.shape)) * (1 if spec.sample.kind == "image" else 4)


def _check_space(folder: Path, spec: ConfiguredDataset, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < size:
        raise StoreError(
            f"{spec.name} needs {size / 1e9:.1f} GB more in the store at {folder.parent}, which has {free / 1e9:.1f}.",
            hint="Free some disk space, or set GANZOO_HOME to a folder on a larger disk.",
        )


def _check_piece(spec: ConfiguredDataset, piece: ArrayData, items: int, samples_per_item: int) -> None:
    check(spec, piece)
    if len(piece.samples) != samples_per_item * (items - len(piece.skipped)):
        each = "" if samples_per_item == 1 else f" of {samples_per_item} samples each"
        raise DatasetError(
            f"{spec.name}: {len(piece.samples)} samples and {len(piece.skipped)} skipped are not {items} items{each}.",
            hint="If the files have not changed meanwhile, report this to the plugin's author.",
        )


class _Files:
    """The open files of a packing, cut to the length that its journal records."""

    def __init__(self, folder: Path, journal: Journal) -> None:
        self._folder = folder
        self._arrays: dict[str, BinaryIO] = {}
        self._like: dict[str, NDArray[Any]] = {}
        self._digest = hashlib.sha256(settings_key(journal.identity["settings"]))
        self._skipped = (folder / SKIPPED_NAME).open("r+b" if journal.skipped else "w+b")
        self._skipped.truncate(journal.skipped_size)
        self._skipped.seek(0, os.SEEK_END)
        for name in journal.names:
            self._take_up(name, journal.num)

    def __enter__(self) -> _Files:
        return self

    def __exit__(self, *_: object) -> None:
        for file in (*self._arrays.values(), self._skipped):
            file.close()

    def append(self, piece: ArrayData, journal: Journal, items: int) -> Journal:
        """Write a piece of so many items, flush it to disk, and record it in the journal."""
        arrays = arrays_of(piece)
        if not journal.names:
            for name, array in arrays.items():
                self._begin(name, array)
        elif tuple(arrays) != journal.names:
            raise DatasetError(
                f"a piece has {', '.join(arrays)}; those before had {', '.join(journal.names)}.",
                hint="Report this to the plugin's author.",
            )
        for name, array in arrays.items():
            values = np.ascontiguousarray(array).data
            self._arrays[name].write(values)
            if name == "samples":
                self._digest.update(values)
            flush(self._arrays[name])
        self._skipped.write("".join(f"{one_line(item)}\n" for item in piece.skipped).encode())
        flush(self._skipped)
        items += journal.items
        num, skipped = journal.num + len(piece.samples), journal.skipped + len(piece.skipped)
        journal = Journal(journal.identity, items, num, skipped, self._skipped.tell(), tuple(arrays))
        write_atomically(self._folder / JOURNAL_NAME, json.dumps(asdict(journal)).encode())
        return journal

    def first_skipped(self) -> str:
        """Return the first line of skipped.txt."""
        with (self._folder / SKIPPED_NAME).open(encoding="utf-8") as file:
            return file.readline().strip()

    def finish(self, journal: Journal) -> str:
        """Write the final number of rows into the headers, and return the digest of all values."""
        for name, file in self._arrays.items():
            if name != "samples":
                for block in blocks(file, self._header_size(name)):
                    self._digest.update(block)
            file.seek(0)
            write_header(file, self._like[name], journal.num)
            flush(file)
        return self._digest.hexdigest()

    def _begin(self, name: str, array: NDArray[Any]) -> None:
        self._like[name] = array[:0]
        self._arrays[name] = (self._folder / f"{name}.npy").open("w+b")
        write_header(self._arrays[name], array, 0)

    def _take_up(self, name: str, num: int) -> None:
        """Open an array of an earlier attempt, cut to its recorded rows, and hash the samples so far."""
        path = self._folder / f"{name}.npy"
        file = self._arrays[name] = path.open("r+b")
        like = self._like[name] = read_header(file)
        start = file.tell()
        size = start + num * like.itemsize * int(np.prod(like.shape[1:]))
        if path.stat().st_size < size:
            raise DatasetError(f"{path} is shorter than its journal says.", hint=f"Delete {self._folder}.")
        file.truncate(size)
        if name == "samples":
            for block in blocks(file, start):
                self._digest.update(block)
        file.seek(size)

    def _header_size(self, name: str) -> int:
        file = self._arrays[name]
        file.seek(0)
        read_header(file)
        return file.tell()
