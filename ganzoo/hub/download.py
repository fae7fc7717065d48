"""Files of a repository -> verified blobs in the store, every byte counted and hashed while it arrives.

The client's own download is not used: it writes wherever an ETag says, accepts a wrong partial answer, and returns an
old copy when the Hub fails.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ganzoo.errors import DigestMismatchError, HubError, StoreError, WeightsFormatError, shortened
from ganzoo.hub import client
from ganzoo.hub.client import Access, Deadline
from ganzoo.hub.endpoint import endpoint
from ganzoo.hub.errors import TransientError, hub_errors, is_network, not_a_hub, status_of
from ganzoo.weights.layout import FILES, NEEDED_ROLES
from ganzoo.weights.manifest import COMMIT, WeightsFile
from ganzoo.weights.references import HubReference
from ganzoo.weights.store import store_error, store_errors
from ganzoo.weights.tensors import check_frame


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """A file at one commit, with what is known of its content."""

    path: str
    role: str
    size: int
    sha256: str | None
    """Known for large files, and for those that a manifest or an earlier pull pins."""
    blob_id: str | None = None
    """Git's own sha1 of a small file."""

    @classmethod
    def pinned(cls, file: WeightsFile) -> RemoteFile:
        """Return a file whose digest is known."""
        return cls(path=file.path, role=file.role, size=file.size, sha256=file.sha256)


def list_files(reference: HubReference, access: Access) -> tuple[HubReference, list[RemoteFile]]:
    """Resolve a revision to a commit and list its files that ganzoo reads. Raises HubError, MissingWeightsError."""
    client.check_online(str(reference), access)
    asked = reference.revision or ""
    path = f"/api/models/{reference.repo_id}" + (f"/revision/{quote(asked, safe='')}" if asked else "")
    with hub_errors(reference.repo_id):
        client.check_reachable()
        info = client.get_json(path, access.token, f"listing {reference}", blobs="true")
    try:
        commit, rows = str(info["sha"]), {row["rfilename"]: row for row in info["siblings"]}
        files = [_remote_file(name, rows[name]) for name in FILES if name in rows]
    except (KeyError, TypeError, AttributeError) as error:
        raise not_a_hub() from error
    if COMMIT.fullmatch(commit) is None or (COMMIT.fullmatch(asked) is not None and asked != commit):
        raise HubError(
            f"the Hub answers with commit {shortened(commit)!r} for {reference}.", hint="Try again, without a mirror."
        )
    if not {file.role for file in files} >= NEEDED_ROLES:
        raise HubError(
            f"{reference} holds no ganzoo model: it lacks config.json or model.safetensors.",
            hint="Name a repository that `ganzoo push` made.",
        )
    return HubReference(reference.owner, reference.repo, commit), files


def _remote_file(name: str, row: Mapping[str, Any]) -> RemoteFile:
    """Read one row of the Hub's listing. Raises HubError for a file that is larger than its kind may be."""
    kind, size, lfs = FILES[name], row["size"], row.get("lfs")
    if not isinstance(size, int) or not 0 < size <= kind.max_size:
        raise HubError(
            f"{name} has {shortened(size)} bytes; the limit is {kind.max_size}.",
            hint="Report it to the repository's owner.",
        )
    sha256 = lfs["sha256"] if lfs else None
    return RemoteFile(path=name, role=kind.role, size=size, sha256=sha256, blob_id=row.get("blobId"))


def fetch(commit: HubReference, files: Sequence[RemoteFile], access: Access) -> tuple[WeightsFile, ...]:
    """Download files at a commit, verify all of them, and only then move them into the store.

    The caller holds the repository's lock. Raises DigestMismatchError, WeightsFormatError, HubError, StoreError, and
    MissingWeightsError when offline.
    """
    client.check_online(str(commit), access)
    store, total = access.store, sum(file.size for file in files)
    staging = store.root / "staging" / f"{commit.owner}--{commit.repo}"
    with store_errors(store.root):
        shutil.rmtree(staging, ignore_errors=True)  # left by a process that was killed
        staging.mkdir(parents=True)
    try:
        free = shutil.disk_usage(staging).free
        if free < total:
            raise StoreError(
                f"{total:,} bytes are needed, {free:,} are free at {staging}.",
                hint="Free some disk space, or set GANZOO_HOME to a folder on another disk.",
            )
        fetched = []
        with hub_errors(commit.repo_id):
            client.check_reachable()
            deadline = Deadline(client.allowed_seconds(min(3600, 60 + total / 50_000)))
            for file in files:
                sha256 = download(commit, file, staging / file.path, deadline, access)
                if file.path.endswith(".safetensors"):
                    _check_frame(commit, staging / file.path)
                fetched.append(WeightsFile(path=file.path, sha256=sha256, size=file.size, role=file.role))
        with store_errors(store.root):
            for pinned in fetched:
                store.place(pinned, staging / pinned.path)
        return tuple(fetched)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _check_frame(commit: HubReference, path: Path) -> None:
    try:
        check_frame(path)
    except WeightsFormatError as error:
        raise WeightsFormatError(f"{commit.repo_id}/{error}", hint="Report it to the repository's owner.") from error


def download(commit: HubReference, file: RemoteFile, target: Path, deadline: Deadline, access: Access) -> str:
    """Download one file at a commit to `target` and return its sha256.

    Wrong bytes and transient failures are tried again. Raises DigestMismatchError, HubError, StoreError, and what the
    client raises.
    """
    from huggingface_hub import hf_hub_url

    name = f"{commit.repo_id}/{file.path}"
    url = hf_hub_url(commit.repo_id, file.path, revision=commit.revision, endpoint=endpoint())
    reported, is_hub = 0, False

    def report(count: int) -> None:
        nonlocal reported
        if access.progress is not None and count >= reported:  # another try begins at 0; a bar does not
            reported = count
            access.progress(name, count, file.size)

    def check(headers: Mapping[str, str]) -> None:
        # What the Hub announces must be what is pinned, before any byte is fetched.
        nonlocal is_hub
        found = headers.get("X-Repo-Commit")
        if found is None:
            return
        is_hub = True
        if found != commit.revision:
            raise TransientError(f"commit {shortened(found)}")
        size = headers.get("X-Linked-Size") or (None if "Location" in headers else headers.get("Content-Length"))
        if size not in (None, str(file.size)):
            raise TransientError(f"{shortened(size)} bytes")
        etag = (headers.get("X-Linked-ETag") or headers.get("ETag") or "").removeprefix("W/").strip('"')
        if len(etag) == 64 and file.sha256 not in (None, etag):
            raise TransientError(f"sha256 {etag}")

    def attempt() -> str:
        nonlocal is_hub
        deadline.check(f"downloading {name}")
        is_hub, count = False, 0
        sha256, sha1 = hashlib.sha256(), hashlib.sha1(f"blob {file.size}\0".encode(), usedforsecurity=False)
        report(0)
        with client.get(url, access.token, check) as response, target.open("wb") as sink:
            if not is_hub:
                raise TransientError("an answer without a commit")
            for chunk in response.iter_raw():
                count += len(chunk)
                if count > file.size:
                    raise TransientError(f"more than {file.size} bytes")
                deadline.check(f"downloading {name}")
                sink.write(chunk)
                sha256.update(chunk)
                sha1.update(chunk)
                report(count)

        if count != file.size:
            raise TransientError(f"{count} bytes")
        if file.sha256 not in (None, sha256.hexdigest()):
            raise TransientError(f"sha256 {sha256.hexdigest()}")
        if file.sha256 is None and file.blob_id != sha1.hexdigest():
            raise TransientError(f"git blob {sha1.hexdigest()}")
        return sha256.hexdigest()

    try:
        return client.with_timeout(
            deadline.remaining(),
            f"downloading {name}",
            lambda: client.with_retries(attempt, deadline),
            is_shown=access.progress is not None,
        )
    except TransientError as error:
        if not is_hub:
            raise not_a_hub() from error
        digest = f"sha256 {file.sha256}" if file.sha256 is not None else f"git blob {file.blob_id}"
        raise DigestMismatchError(
            name, expected=f"{file.size} bytes, {digest}", found=str(error), hint="Try again; nothing was kept."
        ) from error
    except OSError as error:
        # The client's errors are OSErrors too. Those of the disk have a number, and no answer of the Hub.
        if error.errno is None or status_of(error) is not None or is_network(error):
            raise
        raise store_error(access.store.root, error) from error
