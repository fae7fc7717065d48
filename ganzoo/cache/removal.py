"""Deleting from the store: what is named, or what nothing needs. What another process is writing stays."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from ganzoo.cache.contents import KINDS, Item, contents, size_of
from ganzoo.data.location import read_copy
from ganzoo.errors import UsageError
from ganzoo.weights.store import Store, store_errors

_ITEMS = (*(f"{kind}:" for kind in KINDS), "blobs/", "hub/", "staging/", "datasets/", "statistics/", "extractors/")
"""How names of items begin that are not references to weights."""


@dataclass(frozen=True)
class Deleted:
    """What became of one item."""

    item: Item
    freed: int
    """Bytes."""
    kept: str | None = None
    """Why it is still there."""


def select(names: Sequence[str]) -> tuple[list[str], list[Item]]:
    """Return what names stand for: references of weights, and other items of the store.

    The beginning of a name stands for all with that beginning: `data` is all data, `data:mnist` that of MNIST,
    `data:mnist/test` every copy of a split. What is not the name of anything in the store is returned as a reference.
    Raises UsageError for a name that can only be that of an item, when there is none.
    """
    found = contents().items
    references: list[str] = []
    items: list[Item] = []
    for name in names:
        beginnings = tuple(f"{name.rstrip('/:')}{end}" for end in ("/:-" if name.startswith("data:") else "/:"))
        named = [item for item in found if name in (item.name, item.kind) or item.name.startswith(beginnings)]
        if not named and (name in KINDS or name.startswith(_ITEMS)):
            raise UsageError(f"nothing in the store is named {name!r}.", hint="`ganzoo cache ls` shows all names.")
        references += [item.name for item in named if item.kind == "weights"] if named else [name]
        items += [item for item in named if item.kind != "weights"]
    return list(dict.fromkeys(references)), list({item.path: item for item in items}.values())


def prune() -> list[Deleted]:
    """Delete all items that are unneeded, except what another process is using. Raises StoreError."""
    store = Store()
    # A pull places blobs before it records them, and holds a lock meanwhile. A blob that is there before this look at
    # the locks, and that no record names after it, belongs to no pull.
    before = {item.path for item in contents().items}
    with store_errors(store.root):
        is_pulling = not all(_is_free(lock) for lock in (store.root / "hub").glob("*.lock"))
    deleted = []
    for item in contents().items:
        if item.unneeded is None or item.path not in before:
            continue
        is_blob = item.path.parent == store.root / "blobs"
        deleted.append(Deleted(item, 0, "a download is under way") if is_blob and is_pulling else delete_item(item))
    return deleted


def delete_item(item: Item) -> Deleted:
    """Delete one item, unless another process holds its lock. Raises StoreError."""
    with store_errors(Store().root), held(item.lock) as is_held:
        if not is_held:
            return Deleted(item, 0, "another process is using it")
        if item.kind == "data" and read_copy(item.path) != item.copy:  # since it was listed
            return Deleted(item, 0, "it has just been packed again")
        freed = size_of(item.path)
        delete(item.path)
        return Deleted(item, freed)


@contextmanager
def held(path: Path | None) -> Iterator[bool]:
    """Hold a lock, if there is one; yield False when another process has it. Raises OSError."""
    if path is None:
        yield True
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _is_free(lock: Path) -> bool:
    with held(lock) as is_held:
        return is_held


def delete(path: Path) -> None:
    """Delete a file or a folder, which is renamed first: it is there as a whole or not at all. Raises OSError."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    if not path.name.startswith(".") and path.parent.name != "staging":
        path = path.rename(path.with_name(f".{path.name}.{secrets.token_hex(8)}.partial"))
    shutil.rmtree(path)
