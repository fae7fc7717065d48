"""Entry points -> specs.

Names come from the metadata of installed distributions, so listing imports nothing; `get` imports only the plugin that
is asked for. A broken plugin, or a name that two plugins register, is an error of that name alone.
"""

from __future__ import annotations

import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.metadata import Distribution, EntryPoint, entry_points
from pathlib import Path
from typing import Generic, TypeVar

from ganzoo.errors import DuplicateNameError, PluginError, UnknownNameError
from ganzoo.specs import (
    API_VERSION,
    ArchitectureSpec,
    AugmentationSpec,
    DatasetSpec,
    ExtractorSpec,
    LossSpec,
    MetricSpec,
    OptimizerSpec,
    Recipe,
    RegularizerSpec,
)

FIRST_PARTY = "ganzoo"
"""The distribution whose plugins GANZOO_PLUGINS never turns off."""

Spec = TypeVar(
    "Spec",
    ArchitectureSpec,
    DatasetSpec,
    Recipe,
    MetricSpec,
    ExtractorSpec,
    LossSpec,
    RegularizerSpec,
    AugmentationSpec,
    OptimizerSpec,
)


@dataclass(frozen=True)
class Origin:
    """The distribution that registers a name."""

    distribution: str
    version: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"


def registrations(group: str) -> list[EntryPoint]:
    """Return the entry points of a group that GANZOO_PLUGINS allows, sorted by name.

    GANZOO_PLUGINS is unset (all), `off` (first-party only) or a comma-separated list of distributions.
    """
    found = [entry for entry in _installed(_folders())[group] if entry.dist is not None]
    choice = os.environ.get("GANZOO_PLUGINS", "").strip()
    if choice:
        allowed = set() if choice.lower() == "off" else {_normalized(name) for name in choice.split(",")}
        allowed.add(FIRST_PARTY)
        found = [entry for entry in found if _normalized(origin(entry).distribution) in allowed]
    owners = Counter(entry.name for entry in found)
    # The origin is in a file of its own, so it is read only where several distributions register the same name.
    return sorted(found, key=lambda entry: (entry.name, str(origin(entry)) if owners[entry.name] > 1 else ""))


def origin(entry: EntryPoint) -> Origin:
    """Return the distribution that registers an entry point of `registrations`."""
    assert entry.dist is not None
    return _origin(entry.dist)


@cache
def _origin(distribution: Distribution) -> Origin:
    metadata = distribution.metadata  # reads and parses a file
    return Origin(metadata["Name"], metadata["Version"])


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


def _normalized(distribution: str) -> str:
    """Normalize the name of a distribution as pip does: `My_Plugin` is `my-plugin`."""
    return distribution.strip().lower().replace("_", "-").replace(".", "-")


class Registry(Generic[Spec]):
    """The specs of one kind, by name."""

    def __init__(self, kind: str, group: str, spec_type: type[Spec]) -> None:
        self.kind, self.group = kind, group
        self._spec_type: type[Spec] = spec_type

    def origins(self) -> dict[str, list[Origin]]:
        """Return every registered name with the distributions that register it; imports nothing."""
        return {name: [origin(entry) for entry in entries] for name, entries in self._entries().items()}

    def names(self) -> list[str]:
        """Return every registered name, sorted; imports nothing."""
        return list(self._entries())

    def get(self, name: str) -> Spec:
        """Import and return one spec.

        Raises UnknownNameError, DuplicateNameError, or PluginError when the plugin cannot be imported, provides
        something else than this kind of spec, or was written for a newer ganzoo.
        """
        entries = self._entries().get(name)
        if entries is None:
            raise UnknownNameError(self.kind, name, self.names())
        if len(entries) > 1:
            owners = [origin(entry) for entry in entries]
            raise DuplicateNameError(
                f"{self.kind} {name!r} is registered by {' and '.join(map(str, owners))}.",
                distribution=owners[0].distribution,
                version=owners[0].version,
                hint="Uninstall one of them, or name the one to keep in GANZOO_PLUGINS.",
            )
        return _load(entries[0], self.kind, self._spec_type)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def _entries(self) -> dict[str, list[EntryPoint]]:
        entries: dict[str, list[EntryPoint]] = defaultdict(list)
        for entry in registrations(self.group):
            entries[entry.name].append(entry)
        return dict(entries)


def _load(entry: EntryPoint, kind: str, spec_type: type[Spec]) -> Spec:
    """Import one entry point and check the contract."""
    source = origin(entry)

    def broken(what: str, hint: str = "") -> PluginError:
        message = f"{source} {what}"
        return PluginError(message, distribution=source.distribution, version=source.version, hint=hint)

    try:
        spec = entry.load()
    except (Exception, SystemExit) as error:  # SystemExit: a plugin that calls sys.exit() must not end ours
        raise broken(f"failed to load {kind} {entry.name!r}: {type(error).__name__}: {error}") from error
    if not isinstance(spec, spec_type):
        raise broken(f"registers a {type(spec).__name__} as {kind} {entry.name!r}, not {spec_type.__name__}.")
    # An older contract is fine; a newer one may count on something that this version does not do.
    if spec.api_version > API_VERSION:
        raise broken(
            f"wrote {kind} {entry.name!r} for plugin API {spec.api_version}, but this ganzoo has {API_VERSION}.",
            hint="Update ganzoo: pip install --upgrade ganzoo",
        )
    # Runs and weights record spec.name, and are looked up under it again.
    if spec.name != entry.name:
        raise broken(f"registers {kind} {spec.name!r} under the name {entry.name!r}; the names must be equal.")
    return spec


architectures = Registry("architecture", "ganzoo.architectures", ArchitectureSpec)
datasets = Registry("dataset", "ganzoo.datasets", DatasetSpec)
recipes = Registry("recipe", "ganzoo.recipes", Recipe)
metrics = Registry("metric", "ganzoo.metrics", MetricSpec)
extractors = Registry("extractor", "ganzoo.extractors", ExtractorSpec)
losses = Registry("loss", "ganzoo.losses", LossSpec)
regularizers = Registry("regularizer", "ganzoo.regularizers", RegularizerSpec)
augmentations = Registry("augmentation", "ganzoo.augmentations", AugmentationSpec)
optimizers = Registry("optimizer", "ganzoo.optimizers", OptimizerSpec)

REGISTRIES = (
    recipes,
    datasets,
    architectures,
    metrics,
    extractors,
    losses,
    regularizers,
    augmentations,
    optimizers,
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
