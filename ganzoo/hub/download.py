"""One file of the Hub -> a staged file whose every byte was counted and hashed on the way."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ganzoo.errors import DigestMismatchError, HubError
from ganzoo.hub import client
from ganzoo.hub.access import Access
from ganzoo.hub.client import LIBRARY, READ_SECONDS, TransientError


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """A file at one commit, with what is known of its content."""

    path: str
    role: str
    size: int
    sha256: str | None
    """Known for large files and for those that a manifest pins."""
    blob_id: str | None = None
    """Git's own sha1 of a small file."""


class Deadline:
    """A moment after which we give up, however busy the other side keeps us."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.moment = seconds, time.monotonic() + seconds

    def remaining(self) -> float:
        """Return the seconds that are left, at least a moment."""
        return max(0.1, self.moment - time.monotonic())

    def check(self, path: str) -> None:
        """Raise HubError when the moment has come."""
        if time.monotonic() > self.moment:
            raise HubError(
                f"{path} did not arrive within {self.seconds:.0f} s.",
                hint="Try again on a faster network, or allow more with GANZOO_HUB_SECONDS.",
            )


def download(repo_id: str, commit: str, file: RemoteFile, target: Path, deadline: Deadline, access: Access) -> str:
    """Fetch one file at a commit into `target`, and return its sha256.

    Transient failures and wrong bytes are tried again. Raises DigestMismatchError, HubError, OSError, and what the
    client raises.
    """
    reached = 0

    def report(so_far: int) -> None:
        nonlocal reached
        reached = max(reached, so_far)
        if access.progress is not None:
            access.progress(f"{repo_id}/{file.path}", reached, file.size)

    def attempt() -> str:
        deadline.check(file.path)
        return _verified(file, *_stream(repo_id, commit, file, target, deadline, access.token, report))

    try:
        return client.persistently(attempt, deadline.moment)
    except TransientError as error:
        raise DigestMismatchError(
            f"{repo_id}/{file.path}", expected=_expectation(file), found=str(error), hint="Try again; nothing was kept."
        ) from error


def _stream(
    repo_id: str,
    commit: str,
    file: RemoteFile,
    target: Path,
    deadline: Deadline,
    token: str | bool | None,
    report: Callable[[int], None],
) -> tuple[str, str, int]:
    """Write the file's bytes and return their sha256, git sha1 and number."""
    from huggingface_hub import get_hf_file_metadata, get_session, hf_hub_url, hf_raise_for_status
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # not marked as exported

    url = hf_hub_url(repo_id, file.path, revision=commit, endpoint=client.endpoint())
    metadata = client.within(
        deadline.remaining(),
        f"asking for {file.path}",
        lambda: get_hf_file_metadata(url, token=token, timeout=READ_SECONDS, **LIBRARY),  # type: ignore[arg-type]
    )
    _check_metadata(file, commit, metadata.commit_hash, metadata.size, metadata.etag)
    # Our token is for the Hub alone: large files lie on another host, behind an address signed for this download.
    own = urlsplit(metadata.location)[:2] == urlsplit(client.endpoint())[:2]  # scheme and host
    headers = build_hf_headers(token=token if own else False, **LIBRARY)  # type: ignore[arg-type]
    headers["Accept-Encoding"] = "identity"
    sha256, sha1 = hashlib.sha256(), hashlib.sha1(f"blob {file.size}\0".encode(), usedforsecurity=False)
    count = 0
    request = get_session().stream("GET", metadata.location, headers=headers, timeout=READ_SECONDS)
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
            report(count)
    return sha256.hexdigest(), sha1.hexdigest(), count


def _check_metadata(file: RemoteFile, commit: str, seen_commit: str | None, size: int | None, etag: str | None) -> None:
    """Hold what the Hub announces to what was pinned, before any byte is fetched."""
    if seen_commit != commit:
        raise TransientError(f"commit {seen_commit}")
    if size is not None and size != file.size:
        raise TransientError(f"{size} bytes")
    if etag is not None and len(etag) == 64 and file.sha256 is not None and etag != file.sha256:
        raise TransientError(f"sha256 {etag}")


def _verified(file: RemoteFile, sha256: str, sha1: str, count: int) -> str:
    if count != file.size:
        raise TransientError(f"{count} bytes")
    if file.sha256 is not None and sha256 != file.sha256:
        raise TransientError(f"sha256 {sha256}")
    if file.sha256 is None and sha1 != file.blob_id:
        raise TransientError(f"git blob {sha1}")
    return sha256


def _expectation(file: RemoteFile) -> str:
    if file.sha256 is not None:
        return f"{file.size} bytes with sha256 {file.sha256}"
    return f"{file.size} bytes as git blob {file.blob_id}"
