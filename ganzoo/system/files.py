"""Files and folders that are written completely or not at all."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


def write_atomically(target: Path, content: bytes) -> None:
    """Write a complete file or none. Raises OSError."""
    with whole_file(target) as file:
        file.write(content)


def write_json(target: Path, document: Any) -> None:
    """Write a JSON file, indented for people, as `write_atomically` does. Raises OSError."""
    write_atomically(target, (json.dumps(document, indent=2) + "\n").encode())


def read_json(path: Path, limit: int = 8 << 20) -> Any:
    """Read a JSON file of at most `limit` bytes. Raises OSError, ValueError, RecursionError."""
    return json.loads(read_regular(path, limit).decode())


@contextmanager
def whole_file(target: Path) -> Iterator[BinaryIO]:
    """Open a temporary file in the target's folder; at the end it is flushed to disk and renamed to the target.

    If anything is raised inside, nothing is left behind. What a killed process left is removed when the same target is
    written again. Raises OSError.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with _temporary(target, _create_file) as partial:
        with partial.open("r+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Make a hidden folder to write into; at the end it is renamed to the target.

    A target that exists must have no `contents`. It may be a mount point or the current directory, which cannot
    be replaced, so the hidden folder is made inside it and the files are moved up. If anything is raised inside,
    nothing is left behind. What a killed process left is removed when the same target is written again, files that it
    had moved up included. Raises OSError.
    """
    exists = target.is_dir()
    target.parent.mkdir(parents=True, exist_ok=True)
    if exists:
        for path in _half_moved(target):
            path.unlink()
    with _temporary(target / "all" if exists else target, Path.mkdir) as partial:
        yield partial
        if exists:
            _move_up(partial, target)
            _remove(partial)
        else:
            partial.rename(target)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Make a folder for this user only, which is removed at the end, or by the next call if this process is killed."""
    with _temporary(Path(tempfile.gettempdir(), "ganzoo"), lambda path: path.mkdir(mode=0o700)) as folder:
        yield folder
        _remove(folder)


def check_space(path: Path, size: int) -> None:
    """Raise OSError if a file of this size cannot be written at a path for lack of space."""
    folder = next((parent for parent in path.absolute().parents if parent.is_dir()), None)
    usage = None if folder is None else shutil.disk_usage(folder)
    if usage is not None and usage.total and usage.free < size:  # /proc and its like have no size
        raise OSError(errno.ENOSPC, f"{size:,} bytes are needed; {os.strerror(errno.ENOSPC)}", str(path))


def contents(folder: Path) -> list[Path]:
    """Return what a folder holds, besides what killed processes left there. Raises OSError."""
    left = set(_half_moved(folder))
    return [entry for entry in folder.iterdir() if _PARTIAL.fullmatch(entry.name) is None and entry not in left]


# --- temporary files and folders: `.<target>.<16 hex digits>.partial`, locked while their process lives ---

_PARTIAL = re.compile(r"\.(.+)\.[0-9a-f]{16}\.partial", re.DOTALL)
_MOVED_NAME = ".moved"
"""In a temporary folder: inode and name of each file that is moved up."""


@contextmanager
def _temporary(target: Path, create: Callable[[Path], None]) -> Iterator[Path]:
    """Create a temporary file or folder beside a target, and remove it if anything is raised inside."""
    _remove_abandoned(target)
    while True:
        path = target.with_name(f".{target.name}.{secrets.token_hex(8)}.partial")
        create(path)
        lock = _lock(path, wait=True)
        if path.exists():  # else another process took it for abandoned in the moment before it was locked
            break
        _close(lock)
    try:
        yield path
    except BaseException:
        _remove(path)
        raise
    finally:
        _close(lock)


def _remove_abandoned(target: Path) -> None:
    """Remove what killed processes left beside a target while they wrote it."""
    with contextlib.suppress(OSError), os.scandir(target.parent) as entries:  # a folder need not be readable
        for entry in entries:
            match = _PARTIAL.fullmatch(entry.name)
            if match is not None and match[1] == target.name and (lock := _lock(Path(entry.path))) is not None:
                _remove(Path(entry.path))
                _close(lock)


def _half_moved(folder: Path) -> list[Path]:
    """Return the files that killed processes had moved up into a folder when they ended."""
    found = []
    for path in folder.glob(".all.*.partial"):
        if _PARTIAL.fullmatch(path.name) is None or (lock := _lock(path)) is None:
            continue
        with contextlib.suppress(OSError):
            for line in (path / _MOVED_NAME).read_text(encoding="utf-8").split("\0"):
                inode, _, name = line.partition(" ")
                moved = folder / name
                # The inode too: a file that the user has put in its place since is not ours.
                if name and os.path.lexists(moved) and inode == str(moved.lstat().st_ino):
                    found.append(moved)
        _close(lock)
    return found


def _move_up(partial: Path, target: Path) -> None:
    with os.scandir(partial) as entries:
        inodes = {entry.name: entry.inode() for entry in entries}
    listed = "\0".join(f"{inode} {name}" for name, inode in inodes.items())
    (partial / _MOVED_NAME).write_text(listed, encoding="utf-8")
    try:
        for name in inodes:
            (partial / name).rename(target / name)
    except BaseException:
        for name in inodes:
            if not (partial / name).exists():
                (target / name).unlink(missing_ok=True)
        raise


def _create_file(path: Path) -> None:
    path.open("xb").close()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def _lock(path: Path, *, wait: bool = False) -> int | None:
    """Lock a file or folder until `_close`, or the end of this process; return its descriptor.

    Returns None for what another process holds, and where the system has no such locks (Windows, some network disks).
    """
    if fcntl is None:
        return None
    descriptor = None
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        _close(descriptor)
        return None
    return descriptor


def _close(descriptor: int | None) -> None:
    if descriptor is not None:
        os.close(descriptor)


def expanded(path: str | os.PathLike[str]) -> Path:
    """Replace a leading `~` by the home folder; that of an unknown user stays, as in a shell."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path.expanduser raises RuntimeError


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file; others, such as a FIFO, could block for ever or have no end. Raises OSError."""
    file = os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "Not a regular file", str(path))
    return file


def read_regular(path: Path, limit: int) -> bytes:
    """Read a regular file of at most `limit` bytes; a larger one takes no memory. Raises OSError."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise OSError(errno.EINVAL, f"File too large ({size:,} bytes; the limit is {limit:,})", str(path))
        return file.read(size)
