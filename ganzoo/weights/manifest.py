"""The zoo's entries: every published weights file, pinned by size and sha256.

A manifest is a `weights_manifest.json` in (or, in a checkout, beside) a package that registers itself under the entry
point group `ganzoo.weights`. `weights_manifest.schema.json` beside this file is the format.
"""

from __future__ import annotations

import fnmatch
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from types import NoneType
from typing import Any

from ganzoo.errors import BadReferenceError, ManifestError, UnknownNameError, shortened
from ganzoo.registry import WEIGHTS_GROUP, origin, package_folder, registrations
from ganzoo.requirements import Requirement, requirement_from_json
from ganzoo.specs.registration import NAME
from ganzoo.system.files import read_json, write_json
from ganzoo.weights.layout import FILES, NEEDED_ROLES
from ganzoo.weights.references import ZooReference, parse_hub_reference

MANIFEST_NAME = "weights_manifest.json"
SCHEMA_VERSION = 1

MAX_ENTRIES = 1000
"""Entries of one manifest. Every command reads all manifests, and this many take it a fifth of a second."""

COMMIT = re.compile(r"[0-9a-f]{40}")

_SHA256 = re.compile(r"[0-9a-f]{64}")
_BUNDLED = re.compile(r"[A-Za-z_][A-Za-z0-9_]*:(?!/)[A-Za-z0-9._/-]+")
_VERSION = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9}){0,5}")
_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "default": bool,
    "repo_id": (str, NoneType),
    "revision": (str, NoneType),
    "bundled": (str, NoneType),
    **dict.fromkeys(("name", "version", "recipe", "architecture", "dataset", "license", "min_ganzoo"), str),
    **dict.fromkeys(("config", "latent", "sample", "parameters", "training"), Mapping),
}
_NEEDED_KEYS: Mapping[str, Mapping[str, Any]] = {
    "latent": {"dim": int, "distribution": str},
    "sample": {"kind": str, "shape": (list, tuple)},
    "parameters": {"generator": int, "discriminator": int},
    "training": {"steps": int, "seconds": (int, float), "device": str},
}
_METRIC_KEYS = {
    "name": str,
    "protocol": str,
    "value": (int, float),
    "std": (int, float, NoneType),
    "tolerance": (int, float),
}


def measured(value: float, std: float | None, digits: int = 4) -> str:
    """Write a metric with its spread over the seeds; one seed has none."""
    spread = "" if std is None else f" ± {std:.2g}"
    return f"{value:.{digits}g}{spread}"


@dataclass(frozen=True, kw_only=True)
class WeightsFile:
    """One pinned file of an entry."""

    path: str
    """Name inside the entry's folder: one of `weights.layout.FILES`."""
    sha256: str
    """64 hex digits."""
    size: int
    """Bytes."""
    role: str
    """config, generator, discriminator, ...: see `weights.layout`."""

    def __post_init__(self) -> None:
        kind = FILES.get(self.path)
        if kind is None or kind.role != self.role:
            raise ValueError(f"{self.path!r} is not the name of a {self.role!r} file")
        if _SHA256.fullmatch(self.sha256) is None:
            raise ValueError(f"{self.sha256!r} is not a sha256")
        if type(self.size) is not int or not 0 < self.size <= kind.max_size:
            raise ValueError(f"{self.size!r} is not a file size")


@dataclass(frozen=True, kw_only=True)
class WeightsEntry:
    """One published training result of a recipe (`mnist-mlp@v1`)."""

    name: str
    version: str
    default: bool
    """Whether the bare name means this version."""
    repo_id: str | None
    """The Hub repository; None until published."""
    revision: str | None
    """The pinned commit there, 40 hex digits; None until published."""
    bundled: str | None
    """`package:folder` when the files travel in an installed package, else None."""
    files: tuple[WeightsFile, ...]
    recipe: str
    architecture: str
    config: Mapping[str, Any]
    latent: Mapping[str, Any]
    sample: Mapping[str, Any]
    dataset: str
    license: str
    parameters: Mapping[str, int]
    """Number of parameters of `generator` and `discriminator`."""
    training: Mapping[str, Any]
    """steps, images, batch_size, device, seconds, seed, ganzoo, torch."""
    metrics: tuple[Mapping[str, Any], ...]
    """Each with name, value, std, protocol, and the tolerance within which `ganzoo eval --check` must reproduce it."""
    min_ganzoo: str
    """Oldest ganzoo that loads it."""
    requires: tuple[Requirement, ...] = ()
    """The third-party plugins that took part in the training and the evaluation."""
    owner: str = ""
    """The distribution, with its version, whose manifest lists it; set when the manifest is read."""

    def __post_init__(self) -> None:
        check_types(vars(self), _TYPES, "entry")
        for name, types in _NEEDED_KEYS.items():
            check_types(getattr(self, name), types, name)
        for metric in self.metrics:
            check_types(metric, _METRIC_KEYS, "metric")
        if NAME.fullmatch(self.name) is None or NAME.fullmatch(self.version) is None:
            raise ValueError(f"{self.name!r}@{self.version!r} is not a name of weights")
        roles = [file.role for file in self.files]
        if not set(roles) >= NEEDED_ROLES or len(set(roles)) != len(roles):
            raise ValueError("it needs a config and a generator file, and each role at most once")
        if self.repo_id is not None and parse_hub_reference(f"hf:{self.repo_id}").repo_id != self.repo_id:
            raise ValueError(f"{self.repo_id!r} is not a repository")
        if self.revision is not None and COMMIT.fullmatch(self.revision) is None:
            raise ValueError(f"{self.revision!r} is not a commit")
        if self.bundled is not None and (_BUNDLED.fullmatch(self.bundled) is None or ".." in self.bundled):
            raise ValueError(f"{self.bundled!r} is not package:folder")
        if _VERSION.fullmatch(self.min_ganzoo) is None:
            raise ValueError(f"{self.min_ganzoo!r} is not a version")

    @property
    def reference(self) -> ZooReference:
        """Name and version."""
        return ZooReference(self.name, self.version)

    @property
    def protocols(self) -> list[str]:
        """Names of the protocols that its metrics were measured under, in order."""
        return list(dict.fromkeys(metric["protocol"] for metric in self.metrics))

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.size for file in self.files)

    def file(self, role: str) -> WeightsFile:
        """Return the one file with this role; raises ManifestError when there is none."""
        for file in self.files:
            if file.role == role:
                return file
        raise ManifestError(f"the manifest entry {self.reference} has no {role} file.", hint="Reinstall its package.")

    def bundled_folder(self) -> Path | None:
        """Return the folder inside an installed package that holds the files, or None."""
        if self.bundled is None:
            return None
        package, _, folder = self.bundled.partition(":")
        root = package_folder(package)
        return Path(root, folder) if root is not None else None


def check_types(table: Mapping[str, Any], types: Mapping[str, Any], where: str) -> None:
    """Check values of somebody else's JSON. True, NaN and what no float or 64-bit integer holds are not numbers.

    Raises TypeError for a value of another type, KeyError for a missing one.
    """
    for name, kind in types.items():
        value = table[name]
        is_odd = (isinstance(value, bool) and kind is not bool) or (
            (isinstance(value, float) and not math.isfinite(value)) or (isinstance(value, int) and abs(value) >> 63)
        )
        if not isinstance(value, kind) or is_odd:
            raise TypeError(f"{name} of the {where} is {shortened(repr(value), 60)}")


_BROKEN = (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, BadReferenceError)


def read_manifest(path: Path, owner: str = "", problems: list[ManifestError] | None = None) -> list[WeightsEntry]:
    """Read one manifest file of a distribution.

    Raises ManifestError. With a list of `problems`, entries that break a rule are left out, and reported there.
    """
    try:
        document = read_json(path)
        schema, records = document["schema"], list(document["entries"])
        is_newer = schema > SCHEMA_VERSION
        if len(records) > MAX_ENTRIES:
            raise ValueError(f"{len(records):,} entries; the limit is {MAX_ENTRIES:,}")
    except _BROKEN as error:
        raise ManifestError(f"{path} is not a weights manifest ({_reason(error)}).", hint=_REINSTALL) from error
    if is_newer:
        raise ManifestError(
            f"{path} has schema {shortened(schema, 60)}; this ganzoo reads {SCHEMA_VERSION}.", hint="Update ganzoo."
        )
    entries, broken = [], []
    for number, record in enumerate(records, start=1):
        try:
            entries.append(_entry(record, owner))
        except _BROKEN as error:
            name = shortened(repr(record.get("name")), 50) if isinstance(record, dict) else "not a table"
            broken.append(f"entry {number} ({name}): {_reason(error)}")
    if broken:
        more = f", and {len(broken) - 1} more entries are broken" if len(broken) > 1 else ""
        problem = ManifestError(f"{path} breaks the rules of a weights manifest: {broken[0]}{more}.", hint=_REINSTALL)
        if problems is None:
            raise problem
        problems.append(problem)
    return entries


_REINSTALL = "Reinstall its package, or report it to its author."


def _reason(error: Exception) -> str:
    return shortened(f"{type(error).__name__}: {error}", 100).rstrip(".")


def write_manifest(path: Path, entries: Iterable[WeightsEntry]) -> None:
    """Write a manifest, the whole file or none. Raises OSError."""
    records = [asdict(entry) for entry in entries]
    for record in records:
        del record["owner"]  # known from the distribution that ships the manifest
        if not record["requires"]:
            del record["requires"]
    write_json(path, {"schema": SCHEMA_VERSION, "entries": records})


def _entry(record: Mapping[str, Any], owner: str) -> WeightsEntry:
    fields = dict(record)
    fields["files"] = tuple(WeightsFile(**file) for file in record["files"])
    fields["metrics"] = tuple(record["metrics"])
    fields["requires"] = tuple(requirement_from_json(one) for one in record.get("requires", ()))
    return WeightsEntry(**fields, owner=owner)


def manifest_path(package: str) -> Path | None:
    """Return a package's manifest: inside it (a wheel), or beside it (a checkout); None when there is none."""
    folder = package_folder(package)
    if folder is None:
        return None
    candidates = (Path(folder, MANIFEST_NAME), Path(folder).parent / MANIFEST_NAME)
    return next((path for path in candidates if path.is_file()), None)


def read_registered(point: EntryPoint) -> tuple[list[WeightsEntry], list[ManifestError]]:
    """Return the entries of the manifest of an entry point, and what is wrong with the others."""
    package, owner = point.value.partition(":")[0], origin(point)
    path = manifest_path(package)
    if path is None:
        problem = f"{owner} registers the weights of {package!r}, which has no {MANIFEST_NAME}."
        hint = "Its author must add weights with `ganzoo zoo bundle`, or leave the entry point out until then."
        return [], [ManifestError(problem, hint=hint)]
    problems: list[ManifestError] = []
    try:
        entries = read_manifest(path, str(owner), problems)
    except ManifestError as error:
        entries, problems = [], [error]
    return entries, [ManifestError(f"{owner}: {problem}", hint=problem.hint) for problem in problems]


class Zoo:
    """Every entry of every installed manifest.

    A manifest or an entry that cannot be read is listed in `problems`; all other entries are still found. Names of the
    first-party weights are reserved: other entries with such a name are ignored, and listed in `problems`. A reference
    that two other distributions claim is in `entries` twice, and `find` refuses it.
    """

    def __init__(self) -> None:
        self.entries: list[WeightsEntry] = []
        self.problems: list[ManifestError] = []
        self._reserved: set[str] = set()
        # First-party weights first: their names are taken when the others are added.
        for point in sorted(registrations(WEIGHTS_GROUP), key=lambda point: not origin(point).is_first_party):
            self._add(point)

    def _add(self, point: EntryPoint) -> None:
        owner = origin(point)
        entries, problems = read_registered(point)
        self.problems += problems
        if owner.is_first_party:
            self._reserved |= {entry.name for entry in entries}
        for entry in entries:
            if owner.is_first_party or entry.name not in self._reserved:
                self.entries.append(entry)
            else:
                problem = f"{owner} lists the weights {entry.reference}, a name that is reserved for ganzoo."
                self.problems.append(ManifestError(problem, hint="Its author must choose another name."))

    def matching(self, pattern: str = "*") -> list[WeightsEntry]:
        """Return the entries whose name, or name@version, matches a shell pattern, sorted."""
        found = [entry for entry in self.entries if _matches(entry, pattern)]
        return sorted(found, key=lambda entry: (entry.name, entry.version))

    def find(self, reference: ZooReference) -> WeightsEntry:
        """Return the entry of a reference, the default version when it names none.

        Raises UnknownNameError, or ManifestError when two distributions claim it.
        """
        named = [entry for entry in self.entries if entry.name == reference.name]
        if not named:
            raise self.with_problems(
                UnknownNameError("weights", reference.name, {entry.name for entry in self.entries})
            )
        if reference.version is None:
            chosen = [entry for entry in named if entry.default]
        else:
            chosen = [entry for entry in named if entry.version == reference.version]
        if not chosen:
            known = {str(entry.reference) for entry in named}
            raise UnknownNameError("weights", str(reference), known)
        if len(chosen) > 1:
            owners = " and ".join(sorted({entry.owner for entry in chosen}))
            raise ManifestError(
                f"weights {reference} are registered by {owners}.",
                hint="Uninstall one of them, or name the one to keep in GANZOO_PLUGINS.",
            )
        return chosen[0]

    def with_problems(self, error: UnknownNameError) -> UnknownNameError:
        """Add the first manifest that could not be read: the name may be in there."""
        if self.problems:
            error.hint += f" Not read: {self.problems[0]}"
        return error


def _matches(entry: WeightsEntry, pattern: str) -> bool:
    return fnmatch.fnmatchcase(entry.name, pattern) or fnmatch.fnmatchcase(str(entry.reference), pattern)
