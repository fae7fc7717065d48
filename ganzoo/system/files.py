"""Regular files, read and written as a whole, and folders that are whole or not there."""

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
    """Write a whole file or none: beside its place, flushed to disk, then moved. Raises OSError."""
    with whole_file(target) as file:
        file.write(content)


def write_json(target: Path, document: Any) -> None:
    """Write a JSON file, indented for people, as `write_atomically` does. Raises OSError."""
    write_atomically(target, (json.dumps(document, indent=2) + "\n").encode())


@contextmanager
def whole_file(target: Path) -> Iterator[BinaryIO]:
    """Open a file to write beside its place, flushed to disk and moved there at the end. Raises OSError.

    Whatever is raised inside leaves nothing behind.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = _beside(target)
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
    """Make a hidden folder to write into, moved to its place at the end. Raises OSError.

    A target that exists must be empty. It may be a mount, or where the user stands, so it stays: the hidden folder is
    made inside it, and what was written moves up. Whatever is raised inside leaves nothing behind.
    """
    exists = target.is_dir()
    partial = _beside(target / "all") if exists else _beside(target)
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


def _beside(target: Path) -> Path:
    return target.with_name(f".{target.name}.{secrets.token_hex(8)}.partial")


def read_regular(path: Path) -> bytes:
    """Read a file, and nothing that could wait for ever, such as a FIFO. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Not a regular file", str(path))
        return file.read()
