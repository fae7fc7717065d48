"""Recipes for a folder of images, and which of them suits how many images of what size."""

from __future__ import annotations

from typing import Any

from ganzoo.errors import SettingsError
from ganzoo.specs import Adam, LatentSpec, Optimizers, Recipe, Regularization

FEW = 2_000
"""With fewer images, the discriminator of a DCGAN learns them by heart although its inputs are augmented."""
LARGEST_DCGAN = 128
"""Height and width of the largest images that `recipe_for` chooses a DCGAN for."""

_ADAM = Adam(learning_rate=2e-4, betas=(0.5, 0.999))

FOLDER_DCGAN = Recipe(
    name="folder-dcgan",
    summary="a folder with thousands of images, up to 128 × 128 pixels, from a deep convolutional GAN",
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
    source="Radford et al. 2015, arXiv:1511.06434; augmentation as in Zhao et al. 2020, arXiv:2006.10738",
    notes=(
        "The nets are those of the paper with a quarter of its channels, for trainings on a CPU. "
        "Each doubling of height and width halves the channels. The discriminator sees augmented images, real and "
        "generated, because a folder rarely has the hundreds of thousands of images of the paper (--set augment=[] for "
        "a large one). Another size needs other widths, which ganzoo train chooses for a folder."
    ),
)

FOLDER_FASTGAN = Recipe(
    name="folder-fastgan",
    summary="a folder with some hundred images, or images of more than 128 × 128 pixels, from a GAN for few images",
    architecture="fastgan",
    config={
        "generator_widths": (192, 96, 64, 32, 16),
        "discriminator_widths": (16, 32, 64, 128),
        "decoder_width": 16,
    },
    dataset="folder",
    dataset_config={"size": 64},
    latent=LatentSpec(dim=256),
    loss="hinge",
    regularizers={"reconstruction": Regularization(weight=1.0, every=2)},
    optimizers=Optimizers(generator=_ADAM, discriminator=_ADAM),
    batch_size=8,
    steps=20_000,
    share_fakes=True,
    augment=("color", "translation"),
    ema_decay=0.999,
    source="Liu et al. 2021, arXiv:2101.04775, and the official code",
    notes=(
        "Latents, optimizers, batches of 8, shared fakes, augmentation and EMA are those of the official code. Up to "
        "128 × 128 pixels the nets are narrower than published, for trainings on a CPU; above, "
        "ganzoo train takes the published widths for a folder. What differs: (1) The reconstruction is compared "
        "with the image over a Laplacian pyramid, where the paper uses a perceptual loss: its VGG would be a download "
        "of half a gigabyte. It is computed in every second step, "
        "with twice the weight. (2) The discriminator has one logit for an image, the mean over its map of 5 × 5, so "
        "the margin of the hinge loss applies to the mean. (3) The generator makes one image and not a smaller one "
        "beside it, and the discriminator has no second branch for that, as in the paper's text but not in its code. "
        "(4) No noise is added to feature maps: each latent is one image, as projections and walks need it. (5) "
        "Spectral normalisation only where no batch normalisation follows, which undoes it."
    ),
)


def recipe_for(num: int, size: int, classes: bool) -> tuple[str, str, dict[str, Any]]:
    """Choose a recipe for a folder of images.

    Args:
        num: of images.
        size: height and width in pixels, to which they are brought.
        classes: whether the model is to be conditioned on their classes.

    Returns:
        Name of the recipe, the reason in one line, and dotted settings to change in it.

    Raises SettingsError for a size that no recipe can make.
    """
    doublings = _doublings(size)
    settings: dict[str, Any] = {"dataset_config.size": size}
    if classes:
        settings["conditional"] = True
    few, large = num < FEW, size > LARGEST_DCGAN
    if large or (few and doublings >= 3):
        settings["config.generator_widths"], settings["config.discriminator_widths"] = _fastgan_widths(doublings, large)
        if large:
            settings["config.decoder_width"] = 64
            return "folder-fastgan", f"it is made for images of more than {LARGEST_DCGAN} pixels; use a GPU", settings
        return "folder-fastgan", f"it is made for few images, and {num:,} are few", settings
    widths = tuple(256 >> level for level in range(doublings))
    settings["config.generator_widths"], settings["config.discriminator_widths"] = widths, widths[::-1]
    if few:
        return "folder-dcgan", f"images of {size} pixels are too small for folder-fastgan", settings
    return "folder-dcgan", f"{num:,} images are enough for it, and it is the fastest", settings


def _doublings(size: int) -> int:
    """Return how often 4 to 7 pixels are doubled to a size. Raises SettingsError if they never give it."""
    doublings = max(size.bit_length() - 3, 0)  # 4 to 7 pixels have three bits
    if doublings and size % 2**doublings == 0:
        return doublings
    step = max(2**doublings, 2)
    below, above = max(size // step * step, 8), max(size // step * step + step, 8)
    raise SettingsError(
        f"nets that double height and width do not make images of {size} × {size} pixels.",
        hint=f"Choose --size {below}." if below == above else f"Choose --size {below} or --size {above}.",
    )


def _fastgan_widths(doublings: int, published: bool) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the widths of both nets: those of the official code, or ones for a CPU."""
    if published:
        generator, discriminator = (1024, 512, 256, 128, 128, 64, 32, 16, 8), (4, 8, 16, 32, 64, 128, 256, 512)
    else:
        generator, discriminator = (192, 96, 64, 32, 16, 16), (8, 16, 32, 64, 128)
    return generator[: doublings + 1], discriminator[-doublings:]
