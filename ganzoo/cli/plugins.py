"""`ganzoo plugins`."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ganzoo.cli.options import Json
from ganzoo.cli.output import out
from ganzoo.errors import PluginError, UsageError, shortened
from ganzoo.registry import REGISTRIES, WEIGHTS_GROUP, Origin, origin, registrations

app = typer.Typer(help="List, check and write plugins.", no_args_is_help=True)


@app.command("list")
def list_(
    check: Annotated[bool, typer.Option("--check", help="Import every plugin to find those that are broken.")] = False,
    json: Json = False,
) -> None:
    """List the installed plugins, what they register, and which of them are broken."""
    plugins = installed_plugins(check=check)
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


@app.command()
def check(
    name: Annotated[str, typer.Argument(help="A plugin (distribution), or a name that it registers.")],
    expect: Annotated[
        list[str] | None,
        typer.Option(metavar="CHECK=REASON", help="A check, or SPEC/CHECK, that is expected to fail (repeatable)."),
    ] = None,
    evaluate: Annotated[
        bool, typer.Option("--evaluate", help="Also measure the published numbers of its weights again.")
    ] = False,
    data_dir: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder with files of datasets; default: what is in the store."),
    ] = None,
    json: Json = False,
) -> None:
    """Check that a plugin keeps its contracts; exit 1 if it does not.

    Recipes are trained for a few steps in a temporary folder. No dataset is downloaded: checks that need one which is
    missing are skipped.
    """
    from ganzoo.testing import Result, examples_of, run_checks

    expected = {}
    for assignment in expect or ():
        key, separator, reason = assignment.partition("=")
        if not (separator and reason.strip()):
            raise UsageError(f"--expect {assignment!r} has no reason.", hint="Write --expect 'CHECK=REASON'.")
        expected[key.strip()] = reason.strip()
    results: list[Result] = []
    for result in run_checks(examples_of(name, data_dir, evaluate=evaluate), expected):
        if not results or (results[-1].kind, results[-1].name) != (result.kind, result.name):
            out.talk(f"Checking {result.kind} {result.name} …")
        results.append(result)
    failed = [result for result in results if result.status == "failed"]
    if json:
        out.json({"plugin": name, "results": [asdict(result) for result in results]})
    else:
        columns = ["kind", "name", "check", "status", "why"]
        rows = [
            (result.kind, result.name, result.check, result.status, _why(result.status, result.problem, result.change))
            for result in results
        ]
        out.table("", columns, rows)
    counts = Counter(result.status for result in results)
    out.talk(", ".join(f"{count} {status}" for status, count in counts.items()) + ".")
    for result in failed:
        out.problem(f"{result.name}, {result.check}: {result.problem}", result.change)
    if failed:
        raise typer.Exit(1)


def _why(status: str, problem: str, change: str) -> str:
    """Return the last cell of a row: what to change, or why it was expected or skipped."""
    return {"failed": change, "expected": change, "skipped": problem}.get(status, "")


class _Kind(StrEnum):
    """What a new plugin registers."""

    architecture = "architecture"
    dataset = "dataset"
    metric = "metric"
    full = "full"


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Name of the distribution, such as ganzoo-rings.")],
    kind: Annotated[_Kind, typer.Option(help="What it registers; full: all of it, and a recipe.")] = _Kind.full,
    out_dir: Annotated[Path | None, typer.Option("--out", "-o", help="An empty or new folder; default: NAME.")] = None,
    json: Json = False,
) -> None:
    """Write a new plugin: a package that passes its own tests, to be changed step by step."""
    from ganzoo.scaffold import write_plugin

    folder = out_dir or Path(name)
    paths = write_plugin(name, kind.value, folder)
    if json:
        out.json({"path": str(folder), "kind": kind.value, "files": [str(path) for path in paths]})
    else:
        out.line(folder)
    out.talk(f"Wrote {len(paths)} files. Next: cd {folder} && pip install -e '.[dev]' && pytest")


@dataclass
class Registered:
    """A name that a plugin registers."""

    kind: str
    name: str
    problem: str | None = None
    """Why it cannot be used; None if it can, or if it was not checked."""
    hint: str = ""


@dataclass
class Plugin:
    """An installed distribution that registers something."""

    name: str
    version: str
    status: str
    """ok, broken, or not checked."""
    registers: list[Registered] = field(default_factory=list)


def installed_plugins(*, check: bool) -> list[Plugin]:
    """Return all plugins, sorted. Without `check` none is imported, and only wrong names are found."""
    found: dict[Origin, dict[tuple[str, str], Registered]] = defaultdict(dict)
    for registry in REGISTRIES:
        for name, origins in registry.origins().items():
            for owner in origins:
                found[owner][registry.kind, name] = Registered(registry.kind, name)
        for problem in registry.problems():
            key = (problem.kind, problem.name)
            found[problem.origin][key] = Registered(*key, str(problem.error), problem.error.hint)
        if check:
            for name, (owner, *others) in registry.origins().items():
                if not others:  # two owners are a problem already
                    try:
                        registry.get(name)
                    except PluginError as error:
                        found[owner][registry.kind, name] = Registered(registry.kind, name, str(error), error.hint)
    for point in registrations(WEIGHTS_GROUP):
        package = shortened(point.value, 60)
        weights = found[origin(point)]["weights", package] = Registered("weights", package)
        if check:
            from ganzoo.weights.manifest import read_registered

            for fault in read_registered(point)[1]:
                weights.problem, weights.hint = str(fault), fault.hint
    plugins = []
    for owner, registers in sorted(found.items(), key=lambda item: str(item[0])):
        broken = any(one.problem for one in registers.values())
        status = "broken" if broken else "ok" if check else "not checked"
        plugins.append(Plugin(owner.distribution, owner.version, status, list(registers.values())))
    return plugins
