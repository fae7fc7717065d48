"""The kinds of sources: a folder, an entry of a weights manifest, a repository on the Hub."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganzoo.errors import BadReferenceError, ManifestError, MissingWeightsError, StoreError, WeightsFormatError
from ganzoo.system.files import read_regular
from ganzoo.system.shell import quoted
from ganzoo.weights.layout import FILES, NAMES, NEEDED_ROLES
from ganzoo.weights.manifest import WeightsEntry, WeightsFile
from ganzoo.weights.references import HubReference, parse_hub_reference
from ganzoo.weights.store import read_pinned
from ganzoo.weights.tensors import read_checked

if TYPE_CHECKING:
    from ganzoo.hub.client import Access
    from ganzoo.hub.download import RemoteFile


class Source(ABC):
    """Weights that a reference names, wherever they are."""

    reference: str
    """Their reference, pinned to a version or a commit where there is one."""
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
    def files(self) -> tuple[WeightsFile, ...]:
        """All files with their digests. Raises MissingWeightsError for a repository that was never pulled."""

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
        self.reference = str(folder)

    @property
    def files(self) -> tuple[WeightsFile, ...]:
        return tuple(self.read_all())

    def read(self, role: str) -> bytes:
        path = self.folder / NAMES[role]
        try:
            # Of safetensors, the header is checked first: a sparse file could state any size.
            limit = FILES[path.name].max_size
            return (read_checked if path.suffix == ".safetensors" else read_regular)(path, limit)
        except FileNotFoundError:
            if not self.folder.exists():
                hint = _FOLDER_HINT
                with suppress(BadReferenceError):  # "you/my-gan" may be meant as a repository
                    hint = f"For the repository on the Hub write {parse_hub_reference(str(self.folder))}"
                raise MissingWeightsError(f"{self.folder} does not exist.", hint=hint) from None
            if (self.folder / "run.json").is_file():
                problem, hint = "the run has no checkpoint yet", f"ganzoo resume {quoted(self.folder)}"
            else:
                problem, hint = "it is not a weights folder", _FOLDER_HINT
            raise MissingWeightsError(f"{self.folder} has no {path.name}: {problem}.", hint=hint) from None
        except NotADirectoryError:
            folder = self.folder.parent
            run = folder.parent if (folder.parent / "run.json").is_file() else folder  # of RUN/checkpoints/step-….
            raise MissingWeightsError(
                f"{self.folder} is a file, not a folder.", hint=f"Name its folder: {quoted(run)}"
            ) from None
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

    def __init__(self, reference: str, repository: HubReference | None, access: Access) -> None:
        self.reference, self.access, self.store = reference, access, access.store
        self._repository = repository

    @abstractmethod
    def missing(self, *, force: bool = False) -> list[RemoteFile]:
        """Return the files that `pull` would download or copy; asks the Hub only for a revision it has not resolved."""

    @abstractmethod
    def pull(self, *, force: bool = False) -> int:
        """Put every file into the store, verified, and return how many had to be downloaded or copied."""

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
        if all(self._is_here(file) for file in wanted):
            return
        with self._lock():
            absent = [file for file in wanted if not self._is_here(file)]  # asked again: another process may be faster
            if absent:
                self._download(absent)

    def _is_here(self, file: WeightsFile) -> bool:
        return self.store.holds_any(file)

    def _read_here(self, file: WeightsFile) -> bytes:
        # A damaged blob is an error, even if another copy would be right: it must not go unnoticed.
        return self.store.read(file, f"ganzoo pull {self.reference}")

    def _lock(self) -> AbstractContextManager[None]:
        """Let one process at a time download from the repository."""
        from ganzoo.hub.records import repository_lock

        return nullcontext() if self._repository is None else repository_lock(self.store, self._repository)

    def _download(self, files: Sequence[WeightsFile]) -> None:
        from ganzoo.hub.download import RemoteFile, fetch

        fetch(self._commit(), [RemoteFile.pinned(file) for file in files], self.access)

    @abstractmethod
    def _commit(self) -> HubReference:
        """Return the repository at the commit that has the files. Raises MissingWeightsError."""


class EntrySource(StoredSource):
    """An entry of a weights manifest: in the store, bundled with an installed package, or at a pinned commit."""

    entry: WeightsEntry

    def __init__(self, entry: WeightsEntry, access: Access) -> None:
        repository = None if entry.repo_id is None else parse_hub_reference(entry.repo_id)
        super().__init__(str(entry.reference), repository, access)
        self.entry, self.license, self.metrics = entry, entry.license, entry.metrics
        self._bundled = entry.bundled_folder()

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
            return read_pinned(path, file, hint)
        except OSError as error:
            raise MissingWeightsError(f"cannot read {path}: {error.strerror}.", hint=hint) from error

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

    def _commit(self) -> HubReference:
        if self._repository is None or self.entry.revision is None:
            raise MissingWeightsError(
                f"{self.reference} is neither in the store nor bundled with an installed package, and not on the Hub.",
                hint=f"Update the package that lists it ({self.entry.owner}).",
            )
        return replace(self._repository, revision=self.entry.revision)


class HubSource(StoredSource):
    """A repository on the Hub that no manifest lists, pinned to a commit when it is pulled."""

    def __init__(self, reference: HubReference, access: Access) -> None:
        from ganzoo.hub.records import find_snapshot

        self._asked = reference
        self._snapshot = find_snapshot(reference, access.store)
        super().__init__(str(self._snapshot.reference if self._snapshot else reference), reference, access)

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
        self.reference = str(commit)
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

    def _commit(self) -> HubReference:
        assert self._snapshot is not None
        return self._snapshot.reference
