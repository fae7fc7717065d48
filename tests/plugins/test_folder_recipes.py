"""Which recipe suits how many images of what size."""

from __future__ import annotations

from typing import Any

import pytest

from ganzoo.errors import SettingsError
from ganzoo.registry import architectures
from ganzoo.specs import LatentSpec, SampleSpec
from ganzoo.validation import architecture_config
from ganzoo.weights.building import build_on_meta
from ganzoo_folder.recipes import FEW, FOLDER_DCGAN, FOLDER_FASTGAN, recipe_for

RECIPES = {recipe.name: recipe for recipe in (FOLDER_DCGAN, FOLDER_FASTGAN)}


@pytest.mark.parametrize("num", [100, 50_000])
@pytest.mark.parametrize("size", [8, 16, 28, 32, 40, 48, 64, 96, 112, 128, 192, 256, 512, 1024])
def test_the_nets_of_every_size_can_be_built(num: int, size: int) -> None:
    name, reason, settings = recipe_for(num, size, classes=False)
    assert "\n" not in reason
    recipe = RECIPES[name]
    values = {**recipe.config, **{k.removeprefix("config."): v for k, v in settings.items() if k.startswith("config.")}}
    spec = architectures.get(recipe.architecture)
    config, sample = architecture_config(spec, values, "test"), SampleSpec(kind="image", shape=(3, size, size))
    build_on_meta(lambda: spec.build_generator(config, LatentSpec(dim=8), sample))
    assert spec.build_discriminator is not None
    build_on_meta(lambda: spec.build_discriminator(config, sample))


@pytest.mark.parametrize(
    ("num", "size", "name"),
    [
        (300, 64, "folder-fastgan"),
        (FEW - 1, 128, "folder-fastgan"),
        (FEW, 64, "folder-dcgan"),
        (FEW, 128, "folder-dcgan"),
        (50_000, 256, "folder-fastgan"),
        (300, 16, "folder-dcgan"),
    ],
)
def test_the_choice_depends_on_number_and_size(num: int, size: int, name: str) -> None:
    assert recipe_for(num, size, classes=False)[0] == name


@pytest.mark.parametrize("num", [100, 50_000])
def test_nothing_but_the_size_is_changed_for_64_pixels(num: int) -> None:
    name, _, settings = recipe_for(num, 64, classes=False)
    recipe = RECIPES[name]
    unchanged: dict[str, Any] = {f"config.{key}": value for key, value in recipe.config.items()}
    assert settings.pop("dataset_config.size") == recipe.dataset_config["size"] == 64
    assert settings.items() <= unchanged.items()
    assert recipe_for(num, 64, classes=True)[2]["conditional"] is True


def test_above_128_pixels_the_widths_are_those_of_the_official_code() -> None:
    settings = recipe_for(500, 256, classes=False)[2]
    assert settings["config.generator_widths"] == (1024, 512, 256, 128, 128, 64, 32)
    assert settings["config.discriminator_widths"] == (16, 32, 64, 128, 256, 512)


@pytest.mark.parametrize(
    ("size", "choices"),
    [
        (100, "--size 96 or --size 112"),
        (63, "--size 56 or --size 64"),
        (9, "--size 8 or --size 10"),
        (1000, "--size 896 or --size 1024"),
        (3, "--size 8"),
    ],
)
def test_a_size_that_nets_cannot_make_names_the_nearest_ones(size: int, choices: str) -> None:
    with pytest.raises(SettingsError, match=f"{size} × {size}") as caught:
        recipe_for(500, size, classes=False)
    assert caught.value.hint == f"Choose {choices}."
