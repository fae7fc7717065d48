"""References -> verified weights: in a folder, in the store, bundled with an installed package, or on the Hub."""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganzoo import __version__
from ganzoo.errors import (
    BadReferenceError,
    ManifestError,
    MissingWeightsError,
    StoreError,
    UsageError,
    WeightsError,
    WeightsFormatError,
)
from ganzoo.system.files import read_regular
from ganzoo.weights.layout import FILES, NAMES, NEEDED_ROLES, SIGNATURE_NAME
from ganzoo.weights.manifest import WeightsEntry, WeightsFile, Zoo
from ganzoo.weights.references import FolderReference, HubReference, ZooReference, parse_hub_reference, parse_reference
from ganzoo.weights.store import Store, check_digest

if TYPE_CHECKING:
    from ganzoo.hub.client import Access
    from ganzoo.hub.download import RemoteFile
    from ganzoo.model import GAN


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
        if Path(reference.name).is_dir():
            error.hint = f"For the folder of that name write ./{reference.name}"
        raise
    from packaging.version import Version

    if Version(__version__) < Version(entry.min_ganzoo):
        raise WeightsError(
            f"{entry.reference} needs ganzoo {entry.min_ganzoo}; this is {__version__}.",
            hint="Update ganzoo: pip install --upgrade ganzoo",
        )
    return entry


class Source(ABC):
    """Weights that a reference names, wherever they are."""

    entry: WeightsEntry | None = None
    """Their entry in a weights manifest."""
    folder: Path | None = None
    """The folder of a run, or of weights that the user keeps."""
    license: str | None = None
    """SPDX identifier."""
    metrics: Sequence[Mapping[str, Any]] = ()
    """Published metrics: name, value, std and protocol of each."""

    @property
    @abstractmethod
    def reference(self) -> str:
        """Their reference, pinned to a version or a commit where there is one."""

    @abstractmethod
    def read(self, role: str) -> bytes:
        """Return the file with this role, downloaded if it is nowhere here, and verified if its digest is known.

        Raises MissingWeightsError, DigestMismatchError, HubError, StoreError.
        """

    @abstractmethod
    def read_all(self) -> dict[WeightsFile, bytes]:
        """Return every file, as `read` does; raises as it does."""


class FolderSource(Source):
    """A run, or a folder with a config.json and a model.safetensors."""

    def __init__(self, folder: Path) -> None:
        self.folder: Path = folder

    @property
    def reference(self) -> str:
        return str(self.folder)

    def read(self, role: str) -> bytes:
        path = self.folder / NAMES[role]
        try:
            return read_regular(path)
        except FileNotFoundError:
            if (self.folder / "run.json").is_file():
                problem, hint = "the run has no checkpoint yet", f"ganzoo resume {self.folder}"
            else:
                problem, hint = "it is not a weights folder", _FOLDER_HINT
            raise MissingWeightsError(f"{self.folder} has no {path.name}: {problem}.", hint=hint) from None
        except OSError as error:
            raise MissingWeightsError(f"cannot read {path}: {error.strerror}.", hint=_FOLDER_HINT) from error

    def read_all(self) -> dict[WeightsFile, bytes]:
        contents = {}
        for name, kind in FILES.items():
            if kind.needed or (self.folder / name).is_file():
                content = self.read(kind.role)
                if not content:
                    raise WeightsFormatError(f"{self.folder / name} is empty.", hint="Restore the file.")
                sha256 = hashlib.sha256(content).hexdigest()
                contents[WeightsFile(path=name, sha256=sha256, size=len(content), role=kind.role)] = content
        return contents


_FOLDER_HINT = "Name a folder with a config.json and a model.safetensors."


class StoredSource(Source):
    """Weights that are kept in the store, each file pinned by size and sha256."""

    def __init__(self, access: Access) -> None:
        self.access, self.store = access, access.store

    @property
    @abstractmethod
    def files(self) -> tuple[WeightsFile, ...]:
        """All files. Raises MissingWeightsError for a repository that was never pulled."""

    @abstractmethod
    def missing(self, *, force: bool = False) -> list[RemoteFile]:
        """Return the files that `pull` would download or copy; asks the Hub only for a revision it has not resolved."""

    @abstractmethod
    def pull(self, *, force: bool = False) -> int:
        """Put every file into the store, verified, and return how many were absent or damaged."""

    def forget(self) -> None:
        """Delete what the store knows about the weights, besides their files. Raises HubError, StoreError."""

    def file(self, role: str) -> WeightsFile:
        """Return the one file with this role. Raises ManifestError."""
        for file in self.files:
            if file.role == role:
                return file
        raise ManifestError(f"{self.reference} has no {role} file.", hint=f"ganzoo pull --force {self.reference}")

    def read(self, role: str) -> bytes:
        self._provide(NEEDED_ROLES | {role})
        return self._read_here(self.file(role))

    def read_all(self) -> dict[WeightsFile, bytes]:
        self._provide(frozenset(NAMES))
        return {file: self._read_here(file) for file in self.files}

    def _provide(self, roles: frozenset[str]) -> None:
        """Download the files of these roles that are nowhere here, together, so that all of them arrive or none."""
        wanted = [file for file in self.files if file.role in roles]
        if not all(self._is_here(file) for file in wanted):
            with self._lock():
                self._download([file for file in wanted if not self._is_here(file)])

    def _is_here(self, file: WeightsFile) -> bool:
        return self.store.holds_any(file)

    def _read_here(self, file: WeightsFile) -> bytes:
        # A damaged blob is an error, even if another copy would be right: it must not go unnoticed.
        return self.store.read(file, f"ganzoo pull {self.reference}")

    @abstractmethod
    def _lock(self) -> AbstractContextManager[None]:
        """Let one process at a time download from this repository."""

    @abstractmethod
    def _download(self, files: Sequence[WeightsFile]) -> None: ...


class EntrySource(StoredSource):
    """An entry of a weights manifest: in the store, bundled with an installed package, or at a pinned commit."""

    entry: WeightsEntry

    def __init__(self, entry: WeightsEntry, access: Access) -> None:
        super().__init__(access)
        self.entry, self.license, self.metrics = entry, entry.license, entry.metrics
        self._bundled = entry.bundled_folder()

    @property
    def reference(self) -> str:
        return str(self.entry.reference)

    @property
    def files(self) -> tuple[WeightsFile, ...]:
        return self.entry.files

    def missing(self, *, force: bool = False) -> list[RemoteFile]:
        from ganzoo.hub.download import RemoteFile

        return [RemoteFile.pinned(file) for file in self._not_right(force)]

    def pull(self, *, force: bool = False) -> int:
        with self._lock():
            missing = self._not_right(force)
            if self._bundled is not None and (self.entry.repo_id is None or all(map(self._is_bundled, missing))):
                self._copy(missing)
            elif missing:
                self._download(missing)
        return len(missing)

    def _not_right(self, force: bool) -> list[WeightsFile]:
        return [file for file in self.files if force or not self.store.is_right(file)]

    def _is_here(self, file: WeightsFile) -> bool:
        return super()._is_here(file) or self._is_bundled(file)

    def _is_bundled(self, file: WeightsFile) -> bool:
        return self._bundled is not None and (self._bundled / file.path).is_file()

    def _read_here(self, file: WeightsFile) -> bytes:
        return super()._read_here(file) if self.store.holds_any(file) else self._read_bundled(file)

    def _read_bundled(self, file: WeightsFile) -> bytes:
        assert self._bundled is not None
        path, hint = self._bundled / file.path, f"Reinstall the package that bundles it ({self.entry.owner})."
        try:
            content = read_regular(path)
        except OSError as error:
            raise MissingWeightsError(f"cannot read {path}: {error.strerror}.", hint=hint) from error
        check_digest(content, file, path, hint)
        return content

    def _copy(self, files: Sequence[WeightsFile]) -> None:
        """Copy bundled files into the store, all of them or none."""
        contents = {file: self._read_bundled(file) for file in files}
        added: list[WeightsFile] = []
        try:
            for file, content in contents.items():
                self.store.add(file, content)
                added.append(file)
        except StoreError:
            for file in added:
                self.store.remove(file)
            raise

    def _lock(self) -> AbstractContextManager[None]:
        from ganzoo.hub.records import repository_lock

        return nullcontext() if self.entry.repo_id is None else repository_lock(self.store, self._commit())

    def _download(self, files: Sequence[WeightsFile]) -> None:
        from ganzoo.hub.download import RemoteFile, fetch

        fetch(self._commit(), [RemoteFile.pinned(file) for file in files], self.access)

    def _commit(self) -> HubReference:
        if self.entry.repo_id is None or self.entry.revision is None:
            raise MissingWeightsError(
                f"{self.reference} is neither in the store nor bundled with an installed package, and not on the Hub.",
                hint=f"Update the package that lists it ({self.entry.owner}).",
            )
        return parse_hub_reference(f"{self.entry.repo_id}@{self.entry.revision}")


class HubSource(StoredSource):
    """A repository on the Hub that no manifest lists, pinned to a commit when it is pulled."""

    def __init__(self, reference: HubReference, access: Access) -> None:
        from ganzoo.hub.records import find_snapshot

        super().__init__(access)
        self._asked = reference
        self._snapshot = find_snapshot(reference, self.store)

    @property
    def reference(self) -> str:
        return str(self._asked if self._snapshot is None else self._snapshot.reference)

    @property
    def files(self) -> tuple[WeightsFile, ...]:
        if self._snapshot is None:
            raise MissingWeightsError(f"{self.reference} is not in the store.", hint=f"ganzoo pull {self.reference}")
        return self._snapshot.files

    def missing(self, *, force: bool = False) -> list[RemoteFile]:
        return self._plan(force)[1]

    def pull(self, *, force: bool = False) -> int:
        from ganzoo.hub.download import fetch
        from ganzoo.hub.records import record_snapshot

        with self._lock():
            commit, missing = self._plan(force)
            fetched = fetch(commit, missing, self.access) if missing else ()
            self._snapshot = record_snapshot(self.store, self._asked, commit, fetched)
        return len(missing)

    def forget(self) -> None:
        from ganzoo.hub.records import forget_snapshot

        if self._snapshot is not None:
            forget_snapshot(self.store, self._snapshot)

    def _plan(self, force: bool) -> tuple[HubReference, list[RemoteFile]]:
        """Return the commit that the revision means, and its files that have to be downloaded."""
        from ganzoo.hub.download import RemoteFile, list_files
        from ganzoo.hub.records import find_snapshot

        # Read again: another process may have pulled it while this one waited for the lock.
        known = None if force else find_snapshot(self._asked, self.store)
        if known is None:
            commit, remote = list_files(self._asked, self.access)
            known = find_snapshot(commit, self.store)  # a commit never changes, whatever a mirror says now
            if known is None:
                return commit, remote
        wrong = [file for file in known.files if force or not self.store.is_right(file)]
        return known.reference, [RemoteFile.pinned(file) for file in wrong]

    def _provide(self, roles: frozenset[str]) -> None:
        if self._snapshot is None:
            self.pull()
        else:
            super()._provide(roles)

    def _lock(self) -> AbstractContextManager[None]:
        from ganzoo.hub.records import repository_lock

        return repository_lock(self.store, self._asked)

    def _download(self, files: Sequence[WeightsFile]) -> None:
        from ganzoo.hub.download import RemoteFile, fetch

        assert self._snapshot is not None
        fetch(self._snapshot.reference, [RemoteFile.pinned(file) for file in files], self.access)


# --- what one does with them ---


def list_models(pattern: str = "*") -> list[str]:
    """Return the names of all pretrained weights that match a shell pattern, such as `mnist-*`; loads no torch."""
    return sorted({entry.name for entry in Zoo().matching(pattern)})


def load(reference: str | os.PathLike[str], *, device: str = "cpu", access: Access | None = None) -> GAN:
    """Return a trained model. Weights that are neither in the store nor bundled are downloaded once, and verified.

    Args:
        reference: `mnist-mlp`, `mnist-mlp@v1`, `hf:owner/repo[@revision]`, or a folder (`./my-run`, any path object).
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        access: token, store and progress of a download; None for GANZOO_HOME and the user's own token.

    Raises:
        UnknownNameError: no such weights.
        MissingWeightsError: known, but not available anywhere.
        DigestMismatchError: the bytes are not those that are pinned.
        WeightsFormatError: not safetensors, or not the tensors that the config describes.
        HubError: the Hub cannot be reached, or refuses.
        DeviceError: this machine has no such device.
    """
    from ganzoo.model import gan_from_bytes
    from ganzoo.system.devices import find_device

    target = find_device(device)
    source = resolve(reference, access)
    config, weights = source.read("config"), source.read("generator")
    return gan_from_bytes(config, weights, source.reference, source.entry).to(target)


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
    """Hash every file of weights, check the tensors and build the model; return the files with their digests.

    A folder has no manifest to compare with: its config and tensors are compared with the digests inside
    model.safetensors. With a public key, the signature over all files is checked too. Raises what `load` raises, and
    WeightsError.
    """
    from ganzoo.model import gan_from_bytes

    source = resolve(reference, access)
    contents = source.read_all()
    by_role = {file.role: content for file, content in contents.items()}
    gan_from_bytes(by_role["config"], by_role["generator"], source.reference)
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


def remove(sources: Sequence[StoredSource]) -> list[Removed]:
    """Delete weights from the store, except files that other weights in the store need. Raises HubError, StoreError.

    A Hub repository is forgotten too: the next pull resolves its revision again.
    """
    references = {source.reference for source in sources}
    removed = []
    for source in sources:
        store = source.store
        held = [file for file in source.files if store.holds_any(file)]
        needed_by = _needed_by(store, references)
        shared = [file for file in held if file.sha256 in needed_by]
        freed = sum(store.remove(file) for file in held if file not in shared)
        source.forget()
        bundled = source.entry is not None and location(source.entry, store) == "bundled"
        others = sorted({reference for file in shared for reference in needed_by[file.sha256]})
        removed.append(Removed(source.reference, bool(held), freed, tuple(others), bundled))
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
