"""Runs, folders and manifest entries -> one commit of a repository, checked before and after.

What is pushed goes through the very code that loads it. The commit is the last step, so that an interrupted push leaves
the repository as it was. Afterwards every file is compared with what the Hub holds, and the model is pulled into an
empty store and sampled.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ganzoo.building import build_with_weights, discriminator_builder, num_parameters
from ganzoo.errors import GanzooError, HubError, UsageError
from ganzoo.hub import client
from ganzoo.hub.access import Access
from ganzoo.hub.card import CardFacts, model_card
from ganzoo.hub.client import LIBRARY, hub_errors
from ganzoo.hub.pull import ROLES, list_files
from ganzoo.hub.signing import SIGNATURE_NAME, sign
from ganzoo.manifest import WeightsEntry
from ganzoo.model import CONFIG_NAME, DISCRIMINATOR_NAME, GAN, GENERATOR_NAME, gan_from_bytes
from ganzoo.references import FolderReference, HubReference, parse_hub_reference, parse_reference
from ganzoo.rendering import picture
from ganzoo.store import Store
from ganzoo.tensors import deserialize
from ganzoo.zoo import find_entry, load, read_folder_file, read_verified

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
    source: str | os.PathLike[str], repo_id: str, *, license: str | None = None, sign_with: Path | None = None
) -> Package:
    """Read and validate weights, draw their picture, write their card and sign all; asks nothing of the network.

    Raises UsageError without a licence, for a Hub reference or for a key that is none, and what loading raises.
    """
    parse_hub_reference(f"hf:{repo_id}")
    contents, metrics, known_license = _read(source)
    chosen = license or known_license
    if not chosen:
        raise UsageError(f"{source} states no licence.", hint="Pass one: --license mit (an SPDX identifier).")
    gan = gan_from_bytes(contents[CONFIG_NAME], contents[GENERATOR_NAME], str(source))
    if DISCRIMINATOR_NAME in contents:
        _check_discriminator(gan, contents[DISCRIMINATOR_NAME], f"{source}/{DISCRIMINATOR_NAME}")
    facts = CardFacts(
        repo_id=repo_id,
        config=gan.config,
        license=chosen.lower(),
        metrics=metrics,
        training=json.loads(contents["training.json"]) if "training.json" in contents else None,
        parameters=num_parameters(gan.generator),
    )
    pushed = {**contents, "samples.png": _samples_png(gan), "README.md": model_card(facts).encode()}
    if sign_with is not None:
        pushed[SIGNATURE_NAME] = sign(pushed, sign_with)
    return Package(repo_id, gan, pushed)


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

    Raises HubError when the Hub cannot be reached, refuses, or holds something else afterwards.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    if client.is_offline():
        raise HubError("HF_HUB_OFFLINE forbids requests.", hint="Unset it to push.")
    repo_id = package.repo_id
    api = HfApi(endpoint=client.endpoint(), token=token, **LIBRARY)  # type: ignore[arg-type]
    with hub_errors(repo_id), tempfile.TemporaryDirectory(prefix="ganzoo-") as folder:
        client.check_reachable()
        api.create_repo(repo_id, private=private or None, exist_ok=True)
        operations = []
        for name, content in package.files.items():
            path = Path(folder, name)  # the client streams files, also to where it takes no bytes
            path.write_bytes(content)
            operations.append(CommitOperationAdd(path_in_repo=name, path_or_fileobj=path))
        info = api.create_commit(
            repo_id,
            operations,
            commit_message=message or f"Upload {package.gan.config.recipe} with ganzoo",
            create_pr=create_pr or None,
        )
        commit = info.oid
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in package.files.items()}
    _compare(package, commit, token)
    if tag is not None and not create_pr:
        with hub_errors(repo_id):
            api.create_tag(repo_id, tag=tag, revision=commit, exist_ok=True)
    return Pushed(repo_id, commit, tag, str(info.commit_url), digests)


def _read(source: str | os.PathLike[str]) -> tuple[dict[str, bytes], list[Mapping[str, Any]], str | None]:
    """Return the files of weights, their metrics and their licence. Raises UsageError and what loading raises."""
    parsed = parse_reference(source)
    if isinstance(parsed, HubReference):
        raise UsageError(f"{source} is on the Hub already.", hint="Push a run, a folder or a name.")
    if not isinstance(parsed, FolderReference):
        entry = find_entry(parsed)
        return (
            {file.path: read_verified(entry, file, Store()) for file in entry.files},
            list(entry.metrics),
            entry.license,
        )
    contents = {name: read_folder_file(parsed.path, name) for name in (CONFIG_NAME, GENERATOR_NAME)}
    for name in (DISCRIMINATOR_NAME, "training.json"):
        if (parsed.path / name).is_file():
            contents[name] = read_folder_file(parsed.path, name)
    return contents, _recorded_metrics(parsed.path), None


def _recorded_metrics(folder: Path) -> list[Mapping[str, Any]]:
    """Return the metrics that `ganzoo eval --save` left beside the weights."""
    try:
        document = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
        return [] if document["deviation"] else list(document["metrics"])
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _check_discriminator(gan: GAN, content: bytes, where: str) -> None:
    tensors, _ = deserialize(content, where)
    build_with_weights(discriminator_builder(gan.config, where), tensors, where)


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
        content = package.files[file.path]
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
    """Prepare every bundled entry for `<organisation>/<name>`. Raises as `prepare` does."""
    bundled = [entry for entry in entries if entry.bundled is not None]
    if not bundled:
        raise GanzooError("no installed manifest bundles anything.", hint="Install ganzoo with its plugins.")
    return [(entry, prepare(str(entry.reference), f"{organisation}/{entry.name}")) for entry in bundled]
