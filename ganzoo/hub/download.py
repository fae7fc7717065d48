"""Files of a repository -> verified blobs in the store, every byte counted and hashed while it arrives.

The client's own download is not used: it writes wherever an ETag says, accepts a wrong partial answer, and returns an
old copy when the Hub fails.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ganzoo.errors import DigestMismatchError, HubError, StoreError
from ganzoo.hub import client
from ganzoo.hub.client import LIBRARY, READ_SECONDS, Access, Deadline, TransientError, hub_errors
from ganzoo.weights.layout import FILES, NEEDED_ROLES
from ganzoo.weights.manifest import WeightsFile
from ganzoo.weights.references import HubReference
from ganzoo.weights.store import store_error, store_errors
from ganzoo.weights.tensors import check_frame

_COMMIT = re.compile(r"[0-9a-f]{40}")


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
    from huggingface_hub import HfApi

    client.check_online(str(reference), access)
    api = HfApi(endpoint=client.endpoint(), token=access.token, **LIBRARY)  # type: ignore[arg-type]
    with hub_errors(reference.repo_id):
        client.check_reachable()
        deadline = Deadline(client.allowed_seconds(30))
        info = client.with_timeout(
            deadline.seconds,
            f"listing {reference}",
            lambda: client.with_retries(
                lambda: api.model_info(
                    reference.repo_id, revision=reference.revision, files_metadata=True, timeout=READ_SECONDS
                ),
                deadline,
            ),
        )
    commit = str(info.sha)
    asked = reference.revision or ""
    if _COMMIT.fullmatch(commit) is None or (_COMMIT.fullmatch(asked) is not None and asked != commit):
        raise HubError(f"the Hub answers with commit {commit!r} for {reference}.", hint="Try again, without a mirror.")
    files = [_remote_file(sibling) for sibling in info.siblings or () if sibling.rfilename in FILES]
    if not {file.role for file in files} >= NEEDED_ROLES:
        raise HubError(
            f"{reference} holds no ganzoo model: it lacks config.json or model.safetensors.",
            hint="Name a repository that `ganzoo push` made.",
        )
    return HubReference(reference.owner, reference.repo, commit), files


def _remote_file(sibling: Any) -> RemoteFile:
    """Read one row of the Hub's listing. Raises HubError for a file that is larger than its kind may be."""
    kind, size = FILES[sibling.rfilename], sibling.size
    if not isinstance(size, int) or not 0 < size <= kind.max_size:
        raise HubError(
            f"{sibling.rfilename} has {size} bytes; the limit is {kind.max_size}.",
            hint="Report it to the repository's owner.",
        )
    sha256 = sibling.lfs.sha256 if sibling.lfs is not None else None
    return RemoteFile(path=sibling.rfilename, role=kind.role, size=size, sha256=sha256, blob_id=sibling.blob_id)


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
            for index, file in enumerate(files):
                sha256 = download(commit, file, staging / str(index), deadline, access)
                if file.path.endswith(".safetensors"):
                    check_frame(staging / str(index))
                fetched.append(WeightsFile(path=file.path, sha256=sha256, size=file.size, role=file.role))
        with store_errors(store.root):
            for index, pinned in enumerate(fetched):
                store.place(pinned, staging / str(index))
        return tuple(fetched)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def download(commit: HubReference, file: RemoteFile, target: Path, deadline: Deadline, access: Access) -> str:
    """Download one file at a commit to `target` and return its sha256.

    Wrong bytes and transient failures are tried again. Raises DigestMismatchError, HubError, StoreError, and what the
    client raises.
    """
    from huggingface_hub import get_hf_file_metadata, get_session, hf_hub_url, hf_raise_for_status
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # not marked as exported

    name = f"{commit.repo_id}/{file.path}"
    url = hf_hub_url(commit.repo_id, file.path, revision=commit.revision, endpoint=client.endpoint())
    reported = 0

    def attempt() -> str:
        nonlocal reported
        # What the Hub announces must be what is pinned, before any byte is fetched.
        deadline.check(file.path)
        announced = client.with_timeout(
            deadline.remaining(),
            f"asking for {file.path}",
            lambda: get_hf_file_metadata(url, token=access.token, timeout=READ_SECONDS, **LIBRARY),  # type: ignore[arg-type]
        )
        etag = announced.etag or ""
        if announced.commit_hash is None:
            raise HubError(
                f"{client.endpoint()} does not say which commit {file.path} is from.",
                hint="Check HF_ENDPOINT: a mirror must pass on the Hub's headers.",
            )
        if announced.commit_hash != commit.revision:
            raise TransientError(f"commit {announced.commit_hash}")
        if announced.size not in (None, file.size):
            raise TransientError(f"{announced.size} bytes")
        if len(etag) == 64 and file.sha256 not in (None, etag):
            raise TransientError(f"sha256 {etag}")

        # Large files lie on another host, behind an address signed for this download. Only the Hub gets our token.
        own = urlsplit(announced.location)[:2] == urlsplit(client.endpoint())[:2]  # scheme and host
        headers = build_hf_headers(token=access.token if own else False, **LIBRARY)  # type: ignore[arg-type]
        headers["Accept-Encoding"] = "identity"
        sha256, sha1 = hashlib.sha256(), hashlib.sha1(f"blob {file.size}\0".encode(), usedforsecurity=False)
        count = 0
        request = get_session().stream("GET", announced.location, headers=headers, timeout=READ_SECONDS)
        with request as response, target.open("wb") as sink:
            hf_raise_for_status(response)
            for chunk in response.iter_raw():
                count += len(chunk)
                if count > file.size:
                    raise TransientError(f"more than {file.size} bytes")
                deadline.check(file.path)
                sink.write(chunk)
                sha256.update(chunk)
                sha1.update(chunk)
                if access.progress is not None and count > reported:  # another try begins at 0; a bar does not
                    reported = count
                    access.progress(name, count, file.size)

        if count != file.size:
            raise TransientError(f"{count} bytes")
        if file.sha256 not in (None, sha256.hexdigest()):
            raise TransientError(f"sha256 {sha256.hexdigest()}")
        if file.sha256 is None and file.blob_id != sha1.hexdigest():
            raise TransientError(f"git blob {sha1.hexdigest()}")
        return sha256.hexdigest()

    try:
        return client.with_retries(attempt, deadline)
    except TransientError as error:
        digest = f"sha256 {file.sha256}" if file.sha256 is not None else f"git blob {file.blob_id}"
        raise DigestMismatchError(
            name, expected=f"{file.size} bytes, {digest}", found=str(error), hint="Try again; nothing was kept."
        ) from error
    except OSError as error:
        # The client's errors are OSErrors too. Those of the disk have a number, and no answer of the Hub.
        if error.errno is None or client.status_of(error) is not None or client.is_network(error):
            raise
        raise store_error(access.store.root, error) from error
