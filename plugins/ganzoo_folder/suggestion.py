"""What suits a user's pictures: their size, colours and classes, and a recipe."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from ganzoo.errors import DatasetError
from ganzoo.specs import Suggestion
from ganzoo_folder import recipes
from ganzoo_folder.config import FolderConfig
from ganzoo_folder.decoding import decode, size_of
from ganzoo_folder.files import Listing, close_archive, read_listed
from ganzoo_folder.labels import labels_of
from ganzoo_folder.names import printable
from ganzoo_folder.pictures import listed

LOOKED_AT = 64
"""Pictures that are decoded to find out what they are, evenly spaced over all."""
FEWEST = 16
"""Fewer pictures are not worth a training."""
GREY_DIFFERENCE = 4.0
"""Largest mean difference of two channels of a grey picture, of 255. JPEG does not keep them equal."""

_SPLITS = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"})


def suggest(root: Path, size: int | None, classes: bool) -> Suggestion:
    """Look at the pictures of a folder or archive, and choose settings and a recipe for them.

    Without `size`, it is 64, or 32 for pictures that are smaller than that. `classes`: whether sub-folders, or
    labels.csv, are classes. Raises MissingDatasetError if there are no pictures, DatasetError if there are too few,
    none can be read, or they have no classes.
    """
    listing = listed(root)
    try:
        return _suggest(listing, size, classes)
    finally:
        close_archive()


def _suggest(listing: Listing, size: int | None, classes: bool) -> Suggestion:
    num = sum(not file.problem for file in listing.files)
    sides, grey, problems = _look(listing)
    chosen = size or (64 if median(sides) >= 64 else 32)
    settings: dict[str, Any] = {"dataset_config.size": chosen, "dataset_config.grey": grey}
    names = _classes(listing) if classes else ()
    if classes:
        settings |= {"dataset_config.classes": list(names), "conditional": True}
        labels = labels_of(listing).of_files
        num = sum(not file.problem and label is not None for file, label in zip(listing.files, labels, strict=True))
    if num < FEWEST:
        raise DatasetError(
            f"{listing.root} has {num} picture{'s' if num > 1 else ''}; a training needs at least {FEWEST}.",
            hint="Some hundred of one kind are a good start, and some thousand are better.",
        )
    recipe, reason, of_recipe = recipes.recipe_for(num, chosen, classes)
    settings |= of_recipe
    notes = [*_notes(listing, classes, problems), *_small(sides, chosen)]
    if (batch := _batch_size(recipe, settings)) > num:
        settings["batch_size"] = 1 << (num.bit_length() - 1)
        notes.append(f"Batches of {settings['batch_size']} instead of {batch}, because there are only {num} pictures.")
    return Suggestion(recipe=recipe, reason=reason, settings=settings, num=num, notes=tuple(notes))


def _look(listing: Listing) -> tuple[list[int], bool, list[str]]:
    """Decode some pictures: return their shorter sides, whether all are grey, and why others cannot be used.

    Raises DatasetError if none can be used.
    """
    files = [file for file in listing.files if not file.problem]
    sides: list[int] = []
    grey, problems = True, []
    for index in np.linspace(0, len(files) - 1, min(LOOKED_AT, len(files))).astype(int):
        file = files[index]
        try:
            content = read_listed(listing, file)
            sample = decode(content, FolderConfig(size=16, fit="stretch")).astype(np.float32)
            sides.append(min(size_of(content)))
        except ValueError as error:
            problems.append(f"{printable(file.name)}: {error}")
            continue
        grey = grey and max(float(np.abs(sample[a] - sample[b]).mean()) for a, b in ((0, 1), (1, 2))) < GREY_DIFFERENCE
    if not sides:
        raise DatasetError(
            f"none of {len(problems)} pictures of {listing.root} that were tried can be used; {problems[0]}.",
            hint="Open some of them in a viewer. Formats: JPEG, PNG, WebP, BMP, TIFF, GIF.",
        )
    return sides, grey, problems


def _classes(listing: Listing) -> tuple[str, ...]:
    """Return the classes of usable pictures. Raises DatasetError if there are not at least two, or they are splits."""
    labels = labels_of(listing)
    names = labels.classes
    if listing.csv is None and {name.lower() for name in names} <= _SPLITS and names:
        raise DatasetError(
            f"the sub-folders of {listing.root} are {' and '.join(names)}, not classes.",
            hint=f"Name the one to train on, such as {listing.root / names[0]}.",
        )
    if len(names) < 2:
        found = f"only the class {names[0]!r}" if names else "no sub-folders with pictures, and no labels.csv"
        raise DatasetError(
            f"--classes needs at least two classes; {listing.root} has {found}.",
            hint="Put the pictures of each class into a folder, or leave --classes out.",
        )
    return names


def _notes(listing: Listing, classes: bool, problems: list[str]) -> list[str]:
    notes = []
    unusable = [file for file in listing.files if file.problem]
    if unusable:
        first = f"{printable(unusable[0].name)}: {unusable[0].problem}"
        notes.append(f"{len(unusable):,} of {len(listing.files):,} files are skipped, such as {first}.")
    if problems:
        notes.append(f"{len(problems)} of {LOOKED_AT} that were tried cannot be used, such as {problems[0]}.")
    names = () if classes else labels_of(listing).classes
    if len(names) > 1 and not {name.lower() for name in names} <= _SPLITS:
        where = "sub-folders" if listing.csv is None else "labels in labels.csv"
        notes.append(f"There are {len(names):,} {where}; --classes makes them classes.")
    return notes


def _small(sides: list[int], size: int) -> list[str]:
    if median(sides) >= size:
        return []
    return [f"Most pictures are smaller than {size} pixels (half have at most {median(sides):.0f}) and are enlarged."]


def _batch_size(name: str, settings: dict[str, Any]) -> int:
    recipe = next(recipe for recipe in vars(recipes).values() if getattr(recipe, "name", None) == name)
    return int(settings.get("batch_size", recipe.batch_size))
