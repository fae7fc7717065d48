"""What the store knows about repositories: the commit of each revision, and the files of each commit.

    hub/<owner>--<repo>.json

A revision is resolved once. From then on it means the recorded commit, without asking the Hub, until it is pulled with
force or removed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ganzoo.errors import HubError
from ganzoo.hub.client import allowed_seconds
from ganzoo.system.files import write_json
from ganzoo.weights.manifest import WeightsFile
from ganzoo.weights.references import HubReference
from ganzoo.weights.store import Store, store_errors


@dataclass(frozen=True)
class HubSnapshot:
    """A repository at one commit."""

    reference: HubReference
    """Its revision is the commit."""
    files: tuple[WeightsFile, ...]


def find_snapshot(reference: HubReference, store: Store) -> HubSnapshot | None:
    """Return what an earlier pull recorded for a reference, or None. Asks nothing of the Hub and hashes nothing."""
    record = _read(_path(store, reference))
    revision = reference.revision or "main"
    commit = record["revisions"].get(revision, revision)
    return _snapshot(reference, commit, record)


def all_snapshots(store: Store) -> list[HubSnapshot]:
    """Return every recorded commit of every repository."""
    found = []
    for path in sorted((store.root / "hub").glob("*.json")):
        owner, _, repo = path.stem.partition("--")
        record = _read(path)
        found += [_snapshot(HubReference(owner, repo), commit, record) for commit in record["commits"]]
    return [snapshot for snapshot in found if snapshot is not None]


def record_snapshot(
    store: Store, asked: HubReference, commit: HubReference, fetched: Sequence[WeightsFile]
) -> HubSnapshot:
    """Record which commit a reference means, and its files if they are not known yet. Raises StoreError."""
    path = _path(store, asked)
    record, before = _read(path), _read(path)
    snapshot = find_snapshot(commit, store) or HubSnapshot(commit, tuple(fetched))
    record["revisions"][asked.revision or "main"] = commit.revision
    record["commits"][commit.revision] = [asdict(file) for file in snapshot.files]
    if record != before:
        with store_errors(store.root):
            write_json(path, record)
    return snapshot


def forget_snapshot(store: Store, snapshot: HubSnapshot) -> None:
    """Delete the record of a commit, and every revision that means it. Raises HubError, StoreError."""
    path = _path(store, snapshot.reference)
    with repository_lock(store, snapshot.reference), store_errors(store.root):
        record, commit = _read(path), snapshot.reference.revision
        record["commits"].pop(commit, None)
        record["revisions"] = {name: meant for name, meant in record["revisions"].items() if meant != commit}
        if record["commits"]:
            write_json(path, record)
        else:
            path.unlink(missing_ok=True)


@contextmanager
def repository_lock(store: Store, reference: HubReference) -> Iterator[None]:
    """Make other processes wait for this one's download. Raises HubError when they wait for too long, StoreError."""
    path = _path(store, reference).with_suffix(".lock")
    lock = FileLock(path)
    with store_errors(store.root):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=allowed_seconds(3600))
        except Timeout:
            raise HubError(
                f"another process has been downloading {reference.repo_id} for too long.",
                hint="Stop it, and try again.",
            ) from None
    try:
        yield
    finally:
        lock.release()


def _path(store: Store, reference: HubReference) -> Path:
    return store.root / "hub" / f"{reference.owner}--{reference.repo}.json"


def _read(path: Path) -> dict[str, dict[Any, Any]]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return {"revisions": dict(record["revisions"]), "commits": dict(record["commits"])}
    except (OSError, ValueError, KeyError, TypeError):  # none yet, or damaged: the Hub is asked again
        return {"revisions": {}, "commits": {}}


def _snapshot(reference: HubReference, commit: str, record: dict[str, dict[Any, Any]]) -> HubSnapshot | None:
    try:
        files = tuple(WeightsFile(**file) for file in record["commits"][commit])
    except (KeyError, TypeError, ValueError):
        return None
    return HubSnapshot(HubReference(reference.owner, reference.repo, commit), files)
