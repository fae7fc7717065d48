"""`ganzoo show`."""

from __future__ import annotations

import dataclasses
import json as json_format
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from ganzoo.cli.options import Json
from ganzoo.cli.output import as_setting, flat, out
from ganzoo.cli.overview import draw, show_overview
from ganzoo.errors import MissingWeightsError, UnknownNameError, UsageError, WeightsFormatError
from ganzoo.registry import REGISTRIES, recipes
from ganzoo.sources import location, resolve
from ganzoo.specs import DatasetSpec, Recipe
from ganzoo.system.files import read_regular
from ganzoo.weights.manifest import Zoo, measured

if TYPE_CHECKING:
    from ganzoo.sources.kinds import Source


def show(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A name from `ganzoo list`, a run, hf:OWNER/NAME, or a PNG of ganzoo.")
    ],
    everything: Annotated[
        bool, typer.Option("--all", "-a", help="Show everything: settings, files and their checksums.")
    ] = False,
    layers: Annotated[bool, typer.Option("--layers", help="Show the layers of both networks of a recipe.")] = False,
    json: Json = False,
) -> None:
    """Show what a model, recipe, dataset or run is."""
    if layers:
        _show_layers(name, json=json)
        return
    if os.path.isfile(name) and _is_picture(Path(name)):  # noqa: PTH113 - False, not an error, for a long name
        _show_picture(Path(name), json=json)
        return
    if not json and not everything and show_overview(name):
        return
    sections = _sections(name)
    if json:
        weights = [section.document for section in sections if section.kind == "weights"]
        others = {section.kind: section.document for section in sections if section.kind != "weights"}
        out.json(others | {"weights": weights} if weights else others)
        return
    for index, section in enumerate(sections):
        if index:
            out.line("")
        out.table(section.title, ["field", "value"], flat(_for_table(section)))


MAX_BYTES = 16 << 20
"""A larger JSON file is not one of ours."""


class _Section(NamedTuple):
    """One of the things that a name stands for: a recipe and its weights often have the same name."""

    kind: str
    """Key in the JSON document."""
    title: str
    document: dict[str, Any]


def _sections(name: str) -> list[_Section]:
    """Return everything with this name. Raises UnknownNameError, PluginError, MissingWeightsError."""
    sections = []
    for registry in REGISTRIES:
        if name in registry.names():
            spec = registry.get(name)
            document = _recipe(spec) if isinstance(spec, Recipe) else _plain(spec)
            (owner,) = registry.owners(name)  # `get` refuses a name of two owners
            sections.append(_Section(registry.kind, f"{registry.kind} {name} ({owner})", document))
    zoo = Zoo()
    for entry in zoo.entries:
        if name in (entry.name, str(entry.reference)):
            document = {"reference": str(entry.reference), "location": location(entry), **dataclasses.asdict(entry)}
            sections.append(_Section("weights", f"weights {entry.reference}", document))
    if sections:
        return sections
    try:
        source = resolve(name)
    except UnknownNameError:
        if Path(name).exists():
            raise  # it says how to name a folder
        known = {entry.name for entry in zoo.entries}.union(*(registry.names() for registry in REGISTRIES))
        kinds = "weights, recipe, dataset, architecture or metric"
        raise zoo.with_problems(UnknownNameError(kinds, name, known)) from None
    return _repository(source) if source.folder is None else _folder(source.folder)


def _is_picture(path: Path) -> bool:
    from ganzoo.rendering.picture import ANIMATIONS, STILLS

    return path.suffix.lower() in (*STILLS, *ANIMATIONS)


def _show_picture(path: Path, *, json: bool) -> None:
    """Print what a picture says about itself, and the command that draws it again.

    Raises UsageError for a picture that says nothing, and what `read_facts` raises.
    """
    from ganzoo.rendering.facts import command, read_facts

    facts = read_facts(path)
    again = command(facts)
    if json:
        out.json({"picture": {**facts, "command": again}})
        return
    if not facts:
        raise UsageError(
            f"{path} does not say where it is from.", hint="ganzoo writes that into its PNGs; editors may remove it."
        )
    draw(path)
    out.table(str(path), ["field", "value"], [*facts.items()])
    if again is not None:
        out.talk(f"Again: {again} --out " + ("samples/" if "index" in facts else "samples.png"))


def _show_layers(name: str, *, json: bool) -> None:
    """Print the layers of both networks of a recipe. Raises UnknownNameError, PluginError, SettingsError."""
    from ganzoo.data.settings import dataset_of
    from ganzoo.weights.layers import summaries
    from ganzoo.weights.model_config import model_config

    recipe = recipes.get(name)
    nets = summaries(model_config(recipe, dataset_of(recipe).sample), f"recipe {name}")
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
            out.talk(f"No output shapes: the {title} does not run on random input ({net.problem}).")


def _shape(shape: tuple[int | None, ...] | None) -> str:
    return "" if shape is None else " × ".join("batch" if size is None else str(size) for size in shape)


def _recipe(recipe: Recipe) -> dict[str, Any]:
    """Return every setting that --set can change, including those of the run itself."""
    from ganzoo.config import TrainingSettings  # imports pydantic, which other light commands do not need

    settings = TrainingSettings(recipe=recipe, seed=0).to_json()
    return {**settings.pop("recipe"), **settings, "seed": "random"}


def _for_table(section: _Section) -> dict[str, Any]:
    """Return a section's document with one row for each file and metric, and without curves and classes."""
    shown = dict(section.document)
    if section.kind in ("weights", "repository"):
        shown["files"] = {file["path"]: f"{file['size']} bytes, sha256 {file['sha256']}" for file in shown["files"]}
    if section.kind == "weights":
        shown["metrics"] = {
            f"{metric['name']} ({metric['protocol']})": measured(metric["value"], metric["std"], 5)
            for metric in shown["metrics"]
        }
        shown["sample"] = {"kind": shown["sample"]["kind"], "shape": shown["sample"]["shape"]}
    return shown


def _repository(source: Source) -> list[_Section]:
    """Return what the store holds of a Hub repository. Raises MissingWeightsError if it was never pulled."""
    files = [dataclasses.asdict(file) for file in source.files]
    config = _object(source.read("config"), f"config.json of {source.reference}")
    document = {"reference": source.reference, "files": files, **config}
    return [_Section("repository", f"repository {source.reference}", document)]


def _object(content: bytes, where: str) -> dict[str, Any]:
    """Parse a JSON object. Raises WeightsFormatError."""
    try:
        document = json_format.loads(content)
    except (ValueError, RecursionError) as error:
        raise WeightsFormatError(f"{where} is not JSON: {error}.", hint="Restore the file.") from error
    if not isinstance(document, dict):
        raise WeightsFormatError(f"{where} is not a JSON object.", hint="Restore the file.")
    return document


def _folder(path: Path) -> list[_Section]:
    sections = []
    for kind in ("run", "config", "training"):
        file = path / f"{kind}.json"
        if file.is_file():
            sections.append(_Section(kind, file.name, _object(read_regular(file, MAX_BYTES), str(file))))
    if not sections:
        raise MissingWeightsError(
            f"{path} is not a run or a weights folder.", hint="Name a folder that `ganzoo train` made."
        )
    return sections


def _plain(spec: Any) -> dict[str, Any]:
    """Turn a spec into plain data, without its callables; a config type is shown as its fields."""
    from ganzoo.data.settings import configured

    document: dict[str, Any] = {}
    for field in dataclasses.fields(spec):
        value = getattr(spec, field.name)
        if isinstance(spec, DatasetSpec) and field.name == "sample":
            value = configured(spec).sample  # with the default settings, where it depends on them
        if isinstance(value, type) and dataclasses.is_dataclass(value):
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
    if field.default is not dataclasses.MISSING:
        return f"default {as_setting(field.default)}"
    made = field.default_factory
    return "required" if made is dataclasses.MISSING else f"default {as_setting(made())}"
