"""Writing packed copies: a set that fits in memory at once, a larger one piece by piece.

    samples.npy         [num, *shape]
    labels.npy          [num], int64; only for a set with classes
    texts.npy           [num], bytes of UTF-8; only for a set with texts
    skipped.txt         a line for each item that could not be read: its name and why; only when there are any
    pack.json           shape, digest, sources, and size and time of the files above

A large set is written into `.<split>.packing/` beside its place. `journal.json` there says how much of it is safely on
disk; whoever finds it cuts the files to that length and goes on, to the same bytes as if nothing had happened.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ganzoo.errors import DatasetError, StoreError
from ganzoo.files import write_atomically
from ganzoo.specs import TEXT_BYTES, ArrayData, DatasetSpec, SampleSpec, StreamedData
from ganzoo.workers import ordered

FORMAT = 1
ARRAYS = ("samples", "labels", "texts")
"""In the order in which the digest takes them up."""
SKIPPED_NAME = "skipped.txt"
JOURNAL_NAME = "journal.json"
PIECE = 2048
"""Items read, and made safe on disk, at a time."""

_BLOCK = 1 << 20
"""Bytes hashed at a time."""

ShowProgress = Callable[[int, int], None]
"""(done, total): items dealt with so far, and items in all."""


def write_pack(
    packed: Path,
    spec: DatasetSpec,
    data: ArrayData | StreamedData,
    workers: int,
    progress: ShowProgress | None,
    *,
    again: bool = False,
) -> None:
    """Write a packed copy beside its place, delete a stale one, and move it there.

    `again` goes on only from where a packing that was to read everything again stopped.
    Raises OSError when it cannot be written, StoreError when the disk is too small, DatasetError when the data cannot
    be read or is not what the spec promises.
    """
    packed.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(data, StreamedData):
        folder = packed.with_name(f".{packed.name}.packing")
        _write_streamed(folder, spec, data, workers, progress, again)
        _move(folder, packed)
        # Until here a stop at any moment leaves a journal to go on from; from here on these files mean nothing.
        (packed / JOURNAL_NAME).unlink()
        if not (packed / SKIPPED_NAME).stat().st_size:
            (packed / SKIPPED_NAME).unlink()
        return
    folder = packed.with_name(f".{packed.name}.{secrets.token_hex(8)}.partial")
    folder.mkdir()
    try:
        _write_whole(folder, spec, data)
        _move(folder, packed)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _move(folder: Path, packed: Path) -> None:
    if packed.exists():
        shutil.rmtree(packed)
    folder.rename(packed)


@contextmanager
def read_errors(spec: DatasetSpec) -> Iterator[None]:
    """Turn what the operating system says about a set's own files into one line and its mend."""
    try:
        yield
    except OSError as error:
        raise DatasetError(
            f"{spec.name}: cannot read {error.filename or 'its files'}: {error.strerror or error}.",
            hint="Check the disk with the files.",
        ) from error


def check(spec: DatasetSpec, data: ArrayData) -> None:
    """Hold what a plugin loaded to what its spec promises. Raises DatasetError."""
    sample, samples, labels, texts = spec.sample, data.samples, data.labels, data.texts
    dtype = np.uint8 if sample.kind == "image" else np.float32
    if samples.dtype != dtype or samples.shape[1:] != sample.shape:
        raise DatasetError(
            f"{spec.name}: loaded {samples.dtype} {list(samples.shape)}, not {np.dtype(dtype)} [num, "
            f"{', '.join(map(str, sample.shape))}].",
            hint="Check the files; if they are right, report it to the plugin's author.",
        )
    if labels is not None and (labels.shape != samples.shape[:1] or not _in_classes(labels, sample)):
        raise DatasetError(
            f"{spec.name}: labels do not fit {len(samples)} samples of {len(sample.classes or ())} classes.",
            hint="Check the files of labels.",
        )
    if texts is not None and (texts.shape != samples.shape[:1] or texts.dtype != f"S{TEXT_BYTES}"):
        raise DatasetError(
            f"{spec.name}: loaded texts {texts.dtype} {list(texts.shape)}, not S{TEXT_BYTES} [{len(samples)}].",
            hint="Report it to the plugin's author.",
        )


def nothing(spec: DatasetSpec, num_skipped: int, first_skipped: str) -> DatasetError:
    """Return what to say of a set without a sample."""
    why = f"; {num_skipped:,} cannot be read, the first of them {first_skipped}" if num_skipped else ""
    return DatasetError(f"{spec.name}: not one sample{why}.", hint="Check that all files are where they belong.")


def _in_classes(labels: NDArray[Any], sample: SampleSpec) -> bool:
    if not len(labels):
        return True
    return bool(labels.min() >= 0 and (sample.classes is None or labels.max() < len(sample.classes)))


def _arrays(data: ArrayData) -> dict[str, NDArray[Any]]:
    """Return what a set has, by name, in the digest's order."""
    return {name: array for name in ARRAYS if (array := getattr(data, name)) is not None}


# --- at once ---


def _write_whole(folder: Path, spec: DatasetSpec, data: ArrayData) -> None:
    check(spec, data)
    if not len(data.samples):
        raise nothing(spec, len(data.skipped), data.skipped[0] if data.skipped else "")
    arrays, digest = _arrays(data), hashlib.sha256()
    for name, array in arrays.items():
        with (folder / f"{name}.npy").open("wb") as file:
            _write_header(file, array, len(array))
            values = np.ascontiguousarray(array).data
            digest.update(values)
            file.write(values)
            _flush(file)
    if data.skipped:
        (folder / SKIPPED_NAME).write_text("".join(f"{_one_line(item)}\n" for item in data.skipped), encoding="utf-8")
    shape, sources = list(data.samples.shape), _fingerprints(spec, data.sources)
    _write_record(folder, spec, shape, list(arrays), len(data.skipped), digest.hexdigest(), sources)


def _write_header(file: BinaryIO, like: NDArray[Any], num: int) -> None:
    """Write the head of an .npy file; numpy keeps room in it, so that it is as long for any number of rows."""
    described = {**np.lib.format.header_data_from_array_1_0(like[:0]), "shape": (num, *like.shape[1:])}
    described["fortran_order"] = False
    np.lib.format.write_array_header_1_0(file, described)


def _read_header(file: BinaryIO) -> NDArray[Any]:
    """Return no rows of what an .npy file holds, and leave the file where the rows begin. Raises ValueError."""
    np.lib.format.read_magic(file)
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    return np.empty((0, *shape[1:]), dtype)


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _write_record(
    folder: Path,
    spec: DatasetSpec,
    shape: list[int],
    names: Sequence[str],
    num_skipped: int,
    digest: str,
    sources: list[dict[str, Any]],
) -> None:
    """Write pack.json, the last file of a pack."""
    record = {
        "format": FORMAT,
        "dataset": spec.name,
        "shape": shape,
        "arrays": list(names),
        "labels": "labels" in names,
        "skipped": num_skipped,
        "digest": digest,
        "sources": sources,
        "files": {f"{name}.npy": stat_of(folder / f"{name}.npy") for name in names},
    }
    write_atomically(folder / "pack.json", json.dumps(record, indent=2).encode())


def _fingerprints(spec: DatasetSpec, sources: Sequence[Path]) -> list[dict[str, Any]]:
    """Return path, size and time of each file. Raises DatasetError."""
    with read_errors(spec):
        return [{"path": str(path.resolve()), **stat_of(path)} for path in sources]


def stat_of(path: Path) -> dict[str, int]:
    """Return a file's size and time. Raises OSError."""
    status = os.stat(path)  # noqa: PTH116 - a name that says system call
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns}


def digest_of_pack(folder: Path, names: Sequence[str]) -> str:
    """Return the sha256 of the values in a pack's arrays, read in small blocks. Raises OSError, ValueError."""
    digest = hashlib.sha256()
    for name in names:
        with (folder / f"{name}.npy").open("rb") as file:
            _read_header(file)
            while block := file.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()


# --- piece by piece ---


@dataclass(frozen=True)
class Journal:
    """How far a packing has come. What is behind it in the files is not yet, or not safely, there."""

    identity: dict[str, Any]
    """What is packed; a packing of anything else starts anew."""
    items: int
    """Items dealt with: written or skipped."""
    num: int
    """Samples written."""
    skipped: int
    """Items skipped."""
    skipped_size: int
    """Bytes of skipped.txt."""
    names: tuple[str, ...]
    """Arrays that the set has."""


def _write_streamed(
    folder: Path, spec: DatasetSpec, data: StreamedData, workers: int, progress: ShowProgress | None, again: bool
) -> None:
    """Pack a set of any size, from where an earlier attempt stopped. Raises OSError, DatasetError, StoreError."""
    sources = _fingerprints(spec, data.sources)
    identity = {"format": FORMAT, "dataset": spec.name, "items": data.num, "sources": sources, "again": again}
    journal = _read_journal(folder, identity)
    if journal is None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        journal = Journal(identity, 0, 0, 0, 0, ())
    _check_space(folder, spec, data.num - journal.items)

    pieces = ((start, min(start + PIECE, data.num)) for start in range(journal.items, data.num, PIECE))
    # Closed at once, so that its processes end now, not some day.
    with _Files(folder, journal) as files, closing(_read(spec, data, pieces, workers)) as results:
        for piece in results:
            _check_piece(spec, piece, min(PIECE, data.num - journal.items))
            journal = files.append(piece, journal)
            if progress is not None:
                progress(journal.items, data.num)
        if journal.num == 0:
            (folder / JOURNAL_NAME).unlink()  # whoever puts the files right wants them read again
            raise nothing(spec, journal.skipped, files.first_skipped())
        digest = files.finish(journal)
    shape = [journal.num, *spec.sample.shape]
    _write_record(folder, spec, shape, journal.names, journal.skipped, digest, sources)


def _read(
    spec: DatasetSpec, data: StreamedData, pieces: Iterator[tuple[int, int]], workers: int
) -> Generator[ArrayData]:
    """Yield the pieces of a set in order. Raises DatasetError."""
    results = ordered(data.read, pieces, workers)
    try:
        with read_errors(spec):
            yield from results
    except BrokenProcessPool as error:
        raise DatasetError(
            f"{spec.name}: a process that read the files was killed.",
            hint="Run it again, with fewer --workers if memory is short: it goes on where it stopped.",
        ) from error
    finally:
        results.close()


def _read_journal(folder: Path, identity: dict[str, Any]) -> Journal | None:
    """Return how far a packing of the same set has come, or None when there is nothing to go on from."""
    try:
        document = json.loads((folder / JOURNAL_NAME).read_text(encoding="utf-8"))
        journal = Journal(**{**document, "names": tuple(document["names"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return journal if journal.identity == identity else None


def _check_space(folder: Path, spec: DatasetSpec, num: int) -> None:
    size = num * (int(np.prod(spec.sample.shape)) * (1 if spec.sample.kind == "image" else 4))
    free = shutil.disk_usage(folder).free
    if free < size:
        raise StoreError(
            f"{spec.name} needs {size / 1e9:.1f} GB more in the store at {folder.parent}, which has {free / 1e9:.1f}.",
            hint="Free some space, or set GANZOO_HOME to a folder on a larger disk.",
        )


def _check_piece(spec: DatasetSpec, piece: ArrayData, items: int) -> None:
    check(spec, piece)
    if len(piece.samples) + len(piece.skipped) != items:
        raise DatasetError(
            f"{spec.name}: {len(piece.samples)} samples and {len(piece.skipped)} skipped are not {items} items.",
            hint="The files may have changed meanwhile; if not, report it to the plugin's author.",
        )


class _Files:
    """The files of a packing, open and cut to what its journal says."""

    def __init__(self, folder: Path, journal: Journal) -> None:
        self._folder = folder
        self._arrays: dict[str, BinaryIO] = {}
        self._like: dict[str, NDArray[Any]] = {}
        self._digest = hashlib.sha256()
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

    def append(self, piece: ArrayData, journal: Journal) -> Journal:
        """Write a piece, wait until the disk has it, and enter it into the journal."""
        arrays = _arrays(piece)
        if not journal.names:
            for name, array in arrays.items():
                self._begin(name, array)
        elif tuple(arrays) != journal.names:
            raise DatasetError(
                f"a piece has {', '.join(arrays)}; those before had {', '.join(journal.names)}.",
                hint="Report it to the plugin's author.",
            )
        for name, array in arrays.items():
            values = np.ascontiguousarray(array).data
            self._arrays[name].write(values)
            if name == "samples":
                self._digest.update(values)
            _flush(self._arrays[name])
        self._skipped.write("".join(f"{_one_line(item)}\n" for item in piece.skipped).encode())
        _flush(self._skipped)
        items = journal.items + len(piece.samples) + len(piece.skipped)
        num, skipped = journal.num + len(piece.samples), journal.skipped + len(piece.skipped)
        journal = Journal(journal.identity, items, num, skipped, self._skipped.tell(), tuple(arrays))
        write_atomically(self._folder / JOURNAL_NAME, json.dumps(asdict(journal)).encode())
        return journal

    def first_skipped(self) -> str:
        """Return the first line of skipped.txt."""
        with (self._folder / SKIPPED_NAME).open(encoding="utf-8") as file:
            return file.readline().strip()

    def finish(self, journal: Journal) -> str:
        """Write the numbers of rows into the heads, and return the digest of all values."""
        for name, file in self._arrays.items():
            if name != "samples":
                for block in _blocks(file, self._header_size(name)):
                    self._digest.update(block)
            file.seek(0)
            _write_header(file, self._like[name], journal.num)
            _flush(file)
        return self._digest.hexdigest()

    def _begin(self, name: str, array: NDArray[Any]) -> None:
        self._like[name] = array[:0]
        self._arrays[name] = (self._folder / f"{name}.npy").open("w+b")
        _write_header(self._arrays[name], array, 0)

    def _take_up(self, name: str, num: int) -> None:
        """Open an array of an earlier attempt, cut to its rows, and hash what is there of the samples."""
        path = self._folder / f"{name}.npy"
        file = self._arrays[name] = path.open("r+b")
        like = self._like[name] = _read_header(file)
        start = file.tell()
        size = start + num * like.itemsize * int(np.prod(like.shape[1:]))
        if path.stat().st_size < size:
            raise DatasetError(f"{path} is shorter than its journal says.", hint=f"Delete {self._folder}.")
        file.truncate(size)
        if name == "samples":
            for block in _blocks(file, start):
                self._digest.update(block)
        file.seek(size)

    def _header_size(self, name: str) -> int:
        file = self._arrays[name]
        file.seek(0)
        _read_header(file)
        return file.tell()


def _blocks(file: BinaryIO, start: int) -> Iterator[bytes]:
    file.seek(start)
    while block := file.read(_BLOCK):
        yield block
