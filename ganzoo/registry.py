"""Entry points -> specs.

Names come from the metadata of installed distributions, so that listing imports nothing; `get` imports the one plugin
that is asked for. A broken plugin, or two that claim one name, is an error of that name alone.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
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


def origin(entry: EntryPoint) -> Origin:
    """Return the distribution that an entry point was read from."""
    if entry.dist is None:  # pragma: no cover - only for entry points built by hand
        return Origin("unknown distribution", "?")
    return Origin(entry.dist.name, entry.dist.version)


def enabled_entry_points(group: str) -> list[EntryPoint]:
    """Return the entry points of a group that GANZOO_PLUGINS lets through, in the order of their names.

    GANZOO_PLUGINS is unset (all), `off` (first-party only) or a comma-separated list of distributions.
    """
    choice = os.environ.get("GANZOO_PLUGINS", "").strip()
    found = sorted(entry_points(group=group), key=lambda entry: (entry.name, str(origin(entry))))
    if not choice:
        return found
    allowed = set() if choice.lower() == "off" else {_normalized(name) for name in choice.split(",")}
    allowed.add(FIRST_PARTY)
    return [entry for entry in found if _normalized(origin(entry).distribution) in allowed]


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
        return {name: [origin(entry) for entry in entries] for name, entries in self._entries().items()}

    def names(self) -> list[str]:
        """Return every registered name, sorted; imports nothing."""
        return list(self._entries())

    def get(self, name: str) -> Spec:
        """Import and return one spec.

        Raises UnknownNameError, DuplicateNameError, or PluginError when the plugin cannot be imported, hands over
        something else, or was written for a newer ganzoo.
        """
        entries = self._entries().get(name)
        if entries is None:
            raise UnknownNameError(self.kind, name, self.names())
        if len(entries) > 1:
            claimants = " and ".join(str(origin(entry)) for entry in entries)
            raise DuplicateNameError(
                f"{self.kind} {name!r} is registered by {claimants}.",
                distribution=origin(entries[0]).distribution,
                version=origin(entries[0]).version,
                hint="Uninstall one of them, or name the one to keep in GANZOO_PLUGINS.",
            )
        return _load(entries[0], self.kind, self._spec_type)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def _entries(self) -> dict[str, list[EntryPoint]]:
        claims: dict[str, list[EntryPoint]] = defaultdict(list)
        for entry in enabled_entry_points(self.group):
            claims[entry.name].append(entry)
        return dict(claims)


def _load(entry: EntryPoint, kind: str, spec_type: type[Spec]) -> Spec:
    """Import one entry point and hold it to the contract."""
    source = origin(entry)

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
