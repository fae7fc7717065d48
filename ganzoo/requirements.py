"""Whose code made a model: the third-party plugins that took part, and how to get one that is missing.

Runs, weights and manifests record them as `requires`. Files of others may name any package, so names and versions are
checked before they are shown in a command, and nothing is ever installed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ganzoo.errors import MissingPluginError, UnknownNameError, shortened
from ganzoo.registry import REGISTRIES, is_allowed
from ganzoo.specs import Recipe

_DISTRIBUTION = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?")
_VERSION = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.!+_-]{0,62}[A-Za-z0-9])?")
_PROVIDED = re.compile(r"[a-z]{1,32} [a-z0-9][a-z0-9._-]{0,63}")
_RELEASE = re.compile(r"[0-9]+(\.[0-9]+)*((a|b|rc)[0-9]+)?(\.post[0-9]+)?")
"""Versions that go into `>=` as they are: without a local part (`+cu118`), which a comparison may not have."""


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """A plugin that took part in a training or an evaluation."""

    distribution: str
    """What `pip install` takes."""
    version: str
    """The version that was installed then."""
    provides: tuple[str, ...]
    """What was used of it: kind and name, such as `architecture style`."""

    def __post_init__(self) -> None:
        if _DISTRIBUTION.fullmatch(self.distribution) is None:
            raise ValueError(f"{shortened(repr(self.distribution), 60)} is not the name of a distribution")
        if _VERSION.fullmatch(self.version) is None:
            raise ValueError(f"{shortened(repr(self.version), 60)} is not a version")
        for provided in self.provides:
            if _PROVIDED.fullmatch(provided) is None:
                raise ValueError(f"{shortened(repr(provided), 60)} is not kind and name of a spec")

    @property
    def install_command(self) -> str:
        """The command that installs this version or a newer one."""
        minimum = _RELEASE.match(self.version)
        # Double quotes, which every shell understands; the characters above need no others.
        return f'pip install "{self.distribution}' + (f'>={minimum[0]}"' if minimum else '"')


def requirement_from_json(record: Mapping[str, Any]) -> Requirement:
    """Read what `asdict` wrote. Raises ValueError, TypeError, KeyError."""
    return Requirement(**{**record, "provides": tuple(record["provides"])})


def requirements(used: Mapping[str, Iterable[str]]) -> tuple[Requirement, ...]:
    """Return the third-party plugins that register these specs: kind -> names. Imports nothing."""
    provided: dict[tuple[str, str], list[str]] = {}
    for registry in REGISTRIES:
        names = set(used.get(registry.kind, ()))
        origins = registry.origins() if names else {}
        for name in sorted(names & origins.keys()):
            for origin in origins[name]:
                if not origin.is_first_party:
                    provided.setdefault((origin.distribution, origin.version), []).append(f"{registry.kind} {name}")
    found = []
    for (distribution, installed), specs in sorted(provided.items()):
        with suppress(ValueError):  # broken metadata, such as no name: there is nothing to install it by
            found.append(Requirement(distribution=distribution, version=installed, provides=tuple(sorted(specs))))
    return tuple(found)


def recipe_requirements(recipe: Recipe) -> tuple[Requirement, ...]:
    """Return the third-party plugins that take part in training a recipe. Imports nothing."""
    return requirements(
        {
            "recipe": [recipe.name],
            "architecture": [recipe.architecture],
            "dataset": [recipe.dataset],
            "loss": [recipe.loss],
            "regularizer": recipe.regularizers,
            "augmentation": recipe.augment,
            "optimizer": [recipe.optimizers.generator.kind, recipe.optimizers.discriminator.kind],
        }
    )


def merged(*groups: Iterable[Requirement]) -> tuple[Requirement, ...]:
    """Return the requirements of several groups, each distribution and version once."""
    provided: dict[tuple[str, str], set[str]] = {}
    for one in (one for group in groups for one in group):
        provided.setdefault((one.distribution, one.version), set()).update(one.provides)
    return tuple(
        Requirement(distribution=distribution, version=installed, provides=tuple(sorted(specs)))
        for (distribution, installed), specs in sorted(provided.items())
    )


@contextmanager
def naming_plugins(requires: Iterable[Requirement], where: object) -> Iterator[None]:
    """Turn "no architecture named 'style'" into the plugin that has it, if `requires` says which one that is."""
    try:
        yield
    except UnknownNameError as error:
        for one in requires:
            if f"{error.kind} {error.name}" in one.provides:
                raise _missing(one, error, where) from error
        raise


def _missing(needed: Requirement, error: UnknownNameError, where: object) -> MissingPluginError:
    try:
        installed = version(needed.distribution)
    except PackageNotFoundError:
        hint = f"If you trust its author: {needed.install_command}"
    else:
        hint = f"GANZOO_PLUGINS leaves it out: unset it, or add {needed.distribution}."
        if is_allowed(needed.distribution):
            hint = f"{needed.distribution} {installed} is installed, but does not have it; install {needed.version}."
    return MissingPluginError(
        f"{where} needs the plugin {needed.distribution} ({needed.version} when trained), "
        f"which has the {error.kind} {error.name!r}.",
        distribution=needed.distribution,
        version=needed.version,
        hint=hint,
    )
