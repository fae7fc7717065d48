"""The whole zoo -> the Hub, and the commits back into the manifest."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from ganzoo.errors import GanzooError, ManifestError
from ganzoo.publishing.push import Package, Pushed, push, zoo_packages
from ganzoo.weights.manifest import manifest_path, read_manifest, write_manifest


def publish_zoo(
    organisation: str,
    manifest: Path | None,
    *,
    private: bool,
    approve: Callable[[list[Package]], bool],
    report: Callable[[Pushed], None] = lambda pushed: None,
) -> list[Pushed]:
    """Push every bundled entry that is not on the Hub to `<organisation>/<name>`, and pin each in the manifest.

    `approve` sees the packages first, `report` each push when it is done and pinned. An interrupted publication leaves
    the manifest true, and the next one goes on where it stopped. Raises ManifestError, HubError, and what `prepare`
    raises.
    """
    path = manifest or manifest_path("ganzoo")
    if path is None:
        raise ManifestError("there is no manifest to write to.", hint="Name one with --manifest.")
    prepared = zoo_packages(organisation, read_manifest(path))
    if not approve([package for _, package in prepared]):
        return []
    pushed = []
    for entry, package in prepared:
        done = push(package, private=private, tag=entry.version)
        pushed.append(done)
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
                hint="Write repo_id and revision into the manifest by hand.",
            ) from error
        report(done)
    return pushed
