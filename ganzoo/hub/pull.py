"""Repositories -> verified blobs in the store.

    hub/<owner>--<repo>.json    which revision was resolved to which commit, and the files of each commit

A revision is resolved once: from then on it means the recorded commit, and nothing is asked of the network, until
somebody pulls with force.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ganzoo.errors import HubError, MissingWeightsError, StoreError
from ganzoo.hub import client
from ganzoo.hub.access import Access
from ganzoo.hub.client import hub_errors
from ganzoo.hub.download import Deadline, RemoteFile, download
from ganzoo.hub.snapshot import HubSnapshot
from ganzoo.system.files import write_atomically
from ganzoo.weights.manifest import WeightsEntry, WeightsFile
from ganzoo.weights.references import HubReference
from ganzoo.weights.store import Store, store_errors
from ganzoo.weights.tensors import check_frame

ROLES = {
    "config.json": ("config", 1 << 20),
    "model.safetensors": ("generator", 4 << 30),
    "discriminator.safetensors": ("discriminator", 4 << 30),
    "training.json": ("training", 16 << 20),
    "README.md": ("card", 4 << 20),
    "samples.png": ("samples", 64 << 20),
    "model.sig": ("signature", 4 << 20),
}
"""The files that we take from a repository: their role, and the most bytes each may have."""

_COMMIT = re.compile(r"[0-9a-f]{40}")


def stored_snapshot(reference: HubReference, store: Store) -> HubSnapshot | None:
    """Return what an earlier pull recorded for a reference; asks nothing of the network, hashes nothing."""
    record = _read_record(_record_path(store, reference))
    revision = reference.revision or "main"
    commit = revision if revision in record["commits"] else record["revisions"].get(revision)
    if commit is None or commit not in record["commits"]:
        return None
    try:
        files = tuple(WeightsFile(**file) for file in record["commits"][commit])
    except (TypeError, ValueError):
        return None
    return HubSnapshot(HubReference(reference.owner, reference.repo, commit), files)


def pull_reference(reference: HubReference, access: Access, *, force: bool = False) -> HubSnapshot:
    """Return a repository at the commit that its revision means, with every file verified in the store.

    Raises HubError, DigestMismatchError, MissingWeightsError (offline), StoreError.
    """
    store = access.store
    with _locked(store, reference):
        known = None if force else stored_snapshot(reference, store)
        if known is not None:
            _fetch_pinned(access, reference.repo_id, str(known.reference.revision), known.files)
            return known
        check_online(str(reference), access)
        commit, remote = list_files(reference, access.token)
        pinned = HubReference(reference.owner, reference.repo, commit)
        recorded = stored_snapshot(pinned, store)
        if recorded is not None:  # a commit never changes, whatever a mirror says now
            files = recorded.files
            _fetch_pinned(access, reference.repo_id, commit, files, force)
        else:
            files = _fetch(access, reference.repo_id, commit, remote)
        _write_record(store, reference, commit, files)
        return HubSnapshot(pinned, files)


def _fetch_pinned(access: Access, repo_id: str, commit: str, files: Sequence[WeightsFile], force: bool = False) -> None:
    """Fetch those of the pinned files that are not in the store, or all; each must be what was pinned."""
    missing = [file for file in files if force or not access.store.is_right(file)]
    if missing:
        check_online(repo_id, access)
        remote = [RemoteFile(path=file.path, role=file.role, size=file.size, sha256=file.sha256) for file in missing]
        _fetch(access, repo_id, commit, remote)


def pull_entry(entry: WeightsEntry, wanted: Sequence[WeightsFile], access: Access, *, force: bool = False) -> None:
    """Fetch pinned files of a published entry into the store. Raises as `pull_reference` does."""
    if entry.repo_id is None or entry.revision is None:
        raise MissingWeightsError(
            f"{entry.reference} is neither in the store nor bundled with an installed package, and not on the Hub.",
            hint=f"Update the package that lists it ({entry.owner}).",
        )
    owner, _, repo = entry.repo_id.partition("/")
    with _locked(access.store, HubReference(owner, repo)):
        _fetch_pinned(access, entry.repo_id, entry.revision, wanted, force)


def list_files(reference: HubReference, token: str | bool | None = None) -> tuple[str, list[RemoteFile]]:
    """Resolve a revision to a commit and list the files there that are ours. Raises HubError."""
    from huggingface_hub import HfApi

    api = HfApi(endpoint=client.endpoint(), token=token, **client.LIBRARY)  # type: ignore[arg-type]
    with hub_errors(reference.repo_id):
        client.check_reachable()
        deadline = Deadline(client.allowed_seconds(30))
        info = client.within(
            deadline.seconds,
            f"listing {reference}",
            lambda: client.persistently(
                lambda: api.model_info(
                    reference.repo_id, revision=reference.revision, files_metadata=True, timeout=client.READ_SECONDS
                ),
                deadline.moment,
            ),
        )
    commit = str(info.sha)
    asked = reference.revision or ""
    if _COMMIT.fullmatch(commit) is None or (_COMMIT.fullmatch(asked) is not None and asked != commit):
        raise HubError(f"the Hub answers with commit {commit!r} for {reference}.", hint="Try again, without a mirror.")
    files = [_remote_file(sibling) for sibling in info.siblings or () if sibling.rfilename in ROLES]
    roles = {file.role for file in files}
    if not {"config", "generator"} <= roles:
        raise HubError(
            f"{reference} holds no ganzoo model: it lacks config.json or model.safetensors.",
            hint="Name a repository that `ganzoo push` made.",
        )
    return commit, files


def _remote_file(sibling: Any) -> RemoteFile:
    """Read one row of the Hub's listing. Raises HubError when it is larger than its role may be."""
    role, most = ROLES[sibling.rfilename]
    size = sibling.size
    if not isinstance(size, int) or not 0 < size <= most:
        raise HubError(f"{sibling.rfilename} has {size} bytes; at most {most} are taken.", hint="Tell its owner.")
    sha256 = sibling.lfs.sha256 if sibling.lfs is not None else None
    return RemoteFile(path=sibling.rfilename, role=role, size=size, sha256=sha256, blob_id=sibling.blob_id)


def _fetch(access: Access, repo_id: str, commit: str, remote: Sequence[RemoteFile]) -> tuple[WeightsFile, ...]:
    """Stage every file, verify it, and only then move them all into the store."""
    store = access.store
    total = sum(file.size for file in remote)
    staging = store.root / "staging" / repo_id.replace("/", "--")
    with store_errors(store.root):
        shutil.rmtree(staging, ignore_errors=True)  # what a killed process left; we hold the repository's lock
        staging.mkdir(parents=True)
    try:
        _check_space(staging, total)
        deadline = Deadline(client.allowed_seconds(min(3600, 60 + total / 50_000)))
        files = []
        with hub_errors(repo_id):
            client.check_reachable()
            for index, file in enumerate(remote):
                sha256 = _download_into(staging / str(index), repo_id, commit, file, deadline, access)
                if file.path.endswith(".safetensors"):
                    check_frame(staging / str(index))
                files.append(WeightsFile(path=file.path, sha256=sha256, size=file.size, role=file.role))
        with store_errors(store.root):
            for index, pinned in enumerate(files):
                store.place(pinned, staging / str(index))
        return tuple(files)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _download_into(
    target: Path, repo_id: str, commit: str, file: RemoteFile, deadline: Deadline, access: Access
) -> str:
    try:
        return download(repo_id, commit, file, target, deadline, access)
    except OSError as error:
        if error.errno is not None and client.status_of(error) is None and not client.is_network(error):
            raise StoreError(
                f"cannot write to the store at {access.store.root}: {error.strerror}.",
                hint="Free some space, or set GANZOO_HOME to a folder on a larger disk.",
            ) from error
        raise


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StoreError(
            f"{needed:,} bytes are needed, {free:,} are free at {folder}.",
            hint="Free some space, or set GANZOO_HOME to a folder on a larger disk.",
        )


def check_online(what: str, access: Access) -> None:
    """Raise MissingWeightsError when nothing may be asked of the Hub."""
    if access.offline or client.is_offline():
        reason = "local_files_only" if access.offline else "HF_HUB_OFFLINE"
        raise MissingWeightsError(
            f"{what} is to be fetched, and {reason} forbids asking the Hub.",
            hint="Pull it once without that; after that it needs no network.",
        )


# --- records ---


def _record_path(store: Store, reference: HubReference) -> Path:
    return store.root / "hub" / f"{reference.owner}--{reference.repo}.json"


@contextmanager
def _locked(store: Store, reference: HubReference) -> Iterator[None]:
    """Let a second process wait for the first one's download. Raises HubError when that takes too long, StoreError."""
    path = _record_path(store, reference).with_suffix(".lock")
    lock = FileLock(path)
    with store_errors(store.root):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=client.allowed_seconds(3600))
        except Timeout:
            raise HubError(
                f"another process has been fetching {reference.repo_id} for too long.", hint="Stop it, and try again."
            ) from None
    try:
        yield
    finally:
        lock.release()


def recorded_digests(store: Store, but: HubReference | None = None) -> set[str]:
    """Return the sha256 of every file that a pulled repository needs, one repository left out."""
    left_out = _record_path(store, but) if but is not None else None
    records = [_read_record(path) for path in (store.root / "hub").glob("*.json") if path != left_out]
    return {file["sha256"] for record in records for files in record["commits"].values() for file in files}


def _read_record(path: Path) -> dict[str, dict[str, Any]]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return {"revisions": dict(record["revisions"]), "commits": dict(record["commits"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {"revisions": {}, "commits": {}}


def _write_record(store: Store, reference: HubReference, commit: str, files: Sequence[WeightsFile]) -> None:
    path = _record_path(store, reference)
    record = _read_record(path)
    record["revisions"][reference.revision or "main"] = commit
    record["commits"][commit] = [asdict(file) for file in files]
    with store_errors(store.root):
        write_atomically(path, (json.dumps(record, indent=2) + "\n").encode())
