"""The store: verified files under GANZOO_HOME.

    blobs/<sha256>                  verified weights files, named by their content
    hub/<owner>--<repo>.json        commits of a repository that were pulled (`ganzoo.hub.records`), with a .lock each
    staging/<owner>--<repo>/        a download that is under way
    datasets/<name>/                downloads and packed copies (`ganzoo.data`)
    extractors/<name>/              weights that an extractor downloaded
    statistics/<dataset>/<key>/     features of real images (`ganzoo.evaluation.features`)

Every file is written to a temporary file in the same folder, flushed, and moved, so that a reader sees the whole file
or none. A blob is hashed again whenever it is read. `ganzoo.cache` lists, prunes and verifies all of it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ganzoo.errors import DigestMismatchError, StoreError, UsageError, hint_for, shortened
from ganzoo.system.files import open_regular, write_atomically
from ganzoo.weights.manifest import WeightsFile


def home() -> Path:
    """Return GANZOO_HOME, or the user's cache folder. Raises UsageError for the home folder of an unknown user."""
    chosen = os.environ.get("GANZOO_HOME")
    if chosen:
        try:
            return Path(chosen).expanduser()
        except RuntimeError as error:  # ~nobody
            raise UsageError(
                f"GANZOO_HOME is {shortened(chosen)!r}: {str(error).rstrip('.')}.", hint="Set it to a folder."
            ) from error
    from platformdirs import user_cache_path

    return user_cache_path("ganzoo")


def store_error(root: Path, error: OSError) -> StoreError:
    """Return what to say about an operating system's error while writing to a store."""
    hint = f"{hint_for(error)} GANZOO_HOME sets where the store is."
    place = error.filename2 or error.filename
    where = f" ({place})" if place else ""
    return StoreError(f"cannot write to the store at {root}: {error.strerror or error}{where}.", hint=hint)


@contextmanager
def store_errors(root: Path) -> Iterator[None]:
    """Turn errors of the operating system into StoreError, which names the store."""
    try:
        yield
    except OSError as error:
        raise store_error(root, error) from error


def check_digest(content: bytes, file: WeightsFile, where: Path, hint: str) -> None:
    """Compare bytes with the pinned size and sha256. Raises DigestMismatchError."""
    if len(content) != file.size:
        raise DigestMismatchError(where, expected=f"{file.size} bytes", found=f"{len(content)}", hint=hint)
    found = hashlib.sha256(content).hexdigest()
    if found != file.sha256:
        raise DigestMismatchError(where, expected=f"sha256 {file.sha256}", found=found, hint=hint)


def read_pinned(path: Path, file: WeightsFile, hint: str) -> bytes:
    """Read a file of the pinned size and sha256; one of another size takes no memory.

    Raises DigestMismatchError, OSError.
    """
    with open_regular(path) as opened:
        size = os.fstat(opened.fileno()).st_size
        if size != file.size:
            raise DigestMismatchError(path, expected=f"{file.size} bytes", found=f"{size}", hint=hint)
        content = opened.read(size)
    check_digest(content, file, path, hint)
    return content


class Store:
    """Content-addressed blobs under one folder."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = home() if root is None else root

    def path(self, file: WeightsFile) -> Path:
        """Return where a file's blob is, or would be."""
        return self.root / "blobs" / file.sha256

    def has(self, file: WeightsFile) -> bool:
        """Whether a blob of the right size is there; `read` checks its bytes."""
        try:
            return self.path(file).stat().st_size == file.size
        except OSError:
            return False

    def holds_any(self, file: WeightsFile) -> bool:
        """Whether there is a blob at all, even a damaged one."""
        return self.path(file).is_file()

    def read(self, file: WeightsFile, hint: str) -> bytes:
        """Return a blob's verified bytes. Raises DigestMismatchError, StoreError."""
        path = self.path(file)
        try:
            return read_pinned(path, file, hint)
        except OSError as error:
            raise StoreError(f"cannot read {path}: {error.strerror}.", hint=hint) from error

    def is_right(self, file: WeightsFile) -> bool:
        """Whether a blob is there and holds the right bytes, all of which are hashed."""
        if not self.has(file) or not self.path(file).is_file():
            return False
        with self.path(file).open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest() == file.sha256

    def place(self, file: WeightsFile, staged: Path) -> None:
        """Move a staged file, whose bytes were verified when they were written, to its place. Raises OSError."""
        path = self.path(file)
        path.parent.mkdir(parents=True, exist_ok=True)
        with staged.open("rb") as content:
            os.fsync(content.fileno())
        staged.replace(path)

    def add(self, file: WeightsFile, content: bytes) -> Path:
        """Store verified bytes; several processes may do so at once. Raises DigestMismatchError, StoreError."""
        path = self.path(file)
        check_digest(content, file, path, "Fetch the file again.")
        with store_errors(self.root):
            try:
                write_atomically(path, content)
            except PermissionError:
                # Windows does not replace a file that another process has open: it may be the same one.
                if not path.is_file() or path.read_bytes() != content:
                    raise
        return path

    def remove(self, file: WeightsFile) -> int:
        """Delete a blob and return the bytes freed, 0 when there was none. Raises StoreError."""
        path = self.path(file)
        with store_errors(self.root):
            try:
                size = path.stat().st_size
                path.unlink()
            except FileNotFoundError:
                return 0
        return size
