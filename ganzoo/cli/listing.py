"""`ganzoo list`."""

from __future__ import annotations

import fnmatch
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer

from ganzoo.cli.options import Json
from ganzoo.cli.output import out
from ganzoo.errors import GanzooError, PluginError, UsageError
from ganzoo.registry import REGISTRIES, Registry, datasets, metrics, recipes
from ganzoo.sources import location
from ganzoo.specs import EvaluationProtocol
from ganzoo.units import human_size
from ganzoo.weights.manifest import WeightsEntry, Zoo

GROUPS: Mapping[str, Registry[Any]] = {registry.group.removeprefix("ganzoo."): registry for registry in REGISTRIES}
"""What can be listed besides models and plugins -> its registry."""

MODELS = ("models", "weights")
ARROWS = {"lower": "↓", "higher": "↑"}
SUMMARY_WIDTH = 100
"""Columns from which a line has room for the summary of a dataset."""
MIN_RECIPES = 3
"""Recipes on the first screen, however low the terminal is."""


def list_(
    what: Annotated[
        str, typer.Argument(help="models, recipes, datasets, metrics, plugins, ..., or a pattern such as 'mnist-*'.")
    ] = "*",
    pattern: Annotated[str | None, typer.Argument(help="Shell pattern for names.")] = None,
    everything: Annotated[bool, typer.Option("--all", "-a", help="List everything that is installed.")] = False,
    hub: Annotated[bool, typer.Option("--hub", help="Search the Hub for repositories tagged ganzoo.")] = False,
    json: Json = False,
) -> None:
    """List models, recipes, datasets and other plugins."""
    kind = what if what in (*MODELS, *GROUPS, "plugins") else None
    if kind is None and pattern is not None:
        raise UsageError(f"there is no list of {what!r}.", hint=f"List one of {', '.join(['models', *GROUPS])}.")
    chosen = pattern or ("*" if kind else what)
    if hub:
        _list_hub(chosen, json)
        return
    if kind == "plugins":
        from ganzoo.cli.plugins import list_ as list_plugins

        list_plugins(check=False, json=json)
        return
    zoo = Zoo()
    groups = {name: _matching(registry, chosen) for name, registry in GROUPS.items() if kind is None or kind == name}
    weights = zoo.matching(chosen) if kind is None or kind in MODELS else []
    problems: list[GanzooError] = [*zoo.problems]
    if json:
        listed = {name: [_spec_json(GROUPS[name], one) for one in names] for name, names in groups.items()}
        models = {"weights": [_weights_json(entry) for entry in weights]} if kind is None or kind in MODELS else {}
        out.json({**models, **listed})
    elif kind is None and chosen == "*" and not everything:
        problems += _first_screen(weights)
    else:
        problems += _full(weights, groups)
        if not weights and not any(groups.values()):
            out.talk(f"Nothing matches {chosen!r}.")
    problems += [problem.error for registry in REGISTRIES for problem in registry.problems()]
    for error in {str(error): error for error in problems}.values():  # one that several names share is shown once
        out.error(error)


def _matching(registry: Registry[Any], pattern: str) -> list[str]:
    return [name for name in registry.names() if fnmatch.fnmatchcase(name, pattern)]


def _first_screen(weights: list[WeightsEntry]) -> list[PluginError]:
    """Print the models, the recipes that have no weights, and how to list the rest. Returns broken plugins."""
    models, problems = _model_rows(weights)
    if models:
        _table(("model", "makes", "quality", "size", "where"), models, cut=1)
        out.line("")
    trained = {entry.recipe for entry in weights}
    others = [name for name in recipes.names() if name not in trained]
    shown = others
    if sys.stdout.isatty():
        # The prompt, two headings, the line between the tables, and what is said below them.
        room = out.console().height - len(models) - (6 if models else 4)
        shown = others[: max(MIN_RECIPES, room)]
    rows, broken = _spec_rows(recipes, shown)
    _table(("recipe", "trains (each model has a recipe, too)" if models else "trains"), rows, cut=1)
    if len(shown) < len(others):
        out.talk(f"{len(others) - len(shown)} more: ganzoo list recipes")
    out.talk("More: ganzoo list datasets|metrics|plugins; everything: ganzoo list -a")
    return problems + broken


def _full(weights: list[WeightsEntry], groups: Mapping[str, list[str]]) -> list[PluginError]:
    """Print everything that was asked for, a table for each kind. Returns broken plugins."""
    problems: list[PluginError] = []
    is_first = True
    if weights:
        rows, problems = _model_rows(weights)
        _table(("model", "makes", "quality", "size", "where"), rows, cut=1)
        is_first = False
    for group, names in groups.items():
        if not names:
            continue
        if not is_first:
            out.line("")
        is_first = False
        registry = GROUPS[group]
        rows, broken = _spec_rows(registry, names)
        problems += broken
        columns = [registry.kind, "summary"]
        owners = [" and ".join(map(str, registry.owners(name))) for name in names]
        if any(not one.is_first_party for name in names for one in registry.owners(name)):
            columns.append("plugin")
            rows = [(*row, owner) for row, owner in zip(rows, owners, strict=True)]
        _table(columns, rows, cut=1)
    return problems


def _table(columns: Sequence[str], rows: Sequence[Sequence[object]], cut: int) -> None:
    """Print a table; on a terminal, one column is cut so that each row is one line."""
    if sys.stdout.isatty() and rows:
        widths = [max(len(str(row[index])) for row in (columns, *rows)) for index in range(len(columns))]
        room = out.console().width - sum(widths) + widths[cut] - 2 * (len(columns) - 1)
        rows = [[_cut(str(cell), room) if index == cut else cell for index, cell in enumerate(row)] for row in rows]
    out.table("", columns, rows)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: max(8, width) - 1].rstrip()}…"


def _model_rows(weights: Iterable[WeightsEntry]) -> tuple[list[tuple[object, ...]], list[PluginError]]:
    """Return a row for each model, and the plugins that cannot be imported."""
    rows: list[tuple[object, ...]] = []
    problems = []
    is_narrow = sys.stdout.isatty() and out.console().width < SUMMARY_WIDTH
    for entry in weights:
        makes = _shape(entry)
        try:
            if not is_narrow and entry.dataset in datasets.names():
                makes = datasets.get(entry.dataset).summary
        except PluginError as error:
            problems.append(error)
        # In a terminal the columns are scarce; a program that reads the table gets the pinned reference.
        reference = entry.name if entry.default and sys.stdout.isatty() else str(entry.reference)
        rows.append((reference, makes, quality(entry), human_size(entry.size), where(entry)))
    return rows, problems


def _shape(entry: WeightsEntry) -> str:
    """Return in a few words what a model makes: 28×28 grey, 28×28 classes, curves of 15."""
    kind, shape = entry.sample["kind"], entry.sample["shape"]
    if kind == "image" and len(shape) == 3:
        colour = "classes" if entry.sample.get("classes") else "grey" if shape[0] == 1 else "colour"
        return f"{shape[1]}×{shape[2]} {colour}"
    return f"{kind}s of {'×'.join(map(str, shape))}"


def quality(entry: WeightsEntry) -> str:
    """Return the first published metric of weights, with an arrow to where it gets better."""
    if not entry.metrics:
        return "-"
    name, value = entry.metrics[0]["name"], entry.metrics[0]["value"]
    try:
        arrow = f" {ARROWS[metrics.get(name).better]}" if name in metrics.names() else ""
    except PluginError:  # reported where the plugin is listed
        arrow = ""
    return f"{name} {value:.3g}{arrow}"


def where(entry: WeightsEntry) -> str:
    """Return where weights would be loaded from: bundled, store, Hub, or missing."""
    place = location(entry)
    return "Hub" if place == "missing" and entry.repo_id is not None else place


def _spec_rows(registry: Registry[Any], names: Iterable[str]) -> tuple[list[tuple[object, ...]], list[PluginError]]:
    """Return names with the line that says what they are, and the plugins that cannot be imported."""
    rows: list[tuple[object, ...]] = []
    problems = []
    for name in names:
        try:
            rows.append((name, _summary(registry.get(name))))
        except PluginError as error:
            problems.append(error)
            rows.append((name, "cannot be used"))
    return rows, problems


def _summary(spec: Any) -> str:
    """Return the line that says what something is; for a protocol, which has none, what it measures."""
    if isinstance(spec, EvaluationProtocol):
        return f"{', '.join(spec.metrics)} of {spec.dataset}"
    return str(spec.summary)


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


def _spec_json(registry: Registry[Any], name: str) -> dict[str, Any]:
    return {"name": name, "plugins": [str(owner) for owner in registry.owners(name)]}


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
