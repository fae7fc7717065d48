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

    A target that exists must be empty. It may be a mount point or the current directory and cannot be replaced, so the
    hidden folder is made inside it and the files are moved up. If anything is raised inside, nothing is left behind.
    Raises OSError.
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


def read_regular(path: Path) -> bytes:
    """Read a regular file; others, such as a FIFO, could block for ever. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Not a regular file", str(path))
        return file.read()
