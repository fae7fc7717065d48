"""Models, runs, folders and manifest entries -> one commit of a repository, checked before and after.

Before the push, the code that loads weights reads everything. The commit is the last step, so that an interrupted push
leaves the repository as it was. Afterwards every file is compared with the Hub's listing, and the model is pulled into
an empty store and sampled.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ganzoo.errors import (
    BadReferenceError,
    DigestMismatchError,
    GanzooError,
    HubError,
    HubTimeoutError,
    UsageError,
    shortened,
)
from ganzoo.evaluation.report import saved_metrics
from ganzoo.hub import client
from ganzoo.hub.client import Access, Deadline, Result
from ganzoo.hub.download import RemoteFile, list_files
from ganzoo.hub.endpoint import endpoint, is_offline
from ganzoo.hub.errors import TransientError, hub_errors, is_transient, status_of
from ganzoo.hub.signing import sign
from ganzoo.model import GAN, gan_from_bytes
from ganzoo.publishing.card import CardFacts, model_card
from ganzoo.publishing.stability import warn_if_unstable
from ganzoo.rendering import picture
from ganzoo.sources import load, resolve
from ganzoo.sources.kinds import HubSource
from ganzoo.system.files import scratch_folder
from ganzoo.weights.building import num_parameters
from ganzoo.weights.layout import (
    CARD_NAME,
    CONFIG_NAME,
    DISCRIMINATOR_NAME,
    FILES,
    GENERATOR_NAME,
    NAMES,
    SAMPLES_NAME,
    SIGNATURE_NAME,
    TRAINED_ROLES,
    TRAINING_NAME,
)
from ganzoo.weights.manifest import WeightsEntry
from ganzoo.weights.model_config import parse_training_record
from ganzoo.weights.nets import discriminator_from_bytes
from ganzoo.weights.references import parse_hub_reference
from ganzoo.weights.store import Store

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import ModelInfo

SAMPLES = 64
"""Samples in the picture and in the comparison after the push; seed 0."""


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


def push(
    source: GAN | str | os.PathLike[str],
    repo_id: str,
    *,
    license: str | None = None,
    private: bool = False,
    tag: str | None = None,
    message: str | None = None,
    create_pr: bool = False,
    sign_with: str | os.PathLike[str] | None = None,
    token: str | bool | None = None,
) -> Pushed:
    """Publish weights on the Hugging Face Hub in one commit, read them back and compare them.

        ganzoo.push("runs/curves", "you/my-gan", license="mit", tag="v1")

    Args:
        source: a model, a run or weights folder, or a name of weights.
        repo_id: `owner/name`; the repository is created when it does not exist.
        license: SPDX identifier, such as `mit`; needed where neither a manifest entry nor an import states one.
        private: make a new repository private; an existing one must be private already.
        tag: a tag for the commit, such as `v1`.
        message: message of the commit.
        create_pr: open a pull request instead of committing.
        sign_with: a private key (PEM) to sign with; needs the extra `sign`.
        token: a token; None takes the one of HF_TOKEN or `hf auth login`.

    Raises:
        UsageError: no licence, a Hub reference, a taken tag, or a key that cannot sign.
        HubError: the Hub cannot be reached, refuses, takes too long, or holds something else afterwards.
        GanzooError: whatever loading the weights raises.
    """
    key = None if sign_with is None else Path(sign_with)
    if isinstance(source, GAN):
        with scratch_folder() as folder:
            package = prepare(source.save(folder), repo_id, license=license, sign_with=key)
    else:
        package = prepare(source, repo_id, license=license, sign_with=key)
    return send(package, private=private, tag=tag, message=message, create_pr=create_pr, token=token)


def prepare(
    reference: str | os.PathLike[str] | WeightsEntry,
    repo_id: str,
    *,
    license: str | None = None,
    sign_with: Path | None = None,
) -> Package:
    """Read and check weights, draw their samples, write their card and sign everything.

    Asks nothing of the Hub, unless the weights of a manifest entry have to be downloaded. Raises UsageError without a
    licence, for a Hub reference or for a key that cannot sign, and what loading raises.
    """
    try:
        parse_hub_reference(f"hf:{repo_id}")
    except BadReferenceError:
        raise BadReferenceError(
            f"{shortened(repo_id)!r} is not a repository.", hint="Write OWNER/NAME, such as you/mnist-mlp."
        ) from None
    source = resolve(reference)
    if isinstance(source, HubSource):
        raise UsageError(f"{reference} is already on the Hub.", hint="Push a run, a folder or a name.")
    contents = {NAMES[file.role]: content for file, content in source.read_all().items() if file.role in TRAINED_ROLES}
    where, metrics = source.reference, source.metrics
    if source.folder is not None:
        metrics = list(saved_metrics(source.folder, hashlib.sha256(contents[GENERATOR_NAME]).hexdigest()))
    gan = gan_from_bytes(contents[CONFIG_NAME], contents[GENERATOR_NAME], where)
    warn_if_unstable(gan)
    origin = gan.config.origin
    chosen = license or source.license or (origin.license if origin is not None else None)
    if not chosen or _LICENSE.fullmatch(chosen) is None:
        problem = f"{chosen!r} is not a licence" if chosen else f"no licence is stated for {repo_id}"
        raise UsageError(f"{problem}.", hint="Pass one: --license mit (an SPDX identifier).")
    if DISCRIMINATOR_NAME in contents:
        discriminator_from_bytes(gan.config, contents[DISCRIMINATOR_NAME], f"{where}/{DISCRIMINATOR_NAME}")
    facts = CardFacts(
        repo_id=repo_id,
        config=gan.config,
        license=chosen.lower(),
        metrics=metrics,
        training=(
            parse_training_record(contents[TRAINING_NAME], f"{where}/{TRAINING_NAME}")
            if TRAINING_NAME in contents
            else None
        ),
        parameters=num_parameters(gan.generator),
    )
    files = {**contents, CARD_NAME: model_card(facts).encode()}
    if gan.config.sample.kind != "tensor":  # tensors are not drawn
        samples = io.BytesIO()
        picture(gan.sample(SAMPLES, seed=0), gan.config.sample).save(samples, format="PNG")
        files[SAMPLES_NAME] = samples.getvalue()
    if sign_with is not None:
        files[SIGNATURE_NAME] = sign(files, sign_with)
    return Package(repo_id, gan, files)


_LICENSE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*")


def send(
    package: Package,
    *,
    private: bool = False,
    tag: str | None = None,
    message: str | None = None,
    create_pr: bool = False,
    token: str | bool | None = None,
) -> Pushed:
    """Create the repository if it does not exist, and write everything in one commit; then read it back.

    Files of an earlier push that the package lacks are deleted by the same commit. A repository that this call created,
    and that holds nothing yet, is deleted again when the commit fails. Raises HubError when the Hub cannot be reached,
    refuses, takes too long, or holds something else afterwards; UsageError for a tag that is taken, or a tag on a pull
    request.
    """
    if is_offline():
        raise HubError("HF_HUB_OFFLINE forbids requests.", hint="Unset it to push.")
    if tag is not None and create_pr:
        raise UsageError("a pull request cannot have a tag.", hint="Leave out --tag or --create-pr.")
    repo_id = package.repo_id
    seconds = client.allowed_seconds(120 + sum(map(len, package.files.values())) / 50_000)
    with hub_errors(repo_id):
        client.check_reachable()
        api = client.hub_api(token)
        is_new = _ask(seconds, "creating the repository", lambda: _create(api, repo_id, private))
        if not is_new and tag is not None:
            _check_tag(api, repo_id, tag, seconds)
        head = _ask(seconds, "asking for the repository", lambda: _head(api, repo_id, is_new))
        text = message or f"Upload {package.gan.config.recipe} with ganzoo"
        try:
            if private:
                _check_private(head)
            # Each retry of a pull request would open another one.
            commit, url = (client.with_timeout if create_pr else _ask)(
                seconds, "the commit", lambda: _commit(api, package, head, text, create_pr, token)
            )
        except BaseException as error:
            if isinstance(error, HubTimeoutError):
                error.hint = f"It may still arrive: look at {endpoint()}/{repo_id} before you push again."
            if is_new:
                with contextlib.suppress(Exception):  # the first error is the one to report
                    client.with_timeout(seconds, "removing it again", lambda: _delete_unchanged(api, head))
            raise
    try:
        _compare(package, commit, token)
        if tag is not None:
            with hub_errors(repo_id):
                _ask(seconds, "tagging", lambda: api.create_tag(repo_id, tag=tag, revision=commit, exist_ok=True))
    except GanzooError as error:
        raise HubError(f"{error} The commit was made, see {url}", hint=error.hint) from error
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in package.files.items()}
    return Pushed(repo_id, commit, tag, url, digests)


def _ask(seconds: float, what: str, action: Callable[[], Result]) -> Result:
    """Do something within a time limit; transient failures are retried."""
    return client.with_timeout(seconds, what, lambda: client.with_retries(action, Deadline(seconds)))


def _create(api: HfApi, repo_id: str, private: bool) -> bool:
    """Create a repository and return True, or False if there is one already.

    The Hub's answer to the creation decides. A question whether it exists may be answered by a server that lags behind,
    and what we did not create must never be deleted.
    """
    try:
        api.create_repo(repo_id, private=private or None, exist_ok=False)
    except Exception as error:
        status = status_of(error)
        # A token that may not create repositories may still write to this one.
        if status == 409 or (status in (401, 402, 403) and api.repo_exists(repo_id)):
            return False
        raise
    return True


def _head(api: HfApi, repo_id: str, is_new: bool) -> ModelInfo:
    """Return what the Hub knows of a repository. One that we just created may not have reached all of its servers."""
    try:
        return api.model_info(repo_id)
    except Exception as error:
        if is_new and status_of(error) == 404:
            raise TransientError(f"the Hub created {repo_id}, but does not find it") from error
        raise


def _delete_unchanged(api: HfApi, head: ModelInfo) -> None:
    """Delete a repository that we created, if it is still as it was created."""
    is_empty = {row.rfilename for row in head.siblings or ()} <= {".gitattributes"}
    if is_empty and api.model_info(head.id).sha == head.sha:
        api.delete_repo(head.id, missing_ok=True)


def _check_private(head: ModelInfo) -> None:
    """Refuse to write private weights into a public repository. Raises HubError."""
    if not head.private:
        raise HubError(f"{head.id} is already public.", hint="Make it private on its page, or push without --private.")


def _check_tag(api: HfApi, repo_id: str, tag: str, seconds: float) -> None:
    """Refuse a tag that an earlier commit has: others rely on it. Raises UsageError."""
    refs = _ask(seconds, "listing tags", lambda: api.list_repo_refs(repo_id))
    if any(ref.name == tag for ref in refs.tags):
        raise UsageError(f"{repo_id} already has a tag {tag!r}.", hint="Choose the next --tag.")


def _commit(
    api: HfApi, package: Package, head: ModelInfo, message: str, create_pr: bool, token: str | bool | None
) -> tuple[str, str]:
    """Write the package and delete other files of an earlier one, in one commit on top of `head`.

    Returns the commit and its address.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    stale = [
        row.rfilename for row in head.siblings or () if row.rfilename in FILES and row.rfilename not in package.files
    ]
    operations: list[Any] = [CommitOperationDelete(path_in_repo=name) for name in stale]
    with scratch_folder() as folder:
        for name, content in package.files.items():
            path = folder / name  # the client streams files, also where it does not take bytes
            path.write_bytes(content)
            operations.append(CommitOperationAdd(path_in_repo=name, path_or_fileobj=path))
        try:
            info = api.create_commit(
                package.repo_id,
                operations,
                commit_message=message,
                create_pr=create_pr or None,
                parent_commit=head.sha,
            )
            return str(info.oid), str(info.commit_url)
        except Exception as error:
            # Perhaps only the answer was lost or is odd; after a lost one, the Hub refuses a second commit on the same
            # parent (412).
            if create_pr or not (is_transient(error) or status_of(error) in (None, 412)):
                raise
            commit = _standing_commit(package, token)
            if commit is None:
                raise
            return commit, f"{endpoint()}/{package.repo_id}/commit/{commit}"


def _standing_commit(package: Package, token: str | bool | None) -> str | None:
    """Return the commit of the main branch if it holds exactly the package."""
    try:
        reference, remote = list_files(parse_hub_reference(package.repo_id), Access(token=token))
    except HubError:
        return None
    return reference.revision if not _differences(package, remote) else None


def _compare(package: Package, commit: str, token: str | bool | None) -> None:
    """Compare the commit with the package: every digest in the Hub's listing, and samples of a fresh pull.

    Raises HubError.
    """
    reference, access = parse_hub_reference(f"{package.repo_id}@{commit}"), Access(token=token)
    _, remote = list_files(reference, access)
    different = _differences(package, remote)
    if different:
        raise HubError(f"the Hub holds other bytes than were sent: {', '.join(different)}.", hint=_PUSH_AGAIN)
    with scratch_folder() as folder:  # an empty store, as on another machine
        try:
            pulled = load(str(reference), access=replace(access, store=Store(folder))).sample(SAMPLES, seed=0)
        except DigestMismatchError as error:
            raise HubError(
                f"the Hub holds other bytes than were sent: {error.path} has {error.found}.", hint=_PUSH_AGAIN
            ) from error
    if not torch.equal(pulled, package.gan.sample(SAMPLES, seed=0)):
        raise HubError(f"the samples of {reference} differ from those of the pushed model.", hint=_PUSH_AGAIN)


_PUSH_AGAIN = "Push again; if it stays, the server's storage may be damaged."


def _differences(package: Package, remote: Sequence[RemoteFile]) -> list[str]:
    """Return the names of files that are not the same in the Hub's listing and in the package."""
    different = set(package.files)
    for file in remote:
        content = package.files.get(file.path, b"")
        sha1 = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
        same = file.sha256 == hashlib.sha256(content).hexdigest() if file.sha256 else file.blob_id == sha1
        if file.size == len(content) and same:
            different.discard(file.path)
        else:
            different.add(file.path)
    return sorted(different)
