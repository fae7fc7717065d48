"""References -> verified weights: a folder, the store, or a copy bundled in an installed package, in that order."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ganzoo.errors import (
    BadReferenceError,
    MissingWeightsError,
    StoreError,
    UsageError,
    WeightsError,
)
from ganzoo.hub.access import Access
from ganzoo.hub.snapshot import HubSnapshot
from ganzoo.system.files import read_regular
from ganzoo.version import __version__
from ganzoo.weights.manifest import WeightsEntry, WeightsFile, Zoo
from ganzoo.weights.references import FolderReference, HubReference, ZooReference, parse_hub_reference, parse_reference
from ganzoo.weights.store import Store, check_digest

if TYPE_CHECKING:
    from ganzoo.hub.download import RemoteFile
    from ganzoo.model import GAN

Pinned = WeightsEntry | HubSnapshot
"""Weights whose every file is known by size and sha256."""

NEEDED_ROLES = ("config", "generator")
"""The files without which there is nothing to load."""


def list_models(pattern: str = "*") -> list[str]:
    """Return the names of all pretrained weights that match a shell pattern, such as `mnist-*`; loads no torch."""
    return sorted({entry.name for entry in Zoo().matching(pattern)})


def load(reference: str | os.PathLike[str], *, device: str = "cpu", access: Access | None = None) -> GAN:
    """Return a trained model; what is neither here nor bundled is fetched from the Hub once, and verified.

    Args:
        reference: `mnist-mlp`, `mnist-mlp@v1`, `hf:owner/repo[@revision]`, or a folder (`./my-run`, any path object).
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        access: token, store and progress of a fetch; None for GANZOO_HOME and the user's own token.

    Raises:
        UnknownNameError: no such weights.
        MissingWeightsError: known, but nowhere to be had.
        DigestMismatchError: bytes other than the pinned ones.
        WeightsFormatError: not safetensors, or not the tensors that the config asks for.
        HubError: the Hub cannot be reached, or says no.
        DeviceError: this machine has no such device.
    """
    from ganzoo.model import CONFIG_NAME, GENERATOR_NAME, gan_from_bytes
    from ganzoo.system.devices import find_device

    target = find_device(device)
    parsed = parse_reference(reference)
    if isinstance(parsed, FolderReference):
        config, weights = (read_folder_file(parsed.path, name) for name in (CONFIG_NAME, GENERATOR_NAME))
        return gan_from_bytes(config, weights, parsed.path).to(target)
    access = access or Access()
    source = locate(parsed, access)
    config, weights = (read_verified(source, source.file(role), access.store) for role in NEEDED_ROLES)
    entry = source if isinstance(source, WeightsEntry) else None
    return gan_from_bytes(config, weights, str(source.reference), entry).to(target)


def locate(reference: ZooReference | HubReference, access: Access) -> Pinned:
    """Return the pinned files that a reference names, fetched from the Hub when they are nowhere here.

    Raises UnknownNameError, ManifestError, MissingWeightsError, HubError, DigestMismatchError, StoreError.
    """
    from ganzoo.hub.pull import pull_entry, pull_reference, stored_snapshot

    if isinstance(reference, HubReference):
        known = stored_snapshot(reference, access.store)
        if known is not None and all(access.store.holds_any(known.file(role)) for role in NEEDED_ROLES):
            return known
        return pull_reference(reference, access)
    entry = find_entry(reference)
    if location(entry, access.store) == "missing":
        pull_entry(entry, [entry.file(role) for role in NEEDED_ROLES], access)
    return entry


_NAMES_HINT = "`ganzoo list` shows the names."
_FOLDER_HINT = "Name a folder with a config.json and a model.safetensors."


def find_entry(reference: ZooReference) -> WeightsEntry:
    """Return the manifest entry of a reference. Raises UnknownNameError, ManifestError, WeightsError."""
    try:
        entry = Zoo().find(reference)
    except UsageError as error:
        if Path(reference.name).is_dir():
            error.hint = f"For the folder of that name write ./{reference.name}"
        raise
    _check_version(entry)
    return entry


def _check_version(entry: WeightsEntry) -> None:
    from packaging.version import Version

    if Version(__version__) < Version(entry.min_ganzoo):
        raise WeightsError(
            f"{entry.reference} needs ganzoo {entry.min_ganzoo}; this is {__version__}.",
            hint="Update ganzoo: pip install --upgrade ganzoo",
        )


def read_folder_file(folder: Path, name: str) -> bytes:
    """Return a file of a weights folder. Raises MissingWeightsError."""
    path = folder / name
    try:
        return read_regular(path)
    except FileNotFoundError:
        if (folder / "run.json").is_file():
            problem, hint = "the run has no checkpoint yet", f"ganzoo resume {folder}"
        else:
            problem, hint = "it is no weights folder", _FOLDER_HINT
        raise MissingWeightsError(f"{folder} has no {name}: {problem}.", hint=hint) from None
    except OSError as error:
        raise MissingWeightsError(f"cannot read {path}: {error.strerror}.", hint=_FOLDER_HINT) from error


def read_verified(source: Pinned, file: WeightsFile, store: Store) -> bytes:
    """Return one file's verified bytes, from the store or a bundled copy.

    A damaged copy in the store is an error, never passed over. Raises DigestMismatchError, MissingWeightsError.
    """
    if store.holds_any(file) or not isinstance(source, WeightsEntry):
        return store.read(file, f"ganzoo pull {source.reference}")
    return _read_bundled(source, file)


def _read_bundled(entry: WeightsEntry, file: WeightsFile) -> bytes:
    hint = f"Reinstall the package that bundles it ({entry.owner})."
    folder = entry.bundled_folder()
    if folder is None:
        raise MissingWeightsError(f"{entry.reference} has no {file.path} here.", hint=f"ganzoo pull {entry.reference}")
    path = folder / file.path
    try:
        content = read_regular(path)
    except OSError as error:
        raise MissingWeightsError(f"cannot read {path}: {error.strerror}.", hint=hint) from error
    check_digest(content, file, path, hint)
    return content


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
    """Put every file of weights into the store, verified; right ones stay, damaged ones are replaced.

    Args:
        reference: a name or `hf:owner/repo[@revision]`.
        revision: of a Hub repository, instead of one in the reference.
        force: fetch even what is there, and resolve the revision of a Hub repository anew.
        access: token, store and progress; None for GANZOO_HOME and the user's own token.

    Raises UnknownNameError, BadReferenceError, MissingWeightsError, HubError, DigestMismatchError, StoreError.
    """
    from ganzoo.hub.pull import pull_entry, pull_reference, stored_snapshot

    parsed = _named(reference, revision)
    access = access or Access()
    store = access.store
    if isinstance(parsed, HubReference):
        before = stored_snapshot(parsed, store)
        had = set() if force or before is None else {file for file in before.files if store.is_right(file)}
        snapshot = pull_reference(parsed, access, force=force)
        return _pulled(snapshot, len(set(snapshot.files) - had), store)
    entry = find_entry(parsed)
    missing = [file for file in entry.files if force or not store.is_right(file)]
    folder = entry.bundled_folder()
    if folder is not None and (entry.repo_id is None or all((folder / file.path).is_file() for file in missing)):
        _copy_bundled(entry, missing, store)
    elif missing:
        pull_entry(entry, missing, access, force=force)
    return _pulled(entry, len(missing), store)


def planned(reference: str, revision: str | None = None, force: bool = False) -> list[WeightsFile | RemoteFile]:
    """Return the files that `pull` would fetch or copy. Raises as `pull` does."""
    from ganzoo.hub.pull import check_online, list_files, stored_snapshot

    parsed = _named(reference, revision)
    if isinstance(parsed, HubReference):
        known = None if force else stored_snapshot(parsed, Store())
        if known is None:
            check_online(reference, Access())
            return list(list_files(parsed)[1])
        return [file for file in known.files if not Store().is_right(file)]
    return [file for file in find_entry(parsed).files if force or not Store().is_right(file)]


def _named(reference: str, revision: str | None) -> ZooReference | HubReference:
    parsed = parse_reference(reference)
    if isinstance(parsed, FolderReference):
        raise BadReferenceError(f"{reference} is a folder; the store holds named weights.", hint=_NAMES_HINT)
    if revision is not None:
        if not isinstance(parsed, HubReference) or parsed.revision not in (None, revision):
            raise BadReferenceError(f"--revision does not go with {reference}.", hint="Write hf:owner/repo@revision.")
        return parse_hub_reference(f"{parsed}@{revision}" if parsed.revision is None else reference)
    return parsed


def _pulled(source: Pinned, written: int, store: Store) -> Pulled:
    generator = source.file("generator")
    size = sum(file.size for file in source.files)
    return Pulled(str(source.reference), store.path(generator), generator.sha256, size, written)


def _copy_bundled(entry: WeightsEntry, missing: Sequence[WeightsFile], store: Store) -> None:
    contents = [(file, _read_bundled(entry, file)) for file in missing]
    added: list[WeightsFile] = []
    try:
        for file, content in contents:
            store.add(file, content)
            added.append(file)
    except StoreError:
        for file in added:
            store.remove(file)
        raise


@dataclass(frozen=True)
class VerifiedFile:
    """A file whose bytes are right."""

    path: str
    size: int
    sha256: str


def verify(reference: str | os.PathLike[str], *, key: Path | None = None) -> list[VerifiedFile]:
    """Hash every file of weights again, check the tensors and build the model; return the files.

    A folder has no manifest to hold it to: its config and tensors are held to the digests inside model.safetensors.
    With a public key, all files are held to their signature too. Raises what `load` raises, and WeightsError.
    """
    load(reference)
    contents = _contents(reference)
    if key is not None:
        _check_signature(contents, key, str(reference))
    return [VerifiedFile(name, len(content), hashlib.sha256(content).hexdigest()) for name, content in contents.items()]


def _contents(reference: str | os.PathLike[str]) -> dict[str, bytes]:
    """Return every file of weights by name, verified where digests are pinned."""
    from ganzoo.hub.pull import ROLES

    parsed = parse_reference(reference)
    if isinstance(parsed, FolderReference):
        present = [name for name in ROLES if (parsed.path / name).is_file()]
        return {name: read_folder_file(parsed.path, name) for name in present}
    store = Store()
    source = locate(parsed, Access(store=store))
    if isinstance(source, HubSnapshot) or source.bundled_folder() is None:
        pull(str(source.reference))  # the files that loading does not need
    return {file.path: read_verified(source, file, store) for file in source.files}


def _check_signature(contents: dict[str, bytes], key: Path, where: str) -> None:
    from ganzoo.hub.signing import SIGNATURE_NAME, check

    if SIGNATURE_NAME not in contents:
        raise WeightsError(f"{where} is not signed.", hint="Verify it without --key, or ask its owner to sign it.")
    signed = {name: content for name, content in contents.items() if name != SIGNATURE_NAME}
    check(signed, contents[SIGNATURE_NAME], key, where)


def stored(reference: str) -> Pinned:
    """Return what a name or Hub reference pins, without fetching anything.

    Raises UnknownNameError, BadReferenceError, MissingWeightsError.
    """
    from ganzoo.hub.pull import stored_snapshot

    parsed = _named(reference, None)
    if isinstance(parsed, ZooReference):
        return find_entry(parsed)
    snapshot = stored_snapshot(parsed, Store())
    if snapshot is None:
        raise MissingWeightsError(f"{reference} is not in the store.", hint=f"ganzoo pull {reference}")
    return snapshot


def remove(source: Pinned, others: Iterable[WeightsEntry]) -> int:
    """Delete files from the store, but those that other entries or pulled repositories share; return the bytes freed.

    Raises StoreError.
    """
    from ganzoo.hub.pull import recorded_digests

    store = Store()
    shared = {file.sha256 for other in others if other.reference != source.reference for file in other.files}
    shared |= recorded_digests(store, but=source.reference if isinstance(source, HubSnapshot) else None)
    return sum(store.remove(file) for file in source.files if file.sha256 not in shared)


def location(entry: WeightsEntry, store: Store | None = None) -> str:
    """Return where an entry would be loaded from: `store`, `bundled`, or `missing`; hashes nothing."""
    needed = [entry.file(role) for role in NEEDED_ROLES]
    store = store or Store()
    if all(store.has(file) for file in needed):
        return "store"
    folder = entry.bundled_folder()
    if folder is not None and all((folder / file.path).is_file() for file in needed):
        return "bundled"
    return "missing"
