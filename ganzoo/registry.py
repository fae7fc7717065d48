"""Entry points -> specs.

Names come from the metadata of installed distributions, so listing imports nothing; `get` imports only the plugin that
is asked for. A broken plugin, or a name that two plugins register, is an error of that name alone. Names of the
first-party plugins are reserved: no other distribution can take one away.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.metadata import Distribution, EntryPoint, entry_points
from pathlib import Path
from typing import Generic, TypeVar

from ganzoo import specs
from ganzoo.errors import DuplicateNameError, PluginError, UnknownNameError, shortened
from ganzoo.specs import (
    API_VERSION,
    ArchitectureSpec,
    AugmentationSpec,
    DatasetSpec,
    EvaluationProtocol,
    ExtractorSpec,
    LoggerSpec,
    LossSpec,
    MetricSpec,
    OptimizerSpec,
    Recipe,
    RegularizerSpec,
)
from ganzoo.specs.registration import NAME, NAME_RULE, NewerApiError

FIRST_PARTY = "ganzoo"
"""The distribution whose plugins GANZOO_PLUGINS never turns off, and whose names are reserved."""
UPDATE_GANZOO = "Update ganzoo: pip install --upgrade ganzoo"

Spec = TypeVar(
    "Spec",
    ArchitectureSpec,
    DatasetSpec,
    Recipe,
    MetricSpec,
    ExtractorSpec,
    EvaluationProtocol,
    LossSpec,
    RegularizerSpec,
    AugmentationSpec,
    OptimizerSpec,
    LoggerSpec,
)

_log = logging.getLogger("ganzoo")


@dataclass(frozen=True)
class Origin:
    """The distribution that registers a name."""

    distribution: str
    version: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"

    @property
    def is_first_party(self) -> bool:
        """Whether it is ganzoo's own."""
        return normalized(self.distribution) == FIRST_PARTY

    def error(self, what: str, hint: str = "") -> PluginError:
        """Return an error of this distribution: its name and version, then `what`."""
        return PluginError(f"{self} {what}", distribution=self.distribution, version=self.version, hint=hint)


def registrations(group: str) -> list[EntryPoint]:
    """Return the entry points of a group that GANZOO_PLUGINS allows, sorted by name.

    GANZOO_PLUGINS is unset (all), `off` (first-party only) or a comma-separated list of distributions.
    """
    found = [entry for entry in _installed(_folders())[group] if entry.dist is not None]
    if os.environ.get("GANZOO_PLUGINS", "").strip():  # else no distribution's name has to be read
        found = [entry for entry in found if is_allowed(origin(entry).distribution)]
    owners = Counter(entry.name for entry in found)
    # The origin is in a file of its own, so it is read only where several distributions register the same name.
    return sorted(found, key=lambda entry: (entry.name, str(origin(entry)) if owners[entry.name] > 1 else ""))


def is_allowed(distribution: str) -> bool:
    """Whether GANZOO_PLUGINS allows the plugins of a distribution."""
    choice = os.environ.get("GANZOO_PLUGINS", "").strip()
    chosen = set() if choice.lower() == "off" else {normalized(name) for name in choice.split(",")}
    return not choice or normalized(distribution) in {*chosen, FIRST_PARTY}


def origin(entry: EntryPoint) -> Origin:
    """Return the distribution that registers an entry point of `registrations`."""
    assert entry.dist is not None
    return _origin(entry.dist)


@cache
def _origin(distribution: Distribution) -> Origin:
    metadata = distribution.metadata  # reads and parses a file
    name = metadata.get_all("Name", ["a distribution without a name"])[0]
    return Origin(name, metadata.get_all("Version", ["0"])[0])


# The argument is only the cache's key. One entry is enough: metadata of folders that have changed is stale.
@lru_cache(maxsize=1)
def _installed(folders: object) -> dict[str, list[EntryPoint]]:
    """Return the entry points of each group; the metadata is read again only when the folders change."""
    points = entry_points()
    return {group: list(points.select(group=group)) for group in GROUPS}


def _folders() -> tuple[tuple[str, int], ...]:
    """Return sys.path with modification times, which change when a distribution is installed or removed."""
    paths = [Path(folder) for folder in sys.path]
    return tuple((str(path), path.stat().st_mtime_ns) for path in paths if path.exists())


def normalized(distribution: str) -> str:
    """Normalize the name of a distribution as pip does: `My_Plugin` is `my-plugin`."""
    return distribution.strip().lower().replace("_", "-").replace(".", "-")


class Registry(Generic[Spec]):
    """The specs of one kind, by name."""

    def __init__(self, kind: str, group: str, spec_type: type[Spec]) -> None:
        self.kind, self.group = kind, group
        self.spec_type: type[Spec] = spec_type

    def origins(self) -> dict[str, list[Origin]]:
        """Return every registered name with the distributions that register it; imports nothing."""
        return {name: [origin(entry) for entry in entries] for name, entries in self._entries()[0].items()}

    def owners(self, name: str) -> list[Origin]:
        """Return the distributions that register a name; reads no other's metadata, and imports nothing."""
        return [origin(entry) for entry in self._entries()[0].get(name, ())]

    def names(self) -> list[str]:
        """Return every registered name, sorted; imports nothing."""
        return list(self._entries()[0])

    def problems(self) -> list[Problem]:
        """Return what is wrong with names, which can be seen without importing anything."""
        entries, problems = self._entries()
        for name, rivals in entries.items():
            if len(rivals) > 1:
                error = self._duplicate(name, rivals)
                problems += [Problem(origin(entry), self.kind, name, error) for entry in rivals]
        return problems

    def get(self, name: str) -> Spec:
        """Import and return one spec.

        Raises UnknownNameError, DuplicateNameError, or PluginError when the plugin cannot be imported, provides
        something else than this kind of spec, or was written for a newer ganzoo.
        """
        entries = self._entries()[0].get(name)
        if entries is None:
            raise UnknownNameError(self.kind, name, self.names())
        if len(entries) > 1:
            raise self._duplicate(name, entries)
        return _load(entries[0], self.kind, self.spec_type)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def _entries(self) -> tuple[dict[str, list[EntryPoint]], list[Problem]]:
        """Return the entry points of each usable name, and what is wrong with the others."""
        entries: dict[str, list[EntryPoint]] = defaultdict(list)
        problems = []
        for entry in registrations(self.group):
            if NAME.fullmatch(entry.name):
                entries[entry.name].append(entry)
            else:
                what = f"registers {self.kind} {shortened(repr(entry.name), 60)}, which is not a valid name."
                error = origin(entry).error(what, f"Its author must choose another name: {NAME_RULE}.")
                problems.append(Problem(origin(entry), self.kind, shortened(entry.name, 60), error))
        for name, rivals in entries.items():
            own = [entry for entry in rivals if origin(entry).is_first_party] if len(rivals) > 1 else []
            if own:
                entries[name] = own
                what = f"registers {self.kind} {name!r}, a name that is reserved for ganzoo; it is ignored."
                for other in {origin(entry) for entry in rivals if not origin(entry).is_first_party}:
                    error = other.error(what, "Its author must choose another name.")
                    problems.append(Problem(other, self.kind, name, error))
        return dict(entries), problems

    def _duplicate(self, name: str, entries: list[EntryPoint]) -> DuplicateNameError:
        owners = [origin(entry) for entry in entries]
        return DuplicateNameError(
            f"{self.kind} {name!r} is registered by {' and '.join(map(str, owners))}.",
            distribution=owners[0].distribution,
            version=owners[0].version,
            hint="Uninstall one of them, or list the plugins to keep in GANZOO_PLUGINS.",
        )


@dataclass(frozen=True)
class Problem:
    """A registration that cannot be used."""

    origin: Origin
    kind: str
    name: str
    error: PluginError


def _load(entry: EntryPoint, kind: str, spec_type: type[Spec]) -> Spec:
    """Import one entry point and check the contract."""
    source, name = origin(entry), entry.name
    if entry.pattern.match(entry.value) is None:
        raise source.error(f"registers {kind} {name!r} as {entry.value!r}, not as 'module:attribute'.")
    try:
        # What a plugin prints must not get into the data on stdout, such as the document of --json.
        with redirect_stdout(sys.stderr):
            spec = entry.load()
    except NewerApiError as error:
        what = f"wrote {kind} {name!r} for plugin API {error.api_version}, but this ganzoo has {API_VERSION}."
        raise source.error(what, UPDATE_GANZOO) from error
    except (Exception, SystemExit) as error:  # SystemExit: a plugin that calls sys.exit() must not end ours
        what = f"failed to load {kind} {name!r}: {type(error).__name__}: {shortened(error)}"
        raise source.error(what, _HINT_NEWER if _may_need_newer(error) else "") from error
    except KeyboardInterrupt:
        _log.warning("Interrupted while %s was imported for %s %r.", source, kind, name)
        raise
    if not isinstance(spec, spec_type):
        raise source.error(f"registers a {type(spec).__name__} as {kind} {name!r}, not {spec_type.__name__}.")
    # Runs and weights record spec.name, and are looked up under it again.
    if spec.name != name:
        raise source.error(f"registers {kind} {spec.name!r} under the name {name!r}; the names must be equal.")
    fault = _fault(spec)
    if fault:
        raise source.error(f"registers {kind} {name!r}, {fault}.")
    return spec


def _fault(spec: object) -> str:
    """Return which rule of the contract a spec breaks that types do not express; empty if it breaks none."""
    for field in ("config", "sampling_options"):
        kind = None if isinstance(spec, Recipe | DatasetSpec) else getattr(spec, field, None)
        required = field == "config" and isinstance(spec, ArchitectureSpec | OptimizerSpec)
        if (kind is not None or required) and not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
            return f"whose {field} is {shortened(repr(kind), 60)}, not a frozen dataclass"
    if isinstance(spec, DatasetSpec):
        for split in spec.splits:
            if NAME.fullmatch(str(split)) is None:
                return f"whose split {shortened(repr(split), 60)} is not a valid name ({NAME_RULE})"
    if isinstance(spec, EvaluationProtocol) and spec.dataset is None:
        return "which does not name the dataset that it is for"
    return ""


_HINT_NEWER = f"It may have been written for a newer ganzoo. {UPDATE_GANZOO}"


def _may_need_newer(error: BaseException) -> bool:
    """Whether a plugin uses a name or field of ganzoo's that this version does not have."""
    if isinstance(error, ImportError):
        return (error.name or "").partition(".")[0] == "ganzoo"
    unknown_field = re.match(r"(\w+)\.__init__\(\) got an unexpected keyword argument", str(error))
    return isinstance(error, TypeError) and unknown_field is not None and hasattr(specs, unknown_field[1])


architectures = Registry("architecture", "ganzoo.architectures", ArchitectureSpec)
datasets = Registry("dataset", "ganzoo.datasets", DatasetSpec)
recipes = Registry("recipe", "ganzoo.recipes", Recipe)
metrics = Registry("metric", "ganzoo.metrics", MetricSpec)
extractors = Registry("extractor", "ganzoo.extractors", ExtractorSpec)
protocols = Registry("protocol", "ganzoo.protocols", EvaluationProtocol)
losses = Registry("loss", "ganzoo.losses", LossSpec)
regularizers = Registry("regularizer", "ganzoo.regularizers", RegularizerSpec)
augmentations = Registry("augmentation", "ganzoo.augmentations", AugmentationSpec)
optimizers = Registry("optimizer", "ganzoo.optimizers", OptimizerSpec)
loggers = Registry("logger", "ganzoo.loggers", LoggerSpec)

REGISTRIES = (
    recipes,
    datasets,
    architectures,
    metrics,
    extractors,
    protocols,
    losses,
    regularizers,
    augmentations,
    optimizers,
    loggers,
)
WEIGHTS_GROUP = "ganzoo.weights"
GROUPS = (*(registry.group for registry in REGISTRIES), WEIGHTS_GROUP)


@cache
def package_folder(package: str) -> str | None:
    """Return the folder of an installed top-level package without importing it, or None."""
    from importlib.util import find_spec

    if not package.isidentifier():
        return None  # find_spec would import the parents of a submodule
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        return None
    return next(iter(found.submodule_search_locations))
