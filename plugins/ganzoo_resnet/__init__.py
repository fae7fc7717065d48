"""Residual GANs: batch normalisation in the generator, spectral normalisation in the discriminator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Interval, Len

from ganzoo.deferred import deferred
from ganzoo.specs import ArchitectureSpec

Widths = Annotated[tuple[Annotated[int, Interval(ge=1, le=8192)], ...], Len(1, 11)]


@dataclass(frozen=True, kw_only=True)
class ResNetConfig:
    """Both networks, block by block."""

    generator_widths: Widths = (256, 256, 256, 256)
    """Channels of the coarsest feature map, then after each block; each block doubles height and width."""
    discriminator_widths: Widths = (128, 128, 128, 128)
    """Channels after each block."""
    discriminator_halvings: Annotated[int, Interval(ge=1, le=10)] = 2
    """Number of blocks at the start of the discriminator that halve height and width."""


RESNET = ArchitectureSpec(
    name="resnet",
    summary="residual generator and spectrally normalised residual discriminator, for images whose sides halve evenly",
    paper="Miyato et al. 2018, arXiv:1802.05957, table 4; labels as in Miyato and Koyama 2018, arXiv:1802.05637",
    license="MIT",
    config=ResNetConfig,
    build_generator=deferred("ganzoo_resnet.networks:Generator"),
    build_discriminator=deferred("ganzoo_resnet.networks:Discriminator"),
    conditions=("classes",),
    batch_independent=True,
)
