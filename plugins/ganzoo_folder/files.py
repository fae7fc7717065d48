"""The pictures of a folder, a zip or a tar: listed once, then read in any process."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

from ganzoo.errors import DatasetError, MissingDatasetError, hint_for, shortened
from ganzoo_folder.names import PICTURES, UNSUPPORTED, is_hidden, suffix

MAX_BYTES = 1 << 28
"""A larger file is not read. An uncompressed picture of 50 million pixels has 200 MB at most."""
CSV_NAME = "labels.csv"
MAX_OTHERS = 1000
"""Files that are not pictures and are remembered for messages."""
MAX_WATCHED = 20_000
"""Files whose change is noticed one by one; in a larger folder only files that come, go or are replaced."""

Kind = Literal["folder", "zip", "tar"]


class File(NamedTuple):
    """A picture, or something that looks like one and cannot be used."""

    name: str
    """Path under the root, with slashes."""
    size: int
    place: int
    """In a folder its modification time in ns, in a zip its index, in a tar the offset of its bytes."""
    problem: str = ""
    """Why it is skipped without being read; empty for most."""


@dataclass(frozen=True)
class Listing:
    """The files of a root, sorted by name."""

    root: Path
    kind: Kind
    files: tuple[File, ...]
    others: tuple[str, ...]
    """Names of the first further files, for messages: archives, documents."""
    csv: File | None
    """The labels.csv nearest to the root."""
    sources: tuple[Path, ...]
    """Files and folders whose change makes what was read from here stale."""
    time: int = 0
    """Of the archive's last change, in ns; 0 for a folder."""


def list_files(root: Path) -> Listing:
    """List the pictures under a folder, at any depth, or in an archive.

    Raises MissingDatasetError if there is nothing at `root`, DatasetError if it cannot be read.
    """
    try:
        if root.is_dir():
            return _list_folder(root)
        status = root.stat()
    except FileNotFoundError as error:
        raise MissingDatasetError(f"there is no folder or archive {root}.", hint=HOW_TO_NAME) from error
    except OSError as error:
        raise DatasetError(f"cannot read {root}: {error.strerror}.", hint=hint_for(error)) from error
    if not stat.S_ISREG(status.st_mode):
        raise DatasetError(f"{root} is neither a folder nor a file.", hint=HOW_TO_NAME)
    try:
        if zipfile.is_zipfile(root):
            return _list_archive(root, "zip", _zip_members(root))
        if suffix(root.name) in PICTURES:
            raise DatasetError(f"{root} is a single file.", hint="Name the folder that it is in.")
        return _list_archive(root, "tar", _tar_members(root))
    except (OSError, EOFError, zipfile.BadZipFile, tarfile.TarError, lzma.LZMAError, ValueError, MemoryError) as error:
        reason = shortened(error, 100).rstrip(".") or type(error).__name__
        raise DatasetError(
            f"{root} cannot be read as a zip or tar: {reason}.", hint="Download or pack it again, or name a folder."
        ) from error


HOW_TO_NAME = "Name a folder with pictures, or a .zip or .tar of them: --data-dir PATH."


def _sort_in(file: File, files: list[File], others: list[File]) -> None:
    """Add a file that is a picture by its name to `files`, with its problem if it cannot be used; else to `others`."""
    ending = suffix(file.name)
    if ending not in PICTURES | UNSUPPORTED:
        if len(others) < MAX_OTHERS or _is_csv(file):
            others.append(file)
        return
    problem = file.problem
    if ending in UNSUPPORTED:
        problem = f"{ending[1:].upper()} is not supported, convert it to JPEG or PNG"
    elif not file.size:
        problem = "empty file"
    elif file.size > MAX_BYTES:
        problem = f"too large ({file.size / 1e6:,.0f} MB)"
    files.append(file._replace(problem=problem))


# Folders


def _list_folder(root: Path) -> Listing:
    files: list[File] = []
    folders: list[str] = []
    others: list[File] = []
    visited: set[tuple[int, int]] = set()
    waiting, links = [""], list[str]()
    # Links to folders come last, so a folder that is reached twice is listed under its own name.
    while waiting or links:
        from_link = not waiting
        if from_link:
            links.sort(reverse=True)
        name = (links if from_link else waiting).pop()
        path = os.path.join(root, name)  # noqa: PTH118 - a pathlib object for each of 100,000 files takes seconds
        try:
            status = os.stat(path)  # noqa: PTH116
            identity = (status.st_dev, status.st_ino)
            if identity in visited:
                files.append(File(name, 0, 0, "link to a folder that is already in the list"))
                continue
            visited.add(identity)
            folders.append(path)
            with os.scandir(path) as entries:
                for entry in sorted(entries, key=lambda entry: entry.name):
                    if is_hidden(entry.name):
                        continue
                    inner = f"{name}/{entry.name}" if name else entry.name
                    if entry.is_dir():
                        (links if entry.is_symlink() else waiting).append(inner)
                    else:
                        _take(entry, inner, files, others)
        except OSError as error:
            if not name:
                raise
            files.append(File(name, 0, 0, f"folder cannot be read ({error.strerror})"))
    watched = [file for file in (*files, *filter(_is_csv, others)) if file.place]
    paths = [os.path.join(root, file.name) for file in watched] if len(watched) <= MAX_WATCHED else []  # noqa: PTH118
    return _listing(root, "folder", files, others, tuple(map(Path, (*folders, *paths))))


def _listing(
    root: Path, kind: Kind, files: list[File], others: list[File], sources: tuple[Path, ...], time: int = 0
) -> Listing:
    lists = sorted(filter(_is_csv, others), key=lambda file: (file.name.count("/"), file.name))
    names = tuple(sorted(file.name for file in others))
    return Listing(root, kind, tuple(sorted(files)), names, lists[0] if lists else None, sources, time)


def _is_csv(file: File) -> bool:
    return file.name.rpartition("/")[2].lower() == CSV_NAME


def _take(entry: os.DirEntry[str], name: str, files: list[File], others: list[File]) -> None:
    """Add an entry to the files, or to the others if it is not a picture."""
    try:
        status = entry.stat()
    except OSError as error:  # a broken link, or a loop of links
        if suffix(name) in PICTURES:
            files.append(File(name, 0, 0, f"cannot be read ({error.strerror})"))
        return
    if stat.S_ISREG(status.st_mode):
        _sort_in(File(name, status.st_size, status.st_mtime_ns), files, others)
    elif suffix(name) in PICTURES:
        files.append(File(name, 0, 0, "not a regular file"))


def _read_file(root: str, file: File) -> bytes:
    # Opening a FIFO that took the file's place would wait for a writer.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(os.path.join(root, file.name), flags), "rb") as opened:  # noqa: PTH118
        status = os.fstat(opened.fileno())
        if (status.st_size, status.st_mtime_ns) != (file.size, file.place) or not stat.S_ISREG(status.st_mode):
            raise ValueError("changed while it was being packed")
        content = opened.read(file.size + 1)
        after = os.fstat(opened.fileno())
    if len(content) != file.size or after.st_mtime_ns != file.place:
        raise ValueError("changed while it was being packed")
    return content


# Archives


def _list_archive(root: Path, kind: Kind, members: Iterator[File]) -> Listing:
    files: list[File] = []
    others: list[File] = []
    for member in members:
        parts = [part for part in member.name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
        if parts and not any(map(is_hidden, parts)):
            _sort_in(member._replace(name="/".join(parts)), files, others)
    return _listing(root, kind, files, others, (root,), root.stat().st_mtime_ns)


def _zip_members(root: Path) -> Iterator[File]:
    with zipfile.ZipFile(root) as archive:
        for index, member in enumerate(archive.infolist()):
            if not member.is_dir():
                yield File(member.filename, member.file_size, index, "encrypted" if member.flag_bits & 1 else "")


def _tar_members(root: Path) -> Iterator[File]:
    with _opened_tar(root) as file:
        archive = tarfile.TarFile(fileobj=_BoundedReads(file))  # type: ignore[arg-type]  # it reads, seeks and tells
        while (member := archive.next()) is not None:
            archive.members.clear()  # type: ignore[attr-defined]  # or it would keep every header in memory
            if member.isreg() and not member.issparse():
                yield File(member.name, member.size, member.offset_data)
        # tarfile stops silently at a damaged header. A complete archive ends with a block of zeros.
        file.seek(archive.offset)
        if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError(f"it breaks off at byte {archive.offset:,}")


def _opened_tar(root: Path) -> IO[bytes]:
    """Open a tar for reading its bytes, decompressed."""
    with root.open("rb") as file:
        magic = file.read(6)
    opens: dict[bytes, Callable[[Path], Any]] = {
        b"\x1f\x8b": gzip.GzipFile,
        b"BZh": bz2.BZ2File,
        b"\xfd7zXZ\x00": lzma.LZMAFile,
    }
    chosen = next((found for start, found in opens.items() if magic.startswith(start)), None)
    return root.open("rb") if chosen is None else chosen(root)


class _BoundedReads:
    """A file whose reads are bounded: tarfile reads a long name in one piece, however long its header says it is."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.seek, self.tell = file, file.seek, file.tell

    def read(self, size: int) -> bytes:
        if not 0 <= size <= 1 << 20:
            raise tarfile.ReadError(f"a header promises {size} bytes")
        return self._file.read(size)


_kept: dict[tuple[str, int], zipfile.ZipFile | IO[bytes]] = {}
"""The archive that was read last, by path and time. It stays open: the list of a zip's members takes long to read, and a
compressed tar can only be read on from where it is, or from its beginning."""


def _archive(root: str, kind: Kind, time: int) -> Any:
    if (root, time) not in _kept:
        close_archive()
        _kept[root, time] = zipfile.ZipFile(root) if kind == "zip" else _opened_tar(Path(root))
    return _kept[root, time]


def close_archive() -> None:
    """Close the archive that `read_bytes` left open, if any."""
    while _kept:
        _kept.popitem()[1].close()


def read_listed(listing: Listing, file: File) -> bytes:
    """Return the content of a listed file. Raises ValueError with the reason if it cannot be read."""
    return read_bytes(str(listing.root), listing.kind, listing.time, file)


def read_bytes(root: str, kind: Kind, time: int, file: File) -> bytes:
    """Return the content of a listed file. `time` is the archive's modification time, 0 for a folder.

    An archive stays open until `close_archive`. Raises ValueError with the reason if it cannot be read.
    """
    try:
        if kind == "folder":
            return _read_file(root, file)
        if kind == "zip":
            archive = _archive(root, kind, time)
            with archive.open(archive.infolist()[file.place]) as member:
                content = member.read(file.size + 1)
        else:
            tar = _archive(root, kind, time)
            tar.seek(file.place, io.SEEK_SET)
            content = tar.read(file.size)
    except ValueError:
        raise
    except FileNotFoundError as error:
        raise ValueError("removed while it was being packed") from error
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror or shortened(error, 80)})") from error
    except Exception as error:  # a damaged member makes zipfile and the decompressors raise almost anything
        raise ValueError(f"damaged in the archive ({shortened(error, 80)})") from error
    if len(content) != file.size:
        raise ValueError("damaged in the archive (it breaks off)")
    return content
