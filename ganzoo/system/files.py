"""Files and folders that are written completely or not at all."""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO


def write_atomically(target: Path, content: bytes) -> None:
    """Write a complete file or none. Raises OSError."""
    with whole_file(target) as file:
        file.write(content)


def write_json(target: Path, document: Any) -> None:
    """Write a JSON file, indented for people, as `write_atomically` does. Raises OSError."""
    write_atomically(target, (json.dumps(document, indent=2) + "\n").encode())


def read_json(path: Path, limit: int = 8 << 20) -> Any:
    """Read a JSON file of at most `limit` bytes. Raises OSError, ValueError, RecursionError."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode) or status.st_size > limit:
        raise OSError(errno.EINVAL, f"Not a regular file of at most {limit:,} bytes", str(path))
    return json.loads(path.read_text(encoding="utf-8"))


@contextmanager
def whole_file(target: Path) -> Iterator[BinaryIO]:
    """Open a temporary file in the target's folder; at the end it is flushed to disk and renamed to the target.

    If anything is raised inside, nothing is left behind. Raises OSError.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = _temporary(target)
    try:
        with partial.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Make a hidden folder to write into; at the end it is renamed to the target.

    A target that exists must have no `contents`. It may be a mount point or the current directory, which cannot
    be replaced, so the hidden folder is made inside it and the files are moved up. If anything is raised inside,
    nothing is left behind. Raises OSError.
    """
    exists = target.is_dir()
    partial = _temporary(target / "all") if exists else _temporary(target)
    partial.mkdir(parents=True)
    try:
        yield partial
        if exists:
            for entry in list(partial.iterdir()):
                entry.rename(target / entry.name)
        else:
            partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _temporary(target: Path) -> Path:
    return target.with_name(f".{target.name}.{secrets.token_hex(8)}.partial")


def expanded(path: str | os.PathLike[str]) -> Path:
    """Replace a leading `~` by the home folder; that of an unknown user stays, as in a shell."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path.expanduser raises RuntimeError


def contents(folder: Path) -> list[Path]:
    """Return what a folder holds, besides the temporary files that killed processes left there. Raises OSError."""
    return [entry for entry in folder.iterdir() if not (entry.name.startswith(".") and entry.suffix == ".partial")]


def open_regular(path: Path) -> BinaryIO:
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
