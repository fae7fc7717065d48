"""Differentiable augmentations: random changes of all images that the discriminator sees, real and fake.

They keep the discriminator from overfitting on small datasets; the generator learns through them (Zhao et al. 2020,
arXiv:2006.10738).
"""

from __future__ import annotations

from ganzoo.deferred import deferred
from ganzoo.specs import AugmentationSpec

MIRROR = AugmentationSpec(
    name="mirror",
    summary="flip half of the images horizontally",
    paper="common practice; Zhao et al. 2020, arXiv:2006.10738, use it too",
    apply=deferred("ganzoo_augmentations.functions:mirror"),
)

COLOR = AugmentationSpec(
    name="color",
    summary="shift brightness by at most 1/2; multiply saturation by 0 to 2, and contrast by 1/2 to 3/2",
    paper="Zhao et al. 2020, arXiv:2006.10738",
    apply=deferred("ganzoo_augmentations.functions:color"),
)

TRANSLATION = AugmentationSpec(
    name="translation",
    summary="shift by at most an eighth of height and width, in whole pixels; zeros come in at the edges",
    paper="Zhao et al. 2020, arXiv:2006.10738",
    apply=deferred("ganzoo_augmentations.functions:translation"),
)

CUTOUT = AugmentationSpec(
    name="cutout",
    summary="set a rectangle of half the height and width, centered anywhere, to zero",
    paper="Zhao et al. 2020, arXiv:2006.10738",
    apply=deferred("ganzoo_augmentations.functions:cutout"),
)
