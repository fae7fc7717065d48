"""The short form of `ganzoo show`: a picture, what it is, how to use it, its numbers."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import Any

from ganzoo.cli import terminal
from ganzoo.cli.listing import ARROWS, where
from ganzoo.cli.output import out
from ganzoo.errors import GanzooError, PluginError, UnknownNameError
from ganzoo.registry import datasets, metrics, recipes
from ganzoo.specs import DatasetSpec, Recipe, SampleSpec
from ganzoo.system.files import read_regular
from ganzoo.system.shell import quoted
from ganzoo.units import human_size, human_time
from ganzoo.weights.layout import PREVIEW_NAME, SAMPLES_NAME
from ganzoo.weights.manifest import WeightsEntry, Zoo, measured
from ganzoo.weights.references import FolderReference, ZooReference, parse_reference

PICTURE_LINES = 10
"""Height of the picture, so that what is said about it fits below it in 24 lines."""

MAX_WIDTH = 80
MAX_BYTES = 16 << 20
"""A larger run.json, config.json or metrics.jsonl is not read here."""


@dataclass
class _Overview:
    """What is said about one name."""

    title: str
    facts: list[tuple[str, str]]
    commands: list[tuple[str, str]]
    """What can be typed, and what it does."""
    picture: Path | None = None
    more: str = ""
    """What --all adds."""


def show_overview(name: str) -> bool:
    """Print the overview of weights, a recipe, a dataset or a run; return False for what has none.

    Raises PluginError, ManifestError, UnknownNameError, BadReferenceError.
    """
    overview = _of_registered(name) or _of_folder(name)
    if overview is None:
        return False
    if overview.picture is not None:
        draw(overview.picture)
    columns = out.console().width  # without end, if stdout is not a terminal
    out.line(fill(overview.title, columns))
    indent = max(len(label) for label, _ in overview.facts) + 4
    for label, value in overview.facts:
        out.line(fill(value, columns, initial_indent=f"  {label}".ljust(indent), subsequent_indent=" " * indent))
    out.line("")
    indent = max(len(command) for command, _ in overview.commands) + 4
    for command, about in overview.commands:
        line = f"  {command}".ljust(indent) + f"# {about}"
        out.line(line if len(line) <= columns else f"  {command}")
    out.talk(f"{overview.more}: ganzoo show {quoted(name)} --all")
    return True


def draw(path: Path) -> None:
    """Draw a picture if stdout is a terminal, without torch. One that cannot be read is left out."""
    if not sys.stdout.isatty() or os.environ.get("TERM") == "dumb" or out.silent:
        return
    from ganzoo.rendering.picture import read_picture
    from ganzoo.rendering.terminal import TerminalPicture

    console = out.console()
    try:
        image = read_picture(path)
    except OSError:
        return
    lines = max(4, min(PICTURE_LINES, console.height - 14))
    terminal.draw(console, TerminalPicture(image, min(console.width, MAX_WIDTH), lines))


def _of_registered(name: str) -> _Overview | None:
    """Return the overview of weights of this name, else of the recipe, else of the dataset."""
    zoo = Zoo()
    if any(name in (entry.name, str(entry.reference)) for entry in zoo.entries):
        reference = parse_reference(name)
        assert isinstance(reference, ZooReference)
        try:
            return _of_weights(zoo.find(reference), name)
        except UnknownNameError:  # weights without a default version: all of them are shown
            return None
    if name in recipes.names():
        return _of_recipe(recipes.get(name))
    if name in datasets.names():
        return _of_dataset(datasets.get(name))
    return None


def _of_weights(entry: WeightsEntry, name: str) -> _Overview:
    recipe = recipes.get(entry.recipe) if entry.recipe in recipes.names() else None
    sizes = f"{human_size(entry.size)}, {entry.parameters['generator']:,} parameters ({where(entry)})"
    facts = [("makes", _makes(entry)), *_numbers(entry.metrics), ("size", sizes)]
    training = entry.training
    device = training["device"].replace("(1 threads)", "(1 thread)")  # as older records have it
    trained = f"{training['steps']:,} steps in {human_time(training['seconds'])} on {device}"
    facts += [("trained", trained), ("license", entry.license)]
    classes = entry.sample.get("classes") or ()
    commands = [(f"ganzoo sample {name}", "here, or --out samples.png")]
    if classes:
        commands.append((f"ganzoo sample {name} --label {quoted(str(classes[-1]))}", "of one class"))
    commands += [(f'ganzoo.load("{name}").sample(64, seed=0)', "in Python")]
    if recipe is not None:
        commands.append((f"ganzoo train {entry.recipe}", "train your own"))
    title = f"{entry.reference}" + (f": {recipe.summary}" if recipe is not None else "")
    folder = entry.bundled_folder()
    picture = folder / PREVIEW_NAME if folder is not None and (folder / PREVIEW_NAME).is_file() else None
    return _Overview(title, facts, commands, picture, "Settings, files and checksums")


def _makes(entry: WeightsEntry) -> str:
    if entry.dataset in datasets.names():
        return f"{datasets.get(entry.dataset).summary} ({entry.dataset})"
    return f"{' × '.join(map(str, entry.sample['shape']))} {entry.sample['kind']} ({entry.dataset})"


def _numbers(found: Any) -> Iterator[tuple[str, str]]:
    """Yield a line for each protocol with the metrics that were measured under it."""
    by_protocol: dict[str, list[str]] = {}
    for metric in found:
        by_protocol.setdefault(metric["protocol"], []).append(
            f"{metric['name']} {measured(metric['value'], metric['std'], 3)}{_arrow(metric['name'])}"
        )
    for protocol, texts in by_protocol.items():
        more = f", and {len(texts) - 2} more" if len(texts) > 2 else ""
        yield "quality", f"{', '.join(texts[:2])}{more} ({protocol})"


def _arrow(metric: str) -> str:
    try:
        return f" {ARROWS[metrics.get(metric).better]}" if metric in metrics.names() else ""
    except PluginError:
        return ""


def _of_recipe(recipe: Recipe) -> _Overview:
    updates = f"{recipe.steps:,} steps with {recipe.batch_size} samples each, {recipe.loss} loss"
    facts = [("architecture", recipe.architecture), ("dataset", recipe.dataset), ("training", updates)]
    if recipe.source:
        facts.append(("follows", recipe.source))
    facts.append(("weights", "none published yet"))
    commands = [
        (f"ganzoo train {recipe.name}", "train it"),
        (f"ganzoo show {recipe.name} --layers", "both networks"),
        (f"ganzoo data prepare {recipe.dataset}", "get the data first"),
    ]
    return _Overview(f"{recipe.name}: {recipe.summary}", facts, commands, None, "Every setting")


def _of_dataset(spec: DatasetSpec) -> _Overview:
    splits = ", ".join(
        f"{name} ({num:,})" if isinstance(num, int) else f"{name} ({num or 'unlimited'})"
        for name, num in spec.splits.items()
    )
    facts = [("splits", splits), ("license", spec.license), ("homepage", spec.homepage)]
    if isinstance(spec.sample, SampleSpec):
        facts.insert(0, ("sample", f"{spec.sample.kind} {' × '.join(map(str, spec.sample.shape))}"))
    if spec.protocols:
        facts.append(("protocols", ", ".join(protocol.name for protocol in spec.protocols)))
    trained = [name for name in recipes.names() if _dataset_of(name) == spec.name]
    if trained:
        facts.append(("recipes", ", ".join(trained)))
    commands = [(f"ganzoo data prepare {spec.name}", "download, check and pack it")]
    if trained:
        commands.append((f"ganzoo train {trained[0]}", "train on it"))
    return _Overview(f"{spec.name}: {spec.summary}", facts, commands, None, "Every field")


def _dataset_of(recipe: str) -> str | None:
    try:
        return recipes.get(recipe).dataset
    except PluginError:
        return None


def _of_folder(name: str) -> _Overview | None:
    """Return the overview of a run or a weights folder; None for what is neither, or cannot be read."""
    try:
        reference = parse_reference(name)
    except GanzooError:
        return None
    folder = reference.path if isinstance(reference, FolderReference) else Path(name)
    try:
        documents = {kind: _read(folder / f"{kind}.json") for kind in ("run", "config", "training")}
        if documents["run"]:
            return _of_run(folder, documents)
        return _of_weights_folder(folder, documents) if documents["config"] else None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OSError):
        return None  # the full form says what is wrong with the file


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    document = json.loads(read_regular(path, MAX_BYTES))
    if not isinstance(document, dict):
        raise TypeError(path)
    return document


def _of_run(folder: Path, documents: Mapping[str, dict[str, Any]]) -> _Overview:
    settings = documents["run"]["settings"]
    recipe, steps = settings["recipe"], int(settings["recipe"]["steps"])
    record = _last_record(folder / "metrics.jsonl")
    step = int(record.get("step", 0))
    facts = [("recipe", f"{recipe['name']}, {recipe['dataset']}, seed {settings['seed']}")]
    facts.append(("progress", f"step {step:,} of {steps:,}" + (", finished" if step >= steps else "")))
    numbers = [f"{key} {value:.4g}" for key, value in record.items() if isinstance(value, float)]
    if numbers:
        facts.append(("last record", ", ".join(numbers[:4])))
    has_weights = bool(documents["config"])
    path = _folder_argument(folder)
    commands = [(f"ganzoo sample {path}", "draw samples here")] if has_weights else []
    if step < steps:
        commands.append((f"ganzoo resume {path}", "continue"))
    if has_weights:
        commands.append((f"ganzoo eval {path}", "measure it"))
    pictures = sorted((folder / "samples").glob("step-*.png"))
    return _Overview(f"{folder}: a run", facts, commands, pictures[-1] if pictures else None, "Every setting")


def _last_record(path: Path) -> dict[str, Any]:
    """Return the last whole line of metrics.jsonl; empty if there is none."""
    if not path.is_file():
        return {}
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - (1 << 16)))
        lines = file.read().splitlines()
    for line in reversed(lines):
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            return record
    return {}


def _of_weights_folder(folder: Path, documents: Mapping[str, dict[str, Any]]) -> _Overview:
    config, path = documents["config"], _folder_argument(folder)
    sample = config["sample"]
    facts = [("architecture", str(config["architecture"])), ("recipe", str(config.get("recipe")))]
    facts.append(("makes", f"{sample['kind']} {' × '.join(map(str, sample['shape']))}"))
    commands = [(f"ganzoo sample {path}", "draw samples here"), (f"ganzoo verify {path}", "check every checksum")]
    picture = folder / SAMPLES_NAME
    return _Overview(
        f"{folder}: weights", facts, commands, picture if picture.is_file() else None, "Config and training record"
    )


def _folder_argument(folder: Path) -> str:
    text = str(folder)
    return quoted(text if "/" in text or os.sep in text else f"./{text}")
