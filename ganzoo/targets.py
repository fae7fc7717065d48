"""What `train` is asked to train: a recipe, pictures of the user's own, or a run again. Loads no torch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ganzoo.config import RUN_HINT, Layer, recorded_settings
from ganzoo.errors import DatasetError, SettingsError, UnknownNameError, UsageError
from ganzoo.registry import datasets, recipes
from ganzoo.specs import DatasetSpec, Suggestion
from ganzoo.system.files import expanded
from ganzoo.system.shell import quoted

DATASET = "folder"
"""The dataset of the user's own pictures."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """A recipe, and what pictures of the user's own change in it."""

    recipe: str
    """Its name."""
    layer: Layer = field(default_factory=lambda: Layer("the pictures", {}))
    """Settings over the recipe, and under all others."""
    data_dir: Path | None = None
    """The folder or archive with the pictures, or with the files of the recipe's dataset."""
    messages: tuple[str, ...] = ()
    """What was chosen, why, and what else the user should know."""


def find_target(
    name: str | os.PathLike[str],
    *,
    recipe: str | None = None,
    size: int | None = None,
    classes: bool = False,
    data_dir: Path | None = None,
) -> Target:
    """Return what a name or path means: the recipe of that name, else pictures, for which a recipe is chosen.

    Args:
        name: of a recipe, or the path of a folder or archive.
        recipe: for pictures, the recipe to train instead of the one that suits them.
        size: height and width of the samples, for pictures.
        classes: whether their sub-folders are classes, on which the model is conditioned.
        data_dir: for a recipe, where the files of its dataset are.

    Raises UnknownNameError, UsageError, DatasetError.
    """
    if isinstance(name, str) and name in recipes.names():
        if (recipe, size, classes) != (None, None, False):
            raise UsageError(
                f"{name} is a recipe; --recipe, --size and --classes are for a folder of pictures.",
                hint=f"Leave them out, or name the folder: ganzoo train ./pictures --recipe {name}",
            )
        return Target(recipe=name, data_dir=data_dir)
    path = expanded(name)
    if path.exists():
        if data_dir is not None:
            raise UsageError(f"{path} and --data-dir {data_dir} both name the pictures.", hint="Leave --data-dir out.")
        return _pictures(path, recipe, size, classes)
    if isinstance(name, str) and not _looks_like_path(name):
        error = UnknownNameError("recipe", name, recipes.names())
        error.hint += " Or name a folder of pictures: ganzoo train ./pictures"
        raise error
    raise UsageError(f"{path} does not exist.", hint="Name a folder or archive of pictures, or a recipe (ganzoo list).")


def _looks_like_path(name: str) -> bool:
    return name.startswith((".", "~")) or "/" in name or os.sep in name


def _pictures(path: Path, recipe: str | None, size: int | None, classes: bool) -> Target:
    if (path / "run.json").is_file():
        raise UsageError(
            f"{path} is a run, not a folder of pictures.",
            hint=f"Continue it: ganzoo resume {quoted(path)}. Repeat it: ganzoo train --config {quoted(path)}/run.json",
        )
    _, found = suggestion(path, size, classes)
    settings: Mapping[str, Any] = {"dataset": DATASET, **found.settings}
    chosen, reason = found.recipe, found.reason
    if recipe is not None and recipe != found.recipe:
        recipes.get(recipe)
        chosen, reason = recipe, "as requested"
        settings = _for_any_recipe(settings)
    first = f"{path}: {found.num:,} pictures. Recipe {chosen}: {reason}"
    layer = Layer(f"settings for {path}", settings)
    return Target(recipe=chosen, layer=layer, data_dir=path, messages=(first, *found.notes))


def suggestion(path: Path, size: int | None, classes: bool) -> tuple[DatasetSpec, Suggestion]:
    """Return the dataset of the user's own pictures, and the settings and recipe that suit those at a path.

    Raises DatasetError, SettingsError.
    """
    spec = datasets.get(DATASET)
    if spec.suggest is None:
        raise DatasetError(f"the dataset {DATASET!r} suggests no recipes.", hint="Name one, with --data-dir.")
    return spec, spec.suggest(path, size, classes)


def _for_any_recipe(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings of the pictures alone: without those of the suggested recipe's architecture and training."""
    prefix = "dataset_config."
    table = {key.removeprefix(prefix): value for key, value in settings.items() if key.startswith(prefix)}
    kept = {key: settings[key] for key in ("dataset", "conditional") if key in settings}
    # The whole table, and the split: the recipe may be one of another dataset.
    return {**kept, "split": "train", "dataset_config": table}


def run_target(path: Path) -> Target:
    """Return what a run.json or training.json was trained on; `config.file_layer` returns its settings.

    Raises SettingsError.
    """
    document = recorded_settings(path)
    try:
        name = document["settings"]["recipe"]["name"]
        data_dir = document.get("data_dir")
    except (KeyError, TypeError):
        name = data_dir = None
    if not isinstance(name, str) or not isinstance(data_dir, str | None):
        raise SettingsError(f"{path} does not name the recipe of a run.", hint=RUN_HINT)
    return Target(recipe=name, data_dir=None if data_dir is None else Path(data_dir))
