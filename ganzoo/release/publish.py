"""Every bundled entry -> the Hub, and the commits into the manifest."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from ganzoo.errors import GanzooError, ManifestError, hint_for
from ganzoo.publishing.push import Package, Pushed, prepare, send
from ganzoo.weights.manifest import manifest_path, read_manifest, write_manifest


def publish_zoo(
    organisation: str,
    manifest: Path | None,
    *,
    private: bool,
    approve: Callable[[list[Package]], bool],
    report: Callable[[Pushed], None] = lambda pushed: None,
) -> list[Pushed]:
    """Push every bundled entry that is not on the Hub to `<organisation>/<name>`, and pin its commit in the manifest.

    `approve` is asked about all packages first; `report` is called after each push, once it is pinned. An interrupted
    publication can be started again: it continues with the entries that are not pinned. Raises ManifestError, HubError,
    GanzooError when every entry is published, and what `prepare` raises.
    """
    path = manifest or manifest_path("ganzoo")
    if path is None:
        raise ManifestError("there is no manifest to write to.", hint="Name one with --manifest.")
    waiting = [entry for entry in read_manifest(path) if entry.bundled is not None and entry.repo_id is None]
    if not waiting:
        raise GanzooError("every bundled entry is already published.", hint="`ganzoo show NAME` shows where.")
    # All of them before the first push: what cannot be published is found while nothing is public.
    prepared = [(entry, prepare(entry, f"{organisation}/{entry.name}")) for entry in waiting]
    if not approve([package for _, package in prepared]):
        return []
    pushed = []
    for entry, package in prepared:
        done = send(package, private=private, tag=entry.version)
        pushed.append(done)
        # Read again, because the entry before this one was pinned there. Written after every push, so that an
        # interruption leaves no commit that the manifest does not know.
        entries = [
            dataclasses.replace(other, repo_id=done.repo_id, revision=done.commit)
            if other.reference == entry.reference
            else other
            for other in read_manifest(path)
        ]
        try:
            write_manifest(path, entries)
        except OSError as error:
            raise GanzooError(
                f"{done.repo_id} is pushed at {done.commit}, but {path} cannot be written: {error.strerror}.",
                hint=f"{hint_for(error)} Then enter repo_id and revision by hand.",
            ) from error
        report(done)
    return pushed
