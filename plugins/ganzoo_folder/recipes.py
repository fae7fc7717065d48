"""Recipes for pictures of your own, and which of them suits how many pictures of what size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ganzoo.errors import SettingsError
from ganzoo.specs import Adam, LatentSpec, Optimizers, Recipe

_ADAM = Adam(learning_rate=2e-4, betas=(0.5, 0.999))

FOLDER_DCGAN = Recipe(
    name="folder-dcgan",
    summary="your own images, thousands of them, from a deep convolutional GAN",
    architecture="dcgan",
    config={"generator_widths": (256, 128, 64, 32), "discriminator_widths": (32, 64, 128, 256)},
    dataset="folder",
    dataset_config={"size": 64},
    latent=LatentSpec(dim=100),
    loss="bce",
    optimizers=Optimizers(generator=_ADAM, discriminator=_ADAM),
    batch_size=64,
    steps=20_000,
    augment=("color", "translation"),
    ema_decay=0.999,
    source="Radford et al. 2015, arXiv:1511.06434; augmentation of Zhao et al. 2020, arXiv:2006.10738",
)

WIDTHS = {
    32: ((256, 128, 64), (64, 128, 256)),
    64: ((256, 128, 64, 32), (32, 64, 128, 256)),
    128: ((256, 128, 64, 32, 16), (16, 32, 64, 128, 256)),
}
"""Size -> widths of the generator and of the discriminator."""


def recipe_for(num: int, size: int, classes: bool) -> tuple[str, str, Mapping[str, Any]]:
    """Return name, reason and dotted settings of the recipe for `num` pictures of a size.

    Raises SettingsError for a size that none of them makes.
    """
    if size not in WIDTHS:
        raise SettingsError(f"there is no recipe for pictures of {size} pixels.", hint="Use --size 32, 64 or 128.")
    generator, discriminator = WIDTHS[size]
    settings = {"config.generator_widths": list(generator), "config.discriminator_widths": list(discriminator)}
    return FOLDER_DCGAN.name, f"a small convolutional GAN for {num:,} pictures of {size} pixels", settings
