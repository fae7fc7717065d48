"""References -> verified weights: a folder, the store, or a copy bundled in an installed package, in that order."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ganzoo.errors import (
    BadReferenceError,
    DigestMismatchError,
    MissingWeightsError,
    StoreError,
    UsageError,
    WeightsError,
)
from ganzoo.manifest import WeightsEntry, WeightsFile, Zoo
from ganzoo.references import FolderReference, HubReference, ZooReference, parse_reference
from ganzoo.store import Store, check_digest
from ganzoo.version import __version__

if TYPE_CHECKING:
    from ganzoo.model import GAN

NEEDED_ROLES = ("config", "generator")
"""The files without which there is nothing to load."""


def list_models(pattern: str = "*") -> list[str]:
    """Return the names of all pretrained weights that match a shell pattern, such as `mnist-*`; loads no torch."""
    return sorted({entry.name for entry in Zoo().matching(pattern)})


def load(reference: str | os.PathLike[str], *, device: str = "cpu") -> GAN:
    """Return a trained model.

    Args:
        reference: `mnist-mlp`, `mnist-mlp@v1`, or a folder (`./my-run`, or any path object).
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.

    Raises:
        UnknownNameError: no such weights.
        MissingWeightsError: known, but neither in the store nor bundled.
        DigestMismatchError: bytes other than the pinned ones.
        WeightsFormatError: not safetensors, or not the tensors that the config asks for.
        DeviceError: this machine has no such device.
    """
    from ganzoo.devices import find_device
    from ganzoo.model import CONFIG_NAME, GENERATOR_NAME, gan_from_bytes

    target = find_device(device)
    parsed = parse_reference(reference)
    if isinstance(parsed, FolderReference):
        config, weights = (_read_file(parsed.path, name) for name in (CONFIG_NAME, GENERATOR_NAME))
        return gan_from_bytes(config, weights, parsed.path).to(target)
    entry = find_entry(parsed)
    config, weights = (read_verified(entry, entry.file(role)) for role in NEEDED_ROLES)
    return gan_from_bytes(config, weights, str(entry.reference), entry).to(target)


def find_named(reference: str) -> WeightsEntry:
    """Return the manifest entry that a text names. Raises UnknownNameError, BadReferenceError, WeightsError."""
    parsed = parse_reference(reference)
    if isinstance(parsed, FolderReference):
        raise BadReferenceError(f"{reference} is a folder; the store holds named weights.", hint=_NAMES_HINT)
    return find_entry(parsed)


_NAMES_HINT = "`ganzoo list` shows the names."
_FOLDER_HINT = "Name a folder with a config.json and a model.safetensors."


def find_entry(reference: ZooReference | HubReference) -> WeightsEntry:
    """Return the manifest entry of a reference. Raises UnknownNameError, BadReferenceError, WeightsError."""
    if isinstance(reference, HubReference):
        raise BadReferenceError(
            f"{reference} is in no installed manifest, and this version does not fetch from the Hub.",
            hint=f"Download it (hf download {reference.repo_id} --local-dir DIR) and load the folder.",
        )
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


def _read_file(folder: Path, name: str) -> bytes:
    path = folder / name
    try:
        # O_NONBLOCK: a FIFO of that name must not hang the program; it reads as empty.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "rb") as file:
            return file.read()
    except FileNotFoundError:
        if (folder / "run.json").is_file():
            problem, hint = "the run has no checkpoint yet", f"ganzoo resume {folder}"
        else:
            problem, hint = "it is no weights folder", _FOLDER_HINT
        raise MissingWeightsError(f"{folder} has no {name}: {problem}.", hint=hint) from None
    except OSError as error:
        raise MissingWeightsError(f"cannot read {path}: {error.strerror}.", hint=_FOLDER_HINT) from error


def read_verified(entry: WeightsEntry, file: WeightsFile) -> bytes:
    """Return one file's verified bytes, from the store or the bundled copy.

    A damaged copy in the store is an error, never passed over. Raises DigestMismatchError, MissingWeightsError.
    """
    store = Store()
    if store.holds_any(file):
        return store.read(file, f"ganzoo pull {entry.reference}")
    return _read_bundled(entry, file)


def _read_bundled(entry: WeightsEntry, file: WeightsFile) -> bytes:
    folder = entry.bundled_folder()
    if folder is None:
        raise MissingWeightsError(
            f"{entry.reference} is neither in the store nor bundled with an installed package.",
            hint=f"Update the package that lists it ({entry.owner}).",
        )
    path = folder / file.path
    hint = f"Reinstall the package that bundles it ({entry.owner})."
    try:
        content = path.read_bytes()
    except OSError as error:
        raise MissingWeightsError(f"cannot read {path}: {error.strerror}.", hint=hint) from error
    check_digest(content, file, path, hint)
    return content


@dataclass(frozen=True)
class Pulled:
    """What `pull` did for one entry."""

    entry: WeightsEntry
    path: Path
    """The generator's file in the store."""
    copied: int
    """Files that were not there, or damaged."""


def pull(entry: WeightsEntry) -> Pulled:
    """Put every file of an entry into the store, verified; right ones stay, damaged ones are replaced.

    Raises MissingWeightsError, DigestMismatchError, StoreError.
    """
    store = Store()
    missing = [file for file in entry.files if not _is_right(store, file)]
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
    return Pulled(entry, store.path(entry.file("generator")), len(missing))


def _is_right(store: Store, file: WeightsFile) -> bool:
    if not store.has(file):
        return False
    try:
        store.read(file, "")
    except DigestMismatchError:
        return False
    return True


@dataclass(frozen=True)
class VerifiedFile:
    """A file whose bytes are right."""

    path: str
    size: int
    sha256: str


def verify(reference: str | os.PathLike[str]) -> list[VerifiedFile]:
    """Hash every file of weights again, check the tensors and build the model; return the files.

    A folder has no manifest to hold it to: its config and tensors are held to the digests inside model.safetensors.
    Raises what `load` raises.
    """
    from ganzoo.model import CONFIG_NAME, GENERATOR_NAME

    parsed = parse_reference(reference)
    load(reference)
    if not isinstance(parsed, FolderReference):
        entry = find_entry(parsed)
        for file in entry.files:
            read_verified(entry, file)
        return [VerifiedFile(file.path, file.size, file.sha256) for file in entry.files]
    contents = {name: _read_file(parsed.path, name) for name in (CONFIG_NAME, GENERATOR_NAME)}
    return [VerifiedFile(name, len(content), hashlib.sha256(content).hexdigest()) for name, content in contents.items()]


def remove(entry: WeightsEntry, others: Iterable[WeightsEntry]) -> int:
    """Delete an entry's files from the store, but those that other entries share; return the bytes freed.

    Raises StoreError.
    """
    shared = {file.sha256 for other in others if other.reference != entry.reference for file in other.files}
    store = Store()
    return sum(store.remove(file) for file in entry.files if file.sha256 not in shared)


def location(entry: WeightsEntry) -> str:
    """Return where an entry would be loaded from: `store`, `bundled`, or `missing`; hashes nothing."""
    needed = [entry.file(role) for role in NEEDED_ROLES]
    if all(Store().has(file) for file in needed):
        return "store"
    folder = entry.bundled_folder()
    if folder is not None and all((folder / file.path).is_file() for file in needed):
        return "bundled"
    return "missing"
