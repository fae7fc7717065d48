"""Runs, folders and manifest entries -> one commit of a repository, checked before and after.

What is pushed goes through the very code that loads it. The commit is the last step, so that an interrupted push leaves
the repository as it was. Afterwards every file is compared with what the Hub holds, and the model is pulled into an
empty store and sampled.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ganzoo.errors import GanzooError, HubError, UsageError, WeightsFormatError
from ganzoo.evaluation.report import saved_metrics
from ganzoo.hub import client
from ganzoo.hub.access import Access
from ganzoo.hub.client import LIBRARY, hub_errors
from ganzoo.hub.pull import ROLES, list_files
from ganzoo.hub.signing import SIGNATURE_NAME, sign
from ganzoo.model import (
    CONFIG_NAME,
    DISCRIMINATOR_NAME,
    GAN,
    GENERATOR_NAME,
    TRAINING_NAME,
    discriminator_from_bytes,
    gan_from_bytes,
)
from ganzoo.publishing.card import CardFacts, model_card
from ganzoo.rendering import picture
from ganzoo.sources import find_entry, load, read_folder_file, read_verified
from ganzoo.weights.building import num_parameters
from ganzoo.weights.manifest import WeightsEntry
from ganzoo.weights.references import FolderReference, HubReference, parse_hub_reference, parse_reference
from ganzoo.weights.store import Store

SAMPLES = 64
"""Samples on the picture, and in the comparison after the push; seed 0."""


@dataclass(frozen=True)
class Package:
    """What a push would write."""

    repo_id: str
    gan: GAN
    files: Mapping[str, bytes]
    """Name in the repository -> content; README.md is the card."""


@dataclass(frozen=True)
class Pushed:
    """What a push wrote."""

    repo_id: str
    commit: str
    tag: str | None
    url: str
    files: Mapping[str, str]
    """Name in the repository -> sha256."""


def prepare(
    source: str | os.PathLike[str] | WeightsEntry,
    repo_id: str,
    *,
    license: str | None = None,
    sign_with: Path | None = None,
) -> Package:
    """Read and validate weights, draw their picture, write their card and sign all; asks nothing of the network.

    Raises UsageError without a licence, for a Hub reference or for a key that is none, and what loading raises.
    """
    parse_hub_reference(f"hf:{repo_id}")
    contents, known_license, metrics = _read(source)
    where = str(source.reference if isinstance(source, WeightsEntry) else source)
    chosen = license or known_license
    if not chosen or _LICENSE.fullmatch(chosen) is None:
        problem = f"{chosen!r} is no licence" if chosen else f"{where} states no licence"
        raise UsageError(f"{problem}.", hint="Pass one: --license mit (an SPDX identifier).")
    gan = gan_from_bytes(contents[CONFIG_NAME], contents[GENERATOR_NAME], where)
    if DISCRIMINATOR_NAME in contents:
        discriminator_from_bytes(gan.config, contents[DISCRIMINATOR_NAME], f"{where}/{DISCRIMINATOR_NAME}")
    facts = CardFacts(
        repo_id=repo_id,
        config=gan.config,
        license=chosen.lower(),
        metrics=metrics,
        training=_training_record(contents, where),
        parameters=num_parameters(gan.generator),
    )
    pushed = {**contents, "samples.png": _samples_png(gan), "README.md": model_card(facts).encode()}
    if sign_with is not None:
        pushed[SIGNATURE_NAME] = sign(pushed, sign_with)
    return Package(repo_id, gan, pushed)


_LICENSE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*")


def push(
    package: Package,
    *,
    private: bool = False,
    tag: str | None = None,
    message: str | None = None,
    create_pr: bool = False,
    token: str | bool | None = None,
) -> Pushed:
    """Create the repository when it is not there, and write everything in one commit; then read it back.

    Files of an earlier push that this one does not have are removed by the same commit. A repository that this call
    created is removed again when the commit fails. Raises HubError when the Hub cannot be reached, refuses, takes too
    long, or holds something else afterwards; UsageError for a tag that is taken, or a tag on a pull request.
    """
    from huggingface_hub import HfApi

    if client.is_offline():
        raise HubError("HF_HUB_OFFLINE forbids requests.", hint="Unset it to push.")
    if tag is not None and create_pr:
        raise UsageError("a pull request has no tag.", hint="Leave one of the two out.")
    repo_id = package.repo_id
    api = HfApi(endpoint=client.endpoint(), token=token, **LIBRARY)  # type: ignore[arg-type]
    seconds = client.allowed_seconds(120 + sum(map(len, package.files.values())) / 50_000)
    with hub_errors(repo_id):
        client.check_reachable()
        new = not client.within(seconds, "asking for the repository", lambda: api.repo_exists(repo_id))
        if not new and tag is not None:
            _check_tag(api, repo_id, tag, seconds)
        client.within(
            seconds, "creating the repository", lambda: api.create_repo(repo_id, private=private or None, exist_ok=True)
        )
        try:
            if private:
                _check_private(api, repo_id, seconds)
            info = client.within(
                seconds, "the commit", lambda: _commit(api, package, message or _default_message(package), create_pr)
            )
        except BaseException:
            if new:
                with contextlib.suppress(Exception):  # the first error is the one to tell
                    client.within(seconds, "removing it again", lambda: api.delete_repo(repo_id, missing_ok=True))
            raise
        commit = info.oid
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in package.files.items()}
    _compare(package, commit, token)
    if tag is not None:
        with hub_errors(repo_id):
            client.within(seconds, "tagging", lambda: api.create_tag(repo_id, tag=tag, revision=commit, exist_ok=True))
    return Pushed(repo_id, commit, tag, str(info.commit_url), digests)


def _default_message(package: Package) -> str:
    return f"Upload {package.gan.config.recipe} with ganzoo"


def _check_private(api: Any, repo_id: str, seconds: float) -> None:
    """Refuse to write into a public repository what was meant to be private."""
    if not client.within(seconds, "asking", lambda: api.model_info(repo_id)).private:
        raise HubError(f"{repo_id} is public already.", hint="Make it private on its page, or push without --private.")


def _check_tag(api: Any, repo_id: str, tag: str, seconds: float) -> None:
    """Refuse a tag that stands at an earlier commit: people rely on it."""
    refs = client.within(seconds, "listing tags", lambda: api.list_repo_refs(repo_id))
    if any(ref.name == tag for ref in refs.tags):
        raise UsageError(f"{repo_id} has a tag {tag!r} already.", hint="Choose the next --tag.")


def _commit(api: Any, package: Package, message: str, create_pr: bool) -> Any:
    """Write the package, and remove what an earlier one had besides, in one commit on top of what was read."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    head = api.model_info(package.repo_id)
    stale = [
        row.rfilename for row in head.siblings or () if row.rfilename in ROLES and row.rfilename not in package.files
    ]
    operations: list[Any] = [CommitOperationDelete(path_in_repo=name) for name in stale]
    with tempfile.TemporaryDirectory(prefix="ganzoo-") as folder:
        for name, content in package.files.items():
            path = Path(folder, name)  # the client streams files, also to where it takes no bytes
            path.write_bytes(content)
            operations.append(CommitOperationAdd(path_in_repo=name, path_or_fileobj=path))
        return api.create_commit(
            package.repo_id,
            operations,
            commit_message=message,
            create_pr=create_pr or None,
            parent_commit=head.sha,
        )


def _read(
    source: str | os.PathLike[str] | WeightsEntry,
) -> tuple[dict[str, bytes], str | None, list[Mapping[str, Any]]]:
    """Return the files of weights, their licence and their metrics. Raises UsageError and what loading raises."""
    parsed = source if isinstance(source, WeightsEntry) else parse_reference(source)
    if isinstance(parsed, HubReference):
        raise UsageError(f"{source} is on the Hub already.", hint="Push a run, a folder or a name.")
    if isinstance(parsed, FolderReference):
        contents = {name: read_folder_file(parsed.path, name) for name in (CONFIG_NAME, GENERATOR_NAME)}
        for name in (DISCRIMINATOR_NAME, TRAINING_NAME):
            if (parsed.path / name).is_file():
                contents[name] = read_folder_file(parsed.path, name)
        weights = hashlib.sha256(contents[GENERATOR_NAME]).hexdigest()
        return contents, None, list(saved_metrics(parsed.path, weights))
    entry = parsed if isinstance(parsed, WeightsEntry) else find_entry(parsed)
    return {file.path: read_verified(entry, file, Store()) for file in entry.files}, entry.license, list(entry.metrics)


def _training_record(contents: Mapping[str, bytes], where: str) -> Mapping[str, Any] | None:
    """Return training.json when it is there. Raises WeightsFormatError when it is not what training writes."""
    if TRAINING_NAME not in contents:
        return None
    try:
        record = json.loads(contents[TRAINING_NAME])
        needed = ("steps", "batch_size", "device", "seconds", "seed", "ganzoo", "torch", "settings")
        return {name: record[name] for name in needed}
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsFormatError(
            f"{where}/{TRAINING_NAME} is no training record: {error!r}.",
            hint="Restore it, or remove it to push without.",
        ) from error


def _samples_png(gan: GAN) -> bytes:
    buffer = io.BytesIO()
    picture(gan.sample(SAMPLES, seed=0), gan.config.sample).save(buffer, format="PNG")
    return buffer.getvalue()


def _compare(package: Package, commit: str, token: str | bool | None) -> None:
    """Hold the commit to what was sent: every digest by the Hub's listing, and the samples of a fresh pull."""
    owner, _, repo = package.repo_id.partition("/")
    reference = HubReference(owner, repo, commit)
    _, remote = list_files(reference, token)
    for file in remote:
        content = package.files.get(file.path, b"")
        sha1 = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
        same = file.sha256 == hashlib.sha256(content).hexdigest() if file.sha256 else file.blob_id == sha1
        if file.size != len(content) or not same:
            raise HubError(f"{package.repo_id}/{file.path} is not what was pushed.", hint="Push again.")
    missing = [name for name in package.files if name in ROLES and name not in {file.path for file in remote}]
    if missing:
        raise HubError(f"{package.repo_id} lacks {', '.join(missing)} after the push.", hint="Push again.")
    with tempfile.TemporaryDirectory(prefix="ganzoo-") as folder:  # an empty store, as a stranger has
        pulled = load(str(reference), access=Access(store=Store(Path(folder)), token=token)).sample(SAMPLES, seed=0)
    if not torch.equal(pulled, package.gan.sample(SAMPLES, seed=0)):
        raise HubError(f"{package.repo_id} samples differently after the push.", hint="Push again.")


def zoo_packages(organisation: str, entries: list[WeightsEntry]) -> list[tuple[WeightsEntry, Package]]:
    """Prepare every bundled entry that has no repository yet. Raises GanzooError for none, and as `prepare` does."""
    waiting = [entry for entry in entries if entry.bundled is not None and entry.repo_id is None]
    if not waiting:
        raise GanzooError("every bundled entry is published already.", hint="`ganzoo show NAME` says where.")
    return [(entry, prepare(entry, f"{organisation}/{entry.name}")) for entry in waiting]
