"""`ganzoo plugins`."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass, field
from typing import Annotated

import typer

from ganzoo.cli.options import Json
from ganzoo.cli.output import out
from ganzoo.errors import PluginError, shortened
from ganzoo.registry import REGISTRIES, WEIGHTS_GROUP, Origin, origin, registrations

app = typer.Typer(help="List plugins.", no_args_is_help=True)


@app.command("list")
def list_(
    check: Annotated[bool, typer.Option("--check", help="Import every plugin to find those that are broken.")] = False,
    json: Json = False,
) -> None:
    """List the installed plugins, what they register, and which of them are broken."""
    plugins = _plugins(check=check)
    if json:
        out.json({"plugins": [asdict(plugin) for plugin in plugins]})
        return
    rows = [
        (plugin.name, plugin.version, plugin.status, ", ".join(f"{one.kind} {one.name}" for one in plugin.registers))
        for plugin in plugins
    ]
    out.table("", ["plugin", "version", "status", "registers"], rows)
    # A name of two plugins is a problem of both.
    registered = (one for plugin in plugins for one in plugin.registers)
    for problem in dict.fromkeys((one.problem, one.hint) for one in registered if one.problem):
        out.problem(*problem)


@dataclass
class _Registered:
    """A name that a plugin registers."""

    kind: str
    name: str
    problem: str | None = None
    """Why it cannot be used; None if it can, or if it was not checked."""
    hint: str = ""


@dataclass
class _Plugin:
    """An installed distribution that registers something."""

    name: str
    version: str
    status: str
    """ok, broken, or not checked."""
    registers: list[_Registered] = field(default_factory=list)


def _plugins(*, check: bool) -> list[_Plugin]:
    """Return all plugins, sorted. Without `check` none is imported, and only wrong names are found."""
    found: dict[Origin, dict[tuple[str, str], _Registered]] = defaultdict(dict)
    for registry in REGISTRIES:
        for name, origins in registry.origins().items():
            for owner in origins:
                found[owner][registry.kind, name] = _Registered(registry.kind, name)
        for problem in registry.problems():
            key = (problem.kind, problem.name)
            found[problem.origin][key] = _Registered(*key, str(problem.error), problem.error.hint)
        if check:
            for name, (owner, *others) in registry.origins().items():
                if not others:  # two owners are a problem already
                    try:
                        registry.get(name)
                    except PluginError as error:
                        found[owner][registry.kind, name] = _Registered(registry.kind, name, str(error), error.hint)
    for point in registrations(WEIGHTS_GROUP):
        package = shortened(point.value, 60)
        weights = found[origin(point)]["weights", package] = _Registered("weights", package)
        if check:
            from ganzoo.weights.manifest import read_registered

            for fault in read_registered(point)[1]:
                weights.problem, weights.hint = str(fault), fault.hint
    plugins = []
    for owner, registers in sorted(found.items(), key=lambda item: str(item[0])):
        broken = any(one.problem for one in registers.values())
        status = "broken" if broken else "ok" if check else "not checked"
        plugins.append(_Plugin(owner.distribution, owner.version, status, list(registers.values())))
    return plugins
