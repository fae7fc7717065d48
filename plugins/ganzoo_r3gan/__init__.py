"""R3GAN: residual nets without normalisation, for a relativistic loss that is regularised at real and fake images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Interval, Len

from ganzoo.deferred import deferred
from ganzoo.specs import ArchitectureSpec

Count = Annotated[int, Interval(ge=1, le=8192)]


@dataclass(frozen=True, kw_only=True)
class R3GANConfig:
    """Both nets, stage by stage. The discriminator is the generator's mirror image."""

    widths: Annotated[tuple[Count, ...], Len(1, 11)] = (512, 512, 256, 128)
    """Channels of each stage, from the coarsest to the finest; each doubles height and width of the one before."""
    cardinalities: Annotated[tuple[Count, ...], Len(1, 11)] = (64, 64, 32, 16)
    """Groups of the 3 × 3 convolutions of each stage, which have twice its width."""
    blocks_per_stage: Annotated[int, Interval(ge=1, le=64)] = 2
    """Residual blocks in each stage."""


R3GAN = ArchitectureSpec(
    name="r3gan",
    summary="residual generator and discriminator with grouped convolutions and no normalisation",
    paper="Huang et al. 2025, arXiv:2501.05441",
    license="MIT",
    config=R3GANConfig,
    build_generator=deferred("ganzoo_r3gan.networks:Generator"),
    build_discriminator=deferred("ganzoo_r3gan.networks:Discriminator"),
    batch_independent=True,
)
