"""References -> verified weights: in a folder, in the store, bundled with an installed package, or on the Hub."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ganzoo.errors import BadReferenceError, MissingWeightsError, UnknownNameError, UsageError, WeightsError
from ganzoo.registry import datasets, recipes
from ganzoo.sources.kinds import EntrySource, FolderSource, HubSource, Source, StoredSource
from ganzoo.version import __version__
from ganzoo.weights.layout import NAMES, NEEDED_ROLES, SIGNATURE_NAME
from ganzoo.weights.manifest import WeightsEntry, WeightsFile, Zoo
from ganzoo.weights.references import FolderReference, HubReference, ZooReference, parse_reference
from ganzoo.weights.store import Store

if TYPE_CHECKING:
    import torch
    from torch import nn

    from ganzoo.hub.client import Access
    from ganzoo.hub.download import RemoteFile
    from ganzoo.model import GAN
    from ganzoo.weights.model_config import ModelConfig


def resolve(reference: str | os.PathLike[str] | WeightsEntry, access: Access | None = None) -> Source:
    """Return where the weights of a reference are. Reads no weights and asks nothing of the network.

    Raises BadReferenceError, UnknownNameError, ManifestError, and WeightsError for an entry that needs a newer ganzoo.
    """
    from ganzoo.hub.client import Access

    access = access or Access()
    if isinstance(reference, WeightsEntry):
        return EntrySource(reference, access)
    parsed = parse_reference(reference)
    if isinstance(parsed, FolderReference):
        return FolderSource(parsed.path)
    if isinstance(parsed, HubReference):
        return HubSource(parsed, access)
    return EntrySource(_find_entry(parsed), access)


def _find_entry(reference: ZooReference) -> WeightsEntry:
    try:
        entry = Zoo().find(reference)
    except UsageError as error:
        name = reference.name
        unknown = isinstance(error, UnknownNameError) and error.name == name  # not only the version
        if Path(name).is_dir():
            error.hint = f"For the folder of that name write ./{name}"
        elif Path(name).is_file():
            error.hint = "Weights are named by their folder: for this one write ./"
        elif unknown and name in recipes.names():
            error.args = (f"recipe {name!r} has no weights yet.",)
            error.hint = f"Train it (ganzoo train {name}) and name the folder of the run."
        elif unknown and name in datasets.names():
            trained = ", ".join(sorted({entry.name for entry in Zoo().entries if entry.dataset == name})) or "none yet"
            error.args = (f"{name!r} is a dataset, not weights.",)
            error.hint = f"Weights that were trained on it: {trained}."
        raise
    from packaging.version import Version

    if Version(__version__) < Version(entry.min_ganzoo):
        raise WeightsError(
            f"{entry.reference} needs ganzoo {entry.min_ganzoo}; this is {__version__}.",
            hint="Update ganzoo: pip install --upgrade ganzoo",
        )
    return entry


def list_models(pattern: str = "*") -> list[str]:
    """Return the names of all pretrained weights that match a shell pattern, such as `mnist-*`; loads no torch."""
    return sorted({entry.name for entry in Zoo().matching(pattern)})


def load(
    reference: str | os.PathLike[str],
    *,
    device: str | torch.device = "cpu",
    access: Access | None = None,
    step: int | None = None,
) -> GAN:
    """Return a trained model. Weights that are neither in the store nor bundled are downloaded once, and verified.

    Args:
        reference: `mnist-mlp`, `mnist-mlp@v1`, `hf:owner/repo[@revision]`, or a folder (`./my-run`, any path object).
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`, or a `torch.device`.
        access: token, store and progress of a download; None for GANZOO_HOME and the user's own token.
        step: of a run only: the kept checkpoint of this step instead of the newest weights.

    Raises:
        UsageError: a step of weights that are not a run, or whose checkpoint was not kept.
        UnknownNameError: no such weights.
        MissingWeightsError: known, but not available anywhere.
        DigestMismatchError: the bytes are not those that are pinned.
        WeightsFormatError: not safetensors, or not the tensors that the config describes.
        HubError: the Hub cannot be reached, or refuses.
        DeviceError: this machine has no such device.
    """
    source = resolve(reference, access)  # reports a wrong name before torch is imported, which takes seconds
    from ganzoo.model import gan_from_bytes
    from ganzoo.system.devices import find_device

    target = find_device(device)
    if step is not None:
        from ganzoo.sources.checkpoint import load_checkpoint

        return load_checkpoint(source, step).to(target)
    config, weights = source.read("config"), source.read("generator")
    discriminator = partial(_discriminator, source)
    return gan_from_bytes(config, weights, source.reference, source.entry, discriminator).to(target)


def _discriminator(source: Source, config: ModelConfig) -> nn.Module:
    """Return the discriminator of weights. Raises MissingWeightsError if they have none, and what `load` raises."""
    from ganzoo.weights.nets import discriminator_from_bytes

    name = NAMES["discriminator"]
    if source.folder is not None:
        present = (source.folder / name).is_file()
    else:
        present = any(file.role == "discriminator" for file in source.files)
    if not present:
        raise MissingWeightsError(
            f"{source.reference} has no discriminator.", hint="Load a run, or weights that were published with one."
        )
    return discriminator_from_bytes(config, source.read("discriminator"), f"{source.reference}/{name}")


@dataclass(frozen=True)
class Pulled:
    """What `pull` did for one reference."""

    reference: str
    """Pinned: a name with its version, or a repository with its commit."""
    path: Path
    """The generator's file in the store."""
    sha256: str
    """Digest of the generator's file."""
    size: int
    """Bytes of all files."""
    written: int
    """Files that were not in the store, or damaged."""


def pull(reference: str, *, revision: str | None = None, force: bool = False, access: Access | None = None) -> Pulled:
    """Put every file of weights into the store and verify it. Right files stay, damaged ones are replaced.

    Args:
        reference: a name or `hf:owner/repo[@revision]`.
        revision: of a Hub repository, instead of one in the reference.
        force: download all files again, and resolve the revision of a Hub repository again.
        access: token, store and progress; None for GANZOO_HOME and the user's own token.

    Raises UnknownNameError, BadReferenceError, MissingWeightsError, HubError, DigestMismatchError, StoreError.
    """
    source = _stored(reference, revision, access)
    written = source.pull(force=force)
    generator, size = source.file("generator"), sum(file.size for file in source.files)
    return Pulled(source.reference, source.store.path(generator), generator.sha256, size, written)


def planned(
    reference: str, *, revision: str | None = None, force: bool = False, access: Access | None = None
) -> list[RemoteFile]:
    """Return the files that `pull` would download or copy. Raises as `pull` does."""
    return _stored(reference, revision, access).missing(force=force)


def stored(reference: str, access: Access | None = None) -> StoredSource:
    """Return what a name or Hub reference pins, without downloading anything.

    Raises UnknownNameError, BadReferenceError, MissingWeightsError.
    """
    source = _stored(reference, None, access)
    _ = source.files  # of a repository that was never pulled, nothing is known
    return source


def _stored(reference: str, revision: str | None, access: Access | None) -> StoredSource:
    if revision is not None:
        base, _, stated = reference.partition("@")
        if not reference.startswith("hf:") or stated not in ("", revision):
            raise BadReferenceError(f"--revision does not go with {reference}.", hint="Write hf:owner/repo@revision.")
        reference = f"{base}@{revision}"
    source = resolve(reference, access)
    if not isinstance(source, StoredSource):
        raise BadReferenceError(
            f"{reference} is a folder; the store holds named weights.", hint="`ganzoo list` shows the names."
        )
    return source


def verify(
    reference: str | os.PathLike[str], *, key: Path | None = None, access: Access | None = None
) -> list[WeightsFile]:
    """Hash every file of weights, build the networks and read the training record; return the files with their digests.

    A folder has no manifest to compare with: its config and tensors are compared with the digests inside
    model.safetensors; its card and picture are only hashed. With a public key, the signature over all files is checked
    too. Raises what `load` raises, and WeightsError.
    """
    from ganzoo.model import gan_from_bytes
    from ganzoo.weights.model_config import parse_training_record
    from ganzoo.weights.nets import discriminator_from_bytes

    source = resolve(reference, access)
    contents = source.read_all()
    by_role = {file.role: content for file, content in contents.items()}
    gan = gan_from_bytes(by_role["config"], by_role["generator"], source.reference)
    if "discriminator" in by_role:
        discriminator_from_bytes(gan.config, by_role["discriminator"], f"{source.reference}/{NAMES['discriminator']}")
    if "training" in by_role:
        parse_training_record(by_role["training"], f"{source.reference}/{NAMES['training']}")
    if key is not None:
        from ganzoo.hub.signing import check

        signed = {file.path: content for file, content in contents.items()}
        signature = signed.pop(SIGNATURE_NAME, None)
        if signature is None:
            raise WeightsError(
                f"{reference} is not signed.", hint="Verify it without --key, or ask its owner to sign it."
            )
        check(signed, signature, key, str(reference))
    return list(contents)


@dataclass(frozen=True)
class Removed:
    """What `remove` did for one reference."""

    reference: str
    was_stored: bool
    """Whether any of its files was in the store."""
    freed: int
    """Bytes."""
    shared_with: tuple[str, ...]
    """References of other weights in the store that keep some of the files."""
    is_bundled: bool
    """Whether an installed package holds a copy, which stays."""
    kept: int = 0
    """Bytes of the files that other weights keep."""


def remove(sources: Sequence[StoredSource]) -> list[Removed]:
    """Delete weights from the store, except files that other weights in the store need. Raises HubError, StoreError.

    Weights that share files keep them for each other, unless they are removed together.
    A Hub repository is forgotten too: the next pull resolves its revision again.
    """
    references = {source.reference for source in sources}
    # Before anything is deleted: weights that are removed together may share files.
    stored = {source.reference: [file for file in source.files if source.store.holds_any(file)] for source in sources}
    removed = []
    for source in sources:
        store, held = source.store, stored[source.reference]
        needed_by = _needed_by(store, references)
        shared = [file for file in held if file.sha256 in needed_by]
        freed = sum(store.remove(file) for file in held if file not in shared)
        source.forget()
        bundled = source.entry is not None and location(source.entry, store) == "bundled"
        others = sorted({reference for file in shared for reference in needed_by[file.sha256]})
        kept = sum(file.size for file in shared)
        removed.append(Removed(source.reference, bool(held), freed, tuple(others), bundled, kept))
    return removed


def _needed_by(store: Store, but: set[str]) -> dict[str, list[str]]:
    """Return the references, by digest of a file, of all weights in the store that need it, some left out."""
    from ganzoo.hub.records import all_snapshots

    needed: dict[str, list[str]] = {}
    pinned = [(str(entry.reference), entry.files) for entry in Zoo().entries if location(entry, store) == "store"]
    pinned += [(str(snapshot.reference), snapshot.files) for snapshot in all_snapshots(store)]
    for reference, files in pinned:
        if reference not in but:
            for file in files:
                needed.setdefault(file.sha256, []).append(reference)
    return needed


def location(entry: WeightsEntry, store: Store | None = None) -> str:
    """Return where an entry would be loaded from: `store`, `bundled`, or `missing`; hashes nothing."""
    needed = [file for file in entry.files if file.role in NEEDED_ROLES]
    store = store or Store()
    if all(store.has(file) for file in needed):
        return "store"
    folder = entry.bundled_folder()
    if folder is not None and all((folder / file.path).is_file() for file in needed):
        return "bundled"
    return "missing"
