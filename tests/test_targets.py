"""`train PATH`: which recipe pictures of the user's own get, and what is neither a recipe nor pictures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import ganzoo
from ganzoo import targets
from ganzoo.data.location import remembered_folder
from ganzoo.errors import DatasetError, UnknownNameError, UsageError
from ganzoo.targets import find_target
from tests.conftest import Ganzoo, InstallPlugin, assert_two_lines

PLUGIN = """
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Interval

from ganzoo.errors import DatasetError
from ganzoo.specs import ArrayData, DatasetSpec, SampleSpec, Suggestion


@dataclass(frozen=True, kw_only=True)
class Config:
    size: Annotated[int, Interval(ge=4, le=64)] = 8
    classes: tuple[str, ...] = ()


def sample(config):
    return SampleSpec(kind="image", shape=(1, config.size, config.size), classes=config.classes or None)


def load(root, split, download, config):
    files = sorted(root.rglob("*.pgm"))
    rows = [np.full((1, config.size, config.size), int(file.stem), np.uint8) for file in files]
    labels = None
    if config.classes:
        labels = np.array([config.classes.index(file.parent.name) for file in files], np.int64)
    return ArrayData(samples=np.stack(rows), labels=labels, sources=tuple(files))


def suggest(folder, size, classes):
    num = len(list(folder.rglob("*.pgm")))
    if num < 8:
        raise DatasetError(f"{folder} has {num} pictures, fewer than a batch.", hint="Add some.")
    names = tuple(sorted(path.name for path in folder.iterdir())) if classes else ()
    settings = {"dataset_config.size": size or 8, "dataset_config.classes": list(names), "conditional": bool(names)}
    # The recipe's own split has another name, which its dataset does not share.
    settings |= {"config.generator_hidden": [8], "config.discriminator_hidden": [8], "batch_size": 8, "steps": 4}
    return Suggestion(
        recipe="mnist-cgan" if names else "mnist-mlp", reason="few small pictures", settings=settings, num=num,
        notes=("1 file is not a picture",),
    )


OWN = DatasetSpec(
    name="own-pictures", summary="", homepage="", license="", sample=sample, splits={"train": 16}, load=load,
    config=Config, suggest=suggest,
)
"""


@pytest.fixture
def pictures(install_plugin: InstallPlugin, monkeypatch: pytest.MonkeyPatch, cwd: Path) -> Path:
    """A folder `photos` in the working directory, with 8 pictures in each of two sub-folders."""
    install_plugin("ganzoo-own", {"ganzoo.datasets": {"own-pictures": "own_pictures:OWN"}}, {"own_pictures.py": PLUGIN})
    monkeypatch.setattr(targets, "DATASET", "own-pictures")
    for index in range(16):
        path = cwd / "photos" / ("cats" if index < 8 else "dogs") / f"{index * 16}.pgm"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return cwd / "photos"


def test_a_folder_starts_the_recipe_that_suits_it(pictures: Path, ganzoo: Ganzoo, cwd: Path) -> None:
    result = ganzoo("train", "photos", "--size", "12", "--out", "run", "--set", "log_every=2", "--batch-size", "4")
    assert result.returncode == 0, result.stderr
    assert "photos: 16 pictures. Recipe mnist-mlp: few small pictures\n1 file is not a picture\n" in result.stderr
    document = json.loads((cwd / "run" / "run.json").read_text())
    recipe = document["settings"]["recipe"]
    assert (recipe["name"], recipe["dataset"], recipe["dataset_config"]["size"]) == ("mnist-mlp", "own-pictures", 12)
    assert recipe["config"]["generator_hidden"] == [8]
    assert recipe["batch_size"] == 4  # what the user says wins over the suggestion
    assert document["data_dir"] == str(pictures.resolve())


@pytest.mark.parametrize("written", ["photos", "./photos", "photos/"])
def test_a_folder_may_be_written_in_any_way(
    pictures: Path, cwd: Path, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    monkeypatch.chdir(cwd)
    assert find_target(written).data_dir == Path("photos")


def test_sub_folders_become_classes(pictures: Path, tmp_path: Path) -> None:
    run = ganzoo.train(pictures, classes=True, out=tmp_path / "run", settings={"log_every": 2, "seed": 0})
    assert run.settings.recipe.conditional
    assert ganzoo.load(run.path).sample(2, seed=0, labels=[0, 1]).shape == (2, 1, 8, 8)
    assert ganzoo.resume(run.path, steps=6, settings={"log_every": 1}).records()[-1]["step"] == 6


def test_another_recipe_takes_the_pictures_without_the_suggested_recipes_sizes(pictures: Path) -> None:
    found = find_target(pictures, recipe="mnist-mlp-small", size=16)
    assert found.recipe == "mnist-mlp-small"
    assert found.layer.values == {
        "dataset": "own-pictures",
        "split": "train",
        "dataset_config": {"size": 16, "classes": []},
        "conditional": False,
    }
    assert "Recipe mnist-mlp-small: as requested" in found.messages[0]


def test_pictures_that_cannot_be_trained_on_are_one_line(pictures: Path, ganzoo: Ganzoo) -> None:
    for path in list(pictures.rglob("*.pgm"))[:9]:
        path.unlink()
    assert_two_lines(ganzoo("train", "photos"), 1, "has 7 pictures, fewer than a batch")
    with pytest.raises(DatasetError):
        find_target(pictures)


def test_what_is_neither_recipe_nor_path_names_both_ways_on(cwd: Path, ganzoo: Ganzoo) -> None:
    assert_two_lines(ganzoo("train", "mnist-mpl"), 2, "Did you mean 'mnist-mlp'", "ganzoo train ./pictures")
    assert_two_lines(ganzoo("train", "./photos"), 2, "photos does not exist")
    assert_two_lines(ganzoo("train"), 2, "nothing to train")
    with pytest.raises(UnknownNameError):
        find_target("photos")


def test_a_run_is_not_a_folder_of_pictures(tmp_path: Path) -> None:
    (tmp_path / "run.json").touch()
    with pytest.raises(UsageError, match="is a run") as caught:
        find_target(tmp_path)
    assert "ganzoo resume" in caught.value.hint


@pytest.mark.parametrize("options", [{"size": 8}, {"classes": True}, {"recipe": "mnist-dcgan"}])
def test_options_for_pictures_are_refused_for_a_recipe(options: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="mnist-mlp is a recipe"):
        find_target("mnist-mlp", **options)  # type: ignore[arg-type]


def test_pictures_are_named_once(tmp_path: Path) -> None:
    assert find_target("mnist-mlp", data_dir=tmp_path).data_dir == tmp_path
    with pytest.raises(UsageError, match="both name the pictures"):
        find_target(tmp_path, data_dir=tmp_path / "others")


def test_an_archive_is_remembered_as_a_folder_is(tmp_path: Path) -> None:
    archive = tmp_path / "photos.zip"
    archive.touch()
    assert remembered_folder(archive) == archive
    assert remembered_folder(tmp_path / "gone.zip") is None
