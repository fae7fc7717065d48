"""Finds MJSynth in any of its four layouts."""

from __future__ import annotations

from pathlib import Path

from ganzoo.errors import DatasetError, MissingDatasetError
from ganzoo.specs import StreamedData
from ganzoo_mjsynth import database, official, parquet, tars

HOW_TO_GET = (
    "Get mjsynth.tar.gz from https://www.robots.ox.ac.uk/~vgg/data/text/ (on any machine), unpack it, and pass the "
    "folder with --data-dir FOLDER."
)


def load(root: Path, split: str, download: bool) -> StreamedData:
    """Find a split: images uint8 [1, 32, 128] and their words.

    Layouts are tried in this order: the official folder, LMDB, WebDataset tars, parquet. Raises MissingDatasetError if
    there are no files (and no download), DatasetError if they cannot be read.
    """
    found = _find(root, split)
    if found is None and download:
        parquet.download(root, HOW_TO_GET)
        found = _find(root, split)
    if found is None:
        raise MissingDatasetError(
            f"no MJSynth {split} split under {root}: {_looked_for(root, split)}.", hint=HOW_TO_GET
        )
    if not found.num:
        raise DatasetError(f"the MJSynth {split} split under {root} is empty.", hint=HOW_TO_GET)
    return found


def _find(root: Path, split: str) -> StreamedData | None:
    place = official.folder(root)
    if place is not None:
        # Searching its many folders for other layouts would take minutes.
        return official.load(place, split) if official.list_of(place, split).is_file() else None
    if (place := database.find(root, split)) is not None:
        return database.load(place)
    if paths := tars.find(root, split):
        return tars.load(paths)
    if paths := parquet.find(root, split):
        return parquet.load(paths)
    return None


def _looked_for(root: Path, split: str) -> str:
    place = official.folder(root)
    if place is not None:
        return f"{place.name or place} has no annotation_{split}.txt"
    return (
        f"neither 90kDICT32px/annotation_{split}.txt, nor an LMDB folder {split}/, nor *-{split}-*.tar, "
        f"nor {split}-*.parquet"
    )
