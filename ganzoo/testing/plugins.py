"""From the name of a distribution or spec to what is checked."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

from ganzoo.errors import UnknownNameError
from ganzoo.registry import REGISTRIES, WEIGHTS_GROUP, normalized, origin, registrations
from ganzoo.testing.checks import Example
from ganzoo.weights.manifest import WeightsEntry, Zoo, read_registered


def examples_of(name: str, data_dir: Path | None = None, *, evaluate: bool = False) -> list[Example]:
    """Return everything that a distribution registers, or every spec and all weights of a name, with their defaults.

    Raises UnknownNameError; PluginError or ManifestError when the plugin cannot be imported or its weights be read.
    """
    distributions, found = set(), list[Example]()
    for registry in REGISTRIES:
        for registered, origins in registry.origins().items():
            owners = {one.distribution for one in origins}
            distributions |= owners
            if registered == name or normalized(name) in map(normalized, owners):
                found.append(Example(registry.get(registered), data_dir=data_dir))
    for point in registrations(WEIGHTS_GROUP):
        owner = origin(point).distribution
        distributions.add(owner)
        if normalized(owner) == normalized(name):
            found += [Example(entry, data_dir=data_dir, evaluate=evaluate) for entry in _entries(point)]
    for entry in Zoo().matching():
        example = Example(entry, data_dir=data_dir, evaluate=evaluate)
        if name in (entry.name, str(entry.reference)) and example not in found:
            found.append(example)
    if not found:
        names = {spec for registry in REGISTRIES for spec in registry.names()}
        raise UnknownNameError("plugin or name", name, distributions | names)
    return found


def _entries(point: EntryPoint) -> list[WeightsEntry]:
    entries, problems = read_registered(point)
    if problems:
        raise problems[0]
    return entries
