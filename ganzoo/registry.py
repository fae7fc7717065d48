"""Entry points -> specs.

Names come from the metadata of installed distributions, so that listing imports nothing; `get` imports the one plugin
that is asked for. A broken plugin, or two that claim one name, is an error of that name alone.
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
from ganzoo.specs import API_VERSION, ArchitectureSpec, DatasetSpec, ExtractorSpec, MetricSpec, Recipe

FIRST_PARTY = "ganzoo"
"""The distribution whose plugins GANZOO_PLUGINS never turns off."""

Spec = TypeVar("Spec", ArchitectureSpec, DatasetSpec, Recipe, MetricSpec, ExtractorSpec)


@dataclass(frozen=True)
class Origin:
    """The distribution that registers a name."""

    distribution: str
    version: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"


@cache
def _origin(distribution: Distribution) -> Origin:
    metadata = distribution.metadata  # reads and parses a file
    return Origin(metadata["Name"], metadata["Version"])


@dataclass(frozen=True)
class Registration:
    """A line under an entry-point group."""

    entry: EntryPoint
    distribution: Distribution

    @property
    def name(self) -> str:
        """What is registered."""
        return self.entry.name

    @property
    def origin(self) -> Origin:
        """The distribution that registers it."""
        return _origin(self.distribution)


def registrations(group: str) -> list[Registration]:
    """Return the entry points of a group that GANZOO_PLUGINS lets through, in the order of their names.

    GANZOO_PLUGINS is unset (all), `off` (first-party only) or a comma-separated list of distributions.
    """
    found = _installed(_surroundings())[group]
    choice = os.environ.get("GANZOO_PLUGINS", "").strip()
    if choice:
        allowed = set() if choice.lower() == "off" else {_normalized(name) for name in choice.split(",")}
        allowed.add(FIRST_PARTY)
        found = [one for one in found if _normalized(one.origin.distribution) in allowed]
    owners = Counter(one.name for one in found)
    # Who owns a name takes a file to say, so it is asked only where there are several.
    return sorted(found, key=lambda one: (one.name, str(one.origin) if owners[one.name] > 1 else ""))


@lru_cache(maxsize=1)
def _installed(surroundings: object) -> dict[str, list[Registration]]:
    """Return what is registered for each group, each distribution's file read once while the surroundings stay."""
    points = entry_points()
    return {
        group: [Registration(entry, entry.dist) for entry in points.select(group=group) if entry.dist is not None]
        for group in GROUPS
    }


def _surroundings() -> tuple[object, ...]:
    """Return who looks for distributions, where, and when something was last installed there."""
    folders = [path for path in map(Path, sys.path) if path.exists()]
    return (*map(id, sys.meta_path), *((path, path.stat().st_mtime_ns) for path in folders))


def _normalized(distribution: str) -> str:
    """Compare distribution names as pip does: `My_Plugin` is `my-plugin`."""
    return distribution.strip().lower().replace("_", "-").replace(".", "-")


class Registry(Generic[Spec]):
    """The specs of one kind, by name."""

    def __init__(self, kind: str, group: str, spec_type: type[Spec]) -> None:
        self.kind, self.group = kind, group
        self._spec_type: type[Spec] = spec_type

    def origins(self) -> dict[str, list[Origin]]:
        """Return every registered name with the distributions that claim it; imports nothing."""
        return {name: [claim.origin for claim in claims] for name, claims in self._claims().items()}

    def names(self) -> list[str]:
        """Return every registered name, sorted; imports nothing."""
        return list(self._claims())

    def get(self, name: str) -> Spec:
        """Import and return one spec.

        Raises UnknownNameError, DuplicateNameError, or PluginError when the plugin cannot be imported, hands over
        something else, or was written for a newer ganzoo.
        """
        claims = self._claims().get(name)
        if claims is None:
            raise UnknownNameError(self.kind, name, self.names())
        if len(claims) > 1:
            claimants = " and ".join(str(claim.origin) for claim in claims)
            raise DuplicateNameError(
                f"{self.kind} {name!r} is registered by {claimants}.",
                distribution=claims[0].origin.distribution,
                version=claims[0].origin.version,
                hint="Uninstall one of them, or name the one to keep in GANZOO_PLUGINS.",
            )
        return _load(claims[0], self.kind, self._spec_type)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def _claims(self) -> dict[str, list[Registration]]:
        claims: dict[str, list[Registration]] = defaultdict(list)
        for one in registrations(self.group):
            claims[one.name].append(one)
        return dict(claims)


def _load(claim: Registration, kind: str, spec_type: type[Spec]) -> Spec:
    """Import one entry point and hold it to the contract."""
    entry, source = claim.entry, claim.origin

    def broken(what: str, hint: str = "") -> PluginError:
        message = f"{source} {what}"
        return PluginError(message, distribution=source.distribution, version=source.version, hint=hint)

    try:
        spec = entry.load()
    except (Exception, SystemExit) as error:  # a plugin that calls sys.exit() must not end the program
        raise broken(f"failed to load {kind} {entry.name!r}: {type(error).__name__}: {error}") from error
    if not isinstance(spec, spec_type):
        raise broken(f"registers {kind} {entry.name!r} as a {type(spec).__name__}, not a {spec_type.__name__}.")
    if spec.api_version > API_VERSION:
        raise broken(
            f"wrote {kind} {entry.name!r} for plugin API {spec.api_version}; this ganzoo understands {API_VERSION}.",
            hint="Update ganzoo: pip install --upgrade ganzoo",
        )
    if spec.name != entry.name:
        raise broken(f"registers {kind} {spec.name!r} under the name {entry.name!r}; the two must agree.")
    return spec


architectures = Registry("architecture", "ganzoo.architectures", ArchitectureSpec)
datasets = Registry("dataset", "ganzoo.datasets", DatasetSpec)
recipes = Registry("recipe", "ganzoo.recipes", Recipe)
metrics = Registry("metric", "ganzoo.metrics", MetricSpec)
extractors = Registry("extractor", "ganzoo.extractors", ExtractorSpec)

REGISTRIES = (recipes, datasets, architectures, metrics, extractors)
WEIGHTS_GROUP = "ganzoo.weights"
GROUPS = (*(registry.group for registry in REGISTRIES), WEIGHTS_GROUP)


@cache
def package_folder(package: str) -> str | None:
    """Return the folder of an installed top-level package without importing it; None when there is none."""
    from importlib.util import find_spec

    if not package.isidentifier():
        return None  # a submodule cannot be found without importing its parents
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        return None
    return next(iter(found.submodule_search_locations))
