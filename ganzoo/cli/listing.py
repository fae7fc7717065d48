"""`ganzoo list`."""

from __future__ import annotations

import fnmatch
from dataclasses import asdict
from typing import Annotated, Any

import typer

from ganzoo.cli.options import Json
from ganzoo.cli.output import human_size, out
from ganzoo.registry import REGISTRIES
from ganzoo.sources import location
from ganzoo.weights.manifest import WeightsEntry, Zoo

MAIN_KINDS = ("recipe", "dataset", "architecture", "protocol")
"""What commands and settings name most; it is always listed. The others are parts of these."""


def list_(
    pattern: Annotated[str, typer.Argument(help="Shell pattern, such as 'mnist-*'.")] = "*",
    everything: Annotated[
        bool, typer.Option("--all", help="Include metrics, losses, optimizers and other parts of recipes.")
    ] = False,
    hub: Annotated[bool, typer.Option("--hub", help="Search the Hub for repositories tagged ganzoo.")] = False,
    json: Json = False,
) -> None:
    """List weights, recipes, datasets and other plugins, or search the Hub."""
    if hub:
        _list_hub(pattern, json)
        return
    zoo = Zoo()
    weights = zoo.matching(pattern)
    specs = {
        registry.kind: {
            name: [str(origin) for origin in origins]
            for name, origins in registry.origins().items()
            if fnmatch.fnmatchcase(name, pattern)
        }
        for registry in REGISTRIES
    }
    if json:
        listed = {
            registry.group.removeprefix("ganzoo."): [
                {"name": name, "plugins": plugins} for name, plugins in specs[registry.kind].items()
            ]
            for registry in REGISTRIES
        }
        out.json({"weights": [_weights_json(entry) for entry in weights], **listed})
    else:
        if weights:
            columns = ["weights", "dataset", "parameters", "size", "quality", "from"]
            out.table("", columns, [_weights_row(entry) for entry in weights])
        # A pattern asks for whatever has such a name; without one, only the main kinds.
        brief = pattern == "*" and not everything
        for kind, names in specs.items():
            if names and (kind in MAIN_KINDS or not brief):
                out.line("")
                out.table("", [kind, "plugin"], [(name, " and ".join(plugins)) for name, plugins in names.items()])
        if not weights and not any(specs.values()):
            out.talk(f"Nothing matches {pattern!r}.")
        others = [
            f"{len(specs[registry.kind])} {registry.group.removeprefix('ganzoo.')}"
            for registry in REGISTRIES
            if specs[registry.kind] and registry.kind not in MAIN_KINDS
        ]
        if brief and others:
            out.talk(f"`ganzoo list --all` lists more: {', '.join(others)}.")
    for problem in zoo.problems:
        out.error(problem)
    reported = set()
    for registry in REGISTRIES:
        for one in registry.problems():
            if str(one.error) not in reported:  # a duplicate name is a problem of each of its owners
                reported.add(str(one.error))
                out.error(one.error)


def _list_hub(pattern: str, json: bool) -> None:
    from ganzoo.hub.search import search

    found = search(pattern)
    if json:
        out.json({"repositories": [{"reference": f"hf:{one.repo_id}", **asdict(one)} for one in found]})
        return
    rows = [(f"hf:{one.repo_id}", ", ".join(one.datasets), "; ".join(one.metrics), one.downloads) for one in found]
    if rows:
        out.table("", ["repository", "dataset", "quality", "downloads"], rows)
    else:
        out.talk(f"No repository tagged ganzoo matches {pattern!r}.")


def _weights_row(entry: WeightsEntry) -> tuple[object, ...]:
    first = entry.metrics[0] if entry.metrics else None
    quality = f"{first['name']} {first['value']:.4g}" if first else "-"
    parameters = f"{entry.parameters['generator']:,}"
    return entry.reference, entry.dataset, parameters, human_size(entry.size), quality, location(entry)


def _weights_json(entry: WeightsEntry) -> dict[str, Any]:
    return {
        "reference": str(entry.reference),
        "name": entry.name,
        "version": entry.version,
        "default": entry.default,
        "recipe": entry.recipe,
        "dataset": entry.dataset,
        "parameters": dict(entry.parameters),
        "size": entry.size,
        "license": entry.license,
        "metrics": list(entry.metrics),
        "location": location(entry),
    }
