"""What is in the store. Reads records and sizes, hashes nothing, and loads neither torch nor numpy."""

from __future__ import annotations

import json
import os
import re
import stat
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from ganzoo import registry
from ganzoo.data.location import PackedCopy, packed_copies, read_copy
from ganzoo.errors import GanzooError, StoreError, shortened
from ganzoo.hub.records import recorded_commits
from ganzoo.system.files import read_json
from ganzoo.weights.manifest import WeightsFile, Zoo
from ganzoo.weights.store import Store

KINDS = ("weights", "data", "features", "extractors", "records", "leftovers")
Kind = Literal["weights", "data", "features", "extractors", "records", "leftovers"]

ABANDONED_SECONDS = 3600
"""A temporary file without a lock is taken for a leftover when it is older: nobody writes one for so long."""

_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Item:
    """One thing in the store."""

    kind: Kind
    name: str
    """What `ganzoo cache rm` takes: a reference, `data:mnist/train`, `features:mnist/…`, or a path in the store."""
    path: Path
    """Its folder or file; of weights, the generator's file."""
    size: int
    """Bytes."""
    time: datetime
    """When it was written."""
    origin: str
    """Where it came from."""
    unneeded: str | None = None
    """Why nothing needs it any more; None for what is needed."""
    lock: Path | None = None
    """Held by the process that writes it."""
    files: tuple[WeightsFile, ...] = ()
    """Of weights."""
    copy: PackedCopy | None = None
    """Of packed data with a readable record."""


@dataclass
class Contents:
    """The store, read once."""

    store: Store
    items: list[Item] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes of everything; a file that several weights share counts once."""
        blobs = {file.sha256: file.size for item in self.items for file in item.files if self.store.holds_any(file)}
        return sum(blobs.values()) + sum(item.size for item in self.items if item.kind != "weights")


def contents(store: Store | None = None) -> Contents:
    """Return everything that is in the store. Raises StoreError if it cannot be read."""
    store = store or Store()
    found = Contents(store)
    try:
        # Blobs first: those that a pull adds meanwhile are not taken for blobs that no record names.
        blobs = sorted(_entries(store.root / "blobs"))
        records = list(_records(store))
        weights = [*_weights(store), *(item for item in records if item.kind == "weights")]
        damaged = [item for item in records if item.kind == "records"]
        found.items += [*weights, *_data(store.root / "datasets"), *_features(store.root / "statistics")]
        found.items += [*_extractors(store.root / "extractors"), *damaged]
        zoo = Zoo()
        needed = {file.sha256 for item in weights for file in item.files}
        needed |= {file.sha256 for entry in zoo.entries for file in entry.files}
        # With GANZOO_PLUGINS, manifests of other packages are not read.
        is_all_known = not damaged and not zoo.problems and "GANZOO_PLUGINS" not in os.environ
        found.items += [*_unknown_blobs(store.root, blobs, needed, is_all_known), *_temporary_files(store.root)]
    except OSError as error:
        raise StoreError(f"cannot read the store at {store.root}: {error}.", hint="Check its permissions.") from error
    return found


def _weights(store: Store) -> Iterator[Item]:
    """Yield the entries of all manifests of which files are in the store."""
    for entry in Zoo().entries:
        origin = f"hf:{entry.repo_id}" if entry.repo_id else f"bundled with {entry.owner}"
        item = _weights_item(store, str(entry.reference), entry.files, origin)
        if item is not None:
            yield item


def _records(store: Store) -> Iterator[Item]:
    """Yield the weights of every repository that was pulled, and the records that are damaged."""
    for path in sorted((store.root / "hub").glob("*.json")):
        try:
            for reference, snapshot in recorded_commits(path):
                origin = f"commit {str(snapshot.reference.revision)[:12]}"
                item = _weights_item(store, str(reference), snapshot.files, origin)
                if item is not None:
                    yield item
        except StoreError as error:
            lock = path.with_suffix(".lock")
            origin = f"damaged: {shortened(error.__cause__, 100)}"
            yield Item("records", f"hub/{path.name}", path, size_of(path), _time(path), origin, lock=lock)


def _weights_item(store: Store, reference: str, files: tuple[WeightsFile, ...], origin: str) -> Item | None:
    held = [file for file in files if store.holds_any(file)]
    if not held:
        return None
    generator = next(file for file in files if file.role == "generator")
    if len(held) < len(files):
        origin += f" ({len(held)} of {len(files)} files)"
    size, newest = sum(size_of(store.path(file)) for file in held), max(_time(store.path(file)) for file in held)
    return Item("weights", reference, store.path(generator), size, newest, origin, files=files)


def _data(root: Path) -> Iterator[Item]:
    for folder in sorted(_entries(root)):
        name = f"data:{folder.name}"
        copies = packed_copies(folder.name)
        for path in sorted(_entries(folder / "packed")):
            item = _unfinished_packing(path, name) if path.name.startswith(".") else _packed(path, name, copies)
            if item is not None:
                yield item
        files = folder / "files"
        if files.is_dir():
            lock = folder / ".lock"
            yield Item("data", f"{name}/files", files, size_of(files), _time(files), "downloaded", lock=lock)


def _packed(path: Path, dataset: str, copies: Iterable[PackedCopy]) -> Item:
    copy, lock = read_copy(path), path.parent.parent / f".{path.name}.lock"
    unneeded = None
    if copy is None:
        origin, unneeded = "unknown", "it is damaged, or of an older version"
    else:
        origin = "downloaded" if copy.folder is None else str(copy.folder)
        if copy.settings:
            origin += ", " + " ".join(f"{name}={json.dumps(value)}" for name, value in copy.settings.items())
        if copy.is_changed:
            unneeded = "its files have changed since"
        elif copy.is_sourceless:
            origin += " (gone)" if copy.folder is not None else ""
            if any(_replaces(other, copy) for other in copies):
                unneeded = "its files are gone, and another copy holds the same samples"
    size, written = size_of(path), _time(path / "pack.json")
    return Item("data", _pack_name(dataset, path), path, size, written, origin, unneeded, lock, copy=copy)


def _pack_name(dataset: str, path: Path) -> str:
    """Return a copy's name; of the digest of its folder, six digits tell copies of a split apart."""
    return re.sub("(-[0-9a-f]{6})[0-9a-f]{6}", r"\1", f"{dataset}/{path.name.removeprefix('.')}")


def _replaces(other: PackedCopy, copy: PackedCopy) -> bool:
    """Whether another copy is used instead of one whose files are gone: it is newer, and holds the same samples."""
    same = (other.split, other.digest) == (copy.split, copy.digest)
    return same and other.time > copy.time and not other.is_changed


def _unfinished_packing(path: Path, dataset: str) -> Item | None:
    """Return an interrupted packing, which can be continued unless there is a complete copy; and what a kill left."""
    pack = path.name[1:].partition(".")[0]
    lock = path.parent.parent / f".{pack}.lock"
    if path.name.endswith(".packing"):
        complete = read_copy(path.with_name(pack))
        unneeded = "the copy is complete" if complete is not None and not complete.is_changed else None
        origin = "interrupted; `ganzoo data prepare` continues"
        return Item("data", _pack_name(dataset, path), path, size_of(path), _time(path), origin, unneeded, lock)
    if path.suffix == ".partial":
        return _leftover(path, path.parent.parent.parent.parent, "packing", lock)
    return None


def _features(root: Path) -> Iterator[Item]:
    for dataset in sorted(_entries(root)):
        for path in sorted(_entries(dataset)):
            if path.is_dir() and not path.name.startswith("."):
                yield _features_item(path)


def _features_item(path: Path) -> Item:
    origin, unneeded = "unknown", None
    try:
        record = read_json(path / "record.json")
        origin = f"{record['extractor']}, {record['split']} ({record['num']:,})"
        unneeded = _unneeded_features(path.parent.name, record)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        unneeded = "its record is damaged"
    name, lock = f"features:{path.parent.name}/{path.name[:12]}", path.parent / ".lock"
    return Item("features", name, path, size_of(path), _time(path), origin, unneeded, lock)


def _unneeded_features(dataset: str, record: dict[str, Any]) -> str | None:
    """Return why features of real samples are not needed: the samples are not in the store any more."""
    try:
        drawn = registry.datasets.get(dataset).splits.get(record["split"], 0) is None
    except GanzooError:  # its plugin is not installed here; another environment may use the same store
        return None
    if drawn or any(copy.digest == record["digest"] for copy in packed_copies(dataset)):
        return None
    return "no packed copy has these samples"


def _extractors(root: Path) -> Iterator[Item]:
    for path in sorted(_entries(root)):
        if path.name.startswith("."):
            continue
        yield Item("extractors", f"extractors:{path.name}", path, size_of(path), _time(path), "downloaded")


def _unknown_blobs(root: Path, blobs: Iterable[Path], needed: set[str], is_all_known: bool) -> Iterator[Item]:
    for path in blobs:
        if _DIGEST.fullmatch(path.name) is None or path.name in needed:
            continue
        if is_all_known:
            origin, unneeded = "weights that were pulled", "no weights need it"
        else:
            origin, unneeded = "perhaps of a record or manifest that was not read", None
        yield Item("leftovers", f"blobs/{path.name[:12]}", path, size_of(path), _time(path), origin, unneeded)


def _temporary_files(root: Path) -> Iterator[Item]:
    """Yield what killed processes left: staging folders, and files under a temporary name."""
    for path in sorted(_entries(root / "staging")):
        yield _leftover(path, root, "download", root / "hub" / f"{path.name}.lock")
    places = [root / "blobs", root / "hub", root / "extractors"]
    places += [*sorted(_entries(root / "datasets")), *sorted(_entries(root / "statistics"))]
    for place in places:
        for path in sorted(_entries(place)):
            is_temporary = path.name.startswith(".") and path.suffix == ".partial"
            if is_temporary and time.time() - _time(path).timestamp() > ABANDONED_SECONDS:
                yield _leftover(path, root, "write", None)


def _leftover(path: Path, root: Path, origin: str, lock: Path | None) -> Item:
    name = path.relative_to(root).as_posix()
    return Item("leftovers", name, path, size_of(path), _time(path), origin, f"left by an interrupted {origin}", lock)


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder; links are not followed."""
    try:
        status = path.lstat()
        if stat.S_ISDIR(status.st_mode):
            return sum(map(size_of, path.iterdir()))
        return status.st_size if stat.S_ISREG(status.st_mode) else 0
    except FileNotFoundError:  # another process has just moved it
        return 0


def _entries(folder: Path) -> Iterator[Path]:
    """Yield what is in a folder, nothing if there is none."""
    try:
        yield from folder.iterdir()
    except (FileNotFoundError, NotADirectoryError):
        return


def _time(path: Path) -> datetime:
    try:
        return datetime.fromtimestamp(path.lstat().st_mtime, UTC)
    except OSError:
        return datetime.fromtimestamp(0, UTC)
