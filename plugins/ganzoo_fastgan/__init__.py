"""FastGAN: nets that learn from some hundred images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Interval, Len

from ganzoo.deferred import deferred
from ganzoo.specs import ArchitectureSpec, RegularizerSpec

Width = Annotated[int, Interval(ge=1, le=4096)]


@dataclass(frozen=True, kw_only=True)
class FastGANConfig:
    """Both networks, resolution by resolution."""

    generator_widths: Annotated[tuple[Width, ...], Len(2, 10)] = (256, 128, 64, 48, 32)
    """Channels of the coarsest feature map, then after each doubling of height and width."""
    discriminator_widths: Annotated[tuple[Width, ...], Len(3, 10)] = (16, 32, 64, 128)
    """Channels at the image's resolution, then after each halving of height and width."""
    decoder_width: Width = 32
    """Channels of the decoders with which the discriminator reconstructs real images."""


FASTGAN = ArchitectureSpec(
    name="fastgan",
    summary="generator with skip-layer excitation, discriminator that also reconstructs real images, for few images",
    paper="Liu et al. 2021, arXiv:2101.04775, sections 3.1 and 3.2",
    license="MIT",
    config=FastGANConfig,
    build_generator=deferred("ganzoo_fastgan.networks:Generator"),
    build_discriminator=deferred("ganzoo_fastgan.networks:Discriminator"),
    conditions=("classes",),
)

RECONSTRUCTION = RegularizerSpec(
    name="reconstruction",
    summary="|x - decoded D-features(x)| of real images and of a random quarter of them, over a Laplacian pyramid: the "
    "discriminator's features must describe the whole image",
    paper="Liu et al. 2021, arXiv:2101.04775, equation 4, with the distance of Bojanowski et al. 2018, "
    "arXiv:1707.05776, section 2.2, in place of a perceptual one",
    compute=deferred("ganzoo_fastgan.reconstruction:reconstruction"),
    architectures=("fastgan",),
)
