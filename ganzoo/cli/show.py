"""`ganzoo show`."""

from __future__ import annotations

import dataclasses
import json as json_format
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ganzoo.cli.options import Json
from ganzoo.cli.output import flat, out
from ganzoo.errors import MissingWeightsError, UnknownNameError, WeightsFormatError
from ganzoo.registry import REGISTRIES, datasets, recipes
from ganzoo.sources import location, resolve
from ganzoo.specs import Recipe
from ganzoo.weights.manifest import WeightsEntry, Zoo, measured

if TYPE_CHECKING:
    from ganzoo.sources.kinds import Source


def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Weights, recipe, dataset, architecture, metric or run.")],
    layers: Annotated[bool, typer.Option("--layers", help="Of a recipe: the layers of both nets.")] = False,
    json: Json = False,
) -> None:
    """Show one thing in full: every setting of a recipe, every pinned file of weights."""
    if layers:
        _show_layers(name, json=json)
        return
    sections = _sections(name)
    if json:
        out.json(sections)
        return
    for index, (title, document) in enumerate(sections.items()):
        if index:
            out.line("")
        out.table(title, ["field", "value"], flat(document))


def _sections(name: str) -> dict[str, dict[str, Any]]:
    """Return everything of that name, by title. Raises UnknownNameError, PluginError, MissingWeightsError."""
    sections: dict[str, dict[str, Any]] = {}
    for registry in REGISTRIES:
        if name in registry.names():
            spec = registry.get(name)
            sections[f"{registry.kind} {name}"] = _recipe(spec) if isinstance(spec, Recipe) else _plain(spec)
    zoo = Zoo()
    for entry in zoo.entries:
        if name in (entry.name, str(entry.reference)):
            sections[f"weights {entry.reference}"] = _weights(entry)
    if sections:
        return sections
    try:
        source = resolve(name)
    except UnknownNameError:
        known = {entry.name for entry in zoo.entries}.union(*(registry.names() for registry in REGISTRIES))
        kinds = "weights, recipe, dataset, architecture or metric"
        raise zoo.with_problems(UnknownNameError(kinds, name, known)) from None
    return _repository(source) if source.folder is None else _folder(source.folder)


def _show_layers(name: str, *, json: bool) -> None:
    """Print both nets of a recipe, layer by layer. Raises UnknownNameError, PluginError, SettingsError."""
    from ganzoo.weights.layers import summaries
    from ganzoo.weights.model_config import model_config

    recipe = recipes.get(name)
    nets = summaries(model_config(recipe, datasets.get(recipe.dataset).sample), f"recipe {name}")
    if json:
        out.json({title: dataclasses.asdict(net) for title, net in nets.items()})
        return
    for index, (title, net) in enumerate(nets.items()):
        if index:
            out.line("")
        rows = [
            (layer.name or title, layer.kind, _shape(layer.output_shape), f"{layer.parameters:,}")
            for layer in net.layers
        ]
        out.table(title, ["layer", "kind", "output", "parameters"], [*rows, ("total", "", "", f"{net.parameters:,}")])
        if net.problem:
            out.talk(f"No output shapes: the {title} cannot be run without data ({net.problem}).")


def _shape(shape: tuple[int | None, ...] | None) -> str:
    return "" if shape is None else " × ".join("batch" if size is None else str(size) for size in shape)


def _recipe(recipe: Recipe) -> dict[str, Any]:
    """Return every setting that --set can change, the run's own included."""
    from ganzoo.config import TrainingSettings  # brings pydantic, which no other light command needs

    settings = TrainingSettings(recipe=recipe, seed=0).to_json()
    return {**settings.pop("recipe"), **settings, "seed": "random"}


def _weights(entry: WeightsEntry) -> dict[str, Any]:
    document = {"location": location(entry), **dataclasses.asdict(entry)}
    document["files"] = {file.path: f"{file.size} bytes, sha256 {file.sha256}" for file in entry.files}
    document["metrics"] = {
        f"{metric['name']} ({metric['protocol']})": measured(metric["value"], metric["std"], 5)
        for metric in entry.metrics
    }
    document["sample"] = {"kind": entry.sample["kind"], "shape": entry.sample["shape"]}
    return document


def _repository(source: Source) -> dict[str, dict[str, Any]]:
    """Return what the store holds of a Hub repository. Raises MissingWeightsError when it was never pulled."""
    files = {file.path: f"{file.size} bytes, sha256 {file.sha256}" for file in source.files}
    return {f"repository {source.reference}": {"files": files, **json_format.loads(source.read("config"))}}


def _folder(path: Path) -> dict[str, dict[str, Any]]:
    documents: dict[str, dict[str, Any]] = {}
    for name in ("run.json", "config.json", "training.json"):
        if (path / name).is_file():
            try:
                documents[name] = dict(json_format.loads((path / name).read_text(encoding="utf-8")))
            except (ValueError, TypeError) as error:
                raise WeightsFormatError(f"{path / name} is no JSON object: {error}.", hint="Restore it.") from error
    if not documents:
        raise MissingWeightsError(f"{path} is neither a run nor a weights folder.", hint="Name one that train made.")
    return documents


def _plain(spec: Any) -> dict[str, Any]:
    """Turn a spec into data; callables have nothing to show, and a config type is shown by its fields."""
    document: dict[str, Any] = {}
    for field in dataclasses.fields(spec):
        value = getattr(spec, field.name)
        if isinstance(value, type):
            document[field.name] = {entry.name: _default(entry) for entry in dataclasses.fields(value)}
        elif isinstance(value, Callable):  # type: ignore[arg-type]
            continue
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            document[field.name] = dataclasses.asdict(value)
        elif isinstance(value, tuple) and value and dataclasses.is_dataclass(value[0]):
            document[field.name] = {entry.name: _plain(entry) for entry in value}
        else:
            document[field.name] = value
    return document


def _default(field: dataclasses.Field[Any]) -> str:
    return "required" if field.default is dataclasses.MISSING else f"default {field.default}"
