"""What the store knows about repositories: the commit of each revision, and the files of each commit.

    hub/<owner>--<repo>.json

A revision is resolved once. From then on it means the recorded commit, without asking the Hub, until it is pulled with
force or removed.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ganzoo.errors import HubError, StoreError, shortened
from ganzoo.hub.client import SILENCE_SECONDS, allowed_seconds, logger
from ganzoo.system.files import read_json, write_json
from ganzoo.system.locks import holder
from ganzoo.weights.layout import NEEDED_ROLES
from ganzoo.weights.manifest import COMMIT, WeightsFile
from ganzoo.weights.references import HubReference
from ganzoo.weights.store import Store, store_errors


@dataclass(frozen=True)
class HubSnapshot:
    """A repository at one commit."""

    reference: HubReference
    """Its revision is the commit."""
    files: tuple[WeightsFile, ...]


@dataclass
class _Record:
    """The contents of one file."""

    revisions: dict[str, str] = field(default_factory=dict)
    """Branch, tag or commit -> commit."""
    commits: dict[str, tuple[WeightsFile, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not all(map(COMMIT.fullmatch, [*self.revisions.values(), *self.commits])):
            raise ValueError("a commit is not 40 hex digits")


def find_snapshot(reference: HubReference, store: Store) -> HubSnapshot | None:
    """Return what an earlier pull recorded for a reference, or None. Asks nothing of the Hub and hashes nothing.

    A damaged record is reported on stderr and counts as none; the next pull writes it again.
    """
    try:
        record = _read(_path(store, reference))
    except StoreError as error:
        _report(str(error))
        return None
    return _snapshot(reference, record)


def all_snapshots(store: Store) -> list[HubSnapshot]:
    """Return every recorded commit of every repository. Raises StoreError for a damaged record.

    What nobody needs any more is deleted by these records, so none may be missed.
    """
    paths = sorted((store.root / "hub").glob("*.json"))
    return [snapshot for path in paths for _, snapshot in recorded_commits(path)]


def recorded_commits(path: Path) -> list[tuple[HubReference, HubSnapshot]]:
    """Return every commit in a record, each with a reference that means it: its branch or tag, else the commit.

    Raises StoreError for a damaged record.
    """
    owner, _, repo = path.stem.partition("--")
    record, found = _read(path), []
    for commit, files in record.commits.items():
        names = [name for name, meant in record.revisions.items() if meant == commit]
        revision = None if "main" in names else min(names, key=len, default=commit)
        found.append((HubReference(owner, repo, revision), HubSnapshot(HubReference(owner, repo, commit), files)))
    return found


def rebuild_record(path: Path) -> bool:
    """Write a damaged record again with the commits in it that can be read; return whether there are any.

    The caller holds the repository's lock. Raises OSError if it cannot be written.
    """
    try:
        document = read_json(path)
        commits, revisions = dict(document["commits"]), dict(document["revisions"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False
    kept = _Record()
    for commit, rows in commits.items():
        with suppress(ValueError, KeyError, TypeError, AttributeError):
            kept.commits.update(_Record({}, {commit: _files(rows)}).commits)
    kept.revisions = {name: commit for name, commit in revisions.items() if commit in list(kept.commits)}
    if kept.commits:
        write_json(path, asdict(kept))
    return bool(kept.commits)


def record_snapshot(
    store: Store, asked: HubReference, commit: HubReference, fetched: Sequence[WeightsFile]
) -> HubSnapshot:
    """Record which commit a reference means, and its files if they are not known yet. Raises StoreError."""
    path = _path(store, asked)
    try:
        record = _read(path)
    except StoreError:  # was reported when the reference was looked up
        record = _Record()
    before = copy.deepcopy(record)
    snapshot = _snapshot(commit, record) or HubSnapshot(commit, tuple(fetched))
    assert commit.revision is not None
    record.revisions[asked.revision or "main"] = commit.revision
    record.commits[commit.revision] = snapshot.files
    if record != before:
        with store_errors(store.root):
            write_json(path, asdict(record))
    return snapshot


def forget_snapshot(store: Store, snapshot: HubSnapshot) -> None:
    """Delete the record of a commit, and every revision that means it. Raises HubError, StoreError."""
    path = _path(store, snapshot.reference)
    with repository_lock(store, snapshot.reference), store_errors(store.root):
        record, commit = _read(path), snapshot.reference.revision
        record.commits.pop(commit or "", None)
        record.revisions = {name: meant for name, meant in record.revisions.items() if meant != commit}
        if record.commits:
            write_json(path, asdict(record))
        else:
            path.unlink(missing_ok=True)


@contextmanager
def repository_lock(store: Store, reference: HubReference) -> Iterator[None]:
    """Make other processes wait for this one's download. Raises HubError when they wait for too long, StoreError."""
    path = _path(store, reference).with_suffix(".lock")
    lock = FileLock(path)
    with store_errors(store.root):
        path.parent.mkdir(parents=True, exist_ok=True)
        seconds = allowed_seconds(3600)
        try:
            try:
                lock.acquire(timeout=min(seconds, SILENCE_SECONDS))
            except Timeout:
                logger.warning("Waiting for %s, which downloads %s ...", holder(path), reference.repo_id)
                lock.acquire(timeout=max(0, seconds - SILENCE_SECONDS))
        except Timeout:
            raise HubError(
                f"{holder(path)} has been downloading {reference.repo_id} for too long.",
                hint="Stop it, and try again.",
            ) from None
    try:
        yield
    finally:
        lock.release()


def _path(store: Store, reference: HubReference) -> Path:
    return store.root / "hub" / f"{reference.owner}--{reference.repo}.json"


def _read(path: Path) -> _Record:
    """Read a record, empty if there is none. Raises StoreError for one that is damaged."""
    try:
        document = read_json(path)
        revisions, commits = document["revisions"], document["commits"]
        return _Record(dict(revisions), {commit: _files(rows) for commit, rows in commits.items()})
    except FileNotFoundError:
        return _Record()
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        owner, _, repo = path.stem.partition("--")
        raise StoreError(
            f"the record {path} is damaged ({shortened(f'{type(error).__name__}: {error}', 100)}).",
            hint=f"ganzoo pull hf:{owner}/{repo} writes it again; or delete the file, which forgets the repository.",
        ) from error


def _files(rows: Iterable[Mapping[str, Any]]) -> tuple[WeightsFile, ...]:
    files = tuple(WeightsFile(**row) for row in rows)
    if not {file.role for file in files} >= NEEDED_ROLES:
        raise ValueError("a commit lacks a config or a generator file")
    return files


def _snapshot(reference: HubReference, record: _Record) -> HubSnapshot | None:
    revision = reference.revision or "main"
    commit = record.revisions.get(revision, revision)
    files = record.commits.get(commit)
    return None if files is None else HubSnapshot(HubReference(reference.owner, reference.repo, commit), files)


@functools.cache
def _report(problem: str) -> None:
    logger.warning("%s", problem)
