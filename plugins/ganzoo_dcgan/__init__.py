"""Deep convolutional GANs: transposed convolutions in the generator, strided ones in the discriminator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Gt, Interval, Len

from ganzoo.deferred import deferred
from ganzoo.specs import ArchitectureSpec

Widths = Annotated[tuple[Annotated[int, Interval(ge=1, le=8192)], ...], Len(1, 10)]
Units = Annotated[tuple[Annotated[int, Interval(ge=1, le=65_536)], ...], Len(0, 16)]


@dataclass(frozen=True, kw_only=True)
class DCGANConfig:
    """Both networks, layer by layer. Each layer doubles or halves height and width."""

    generator_widths: Widths = (512, 256, 128)
    """Channels after each of the generator's hidden layers; all but the first double height and width."""
    generator_hidden: Units = ()
    """Units of fully connected layers between the latents and the first image, each normalised and rectified."""
    discriminator_widths: Widths = (64, 128, 256)
    """Channels after each of the discriminator's hidden layers, each of which halves height and width."""
    discriminator_hidden: Units = ()
    """Units of fully connected layers between the last image and the logit, each rectified. Where the image is halved
    only twice, as 28 × 28 pixels are, they are what relates its distant parts."""
    negative_slope: Annotated[float, Interval(ge=0, le=1)] = 0.2
    """Slope of the discriminator's leaky ReLU below zero."""
    discriminator_norm: Literal["batch", "none"] = "batch"
    """After the discriminator's hidden convolutions but the first. With a gradient penalty choose none: the penalty is
    defined for each sample alone (Gulrajani et al., arXiv:1704.00028, section 4)."""
    discriminator_bias: bool = False
    """Biases in the discriminator's normalised convolutions too. Batch normalisation cancels them; published code has
    them."""
    weight_std: Annotated[float, Gt(0)] | None = 0.02
    """Standard deviation of the initial normal weights of convolutions (Radford et al., section 4); None: PyTorch's."""
    output: Literal["tanh", "sigmoid"] = "tanh"
    """Last activation of the generator. Data lies in [-1, 1], of which a sigmoid reaches only the upper half."""
    discriminator_output: Literal["logits", "sigmoid"] = "logits"
    """Output of the discriminator. Losses take logits; `sigmoid` reproduces code that applied it twice."""


DCGAN = ArchitectureSpec(
    name="dcgan",
    summary="convolutional generator and discriminator with batch normalisation, for images whose sides halve evenly",
    paper=(
        "Radford et al. 2015, arXiv:1511.06434; layer sizes of published PyTorch tutorials for 32 × 32 images; labels "
        "as in Miyato and Koyama 2018, arXiv:1802.05637, texts as in Reed et al. 2016, arXiv:1605.05396"
    ),
    license="MIT",
    config=DCGANConfig,
    build_generator=deferred("ganzoo_dcgan.networks:Generator"),
    build_discriminator=deferred("ganzoo_dcgan.networks:Discriminator"),
    conditions=("classes", "text"),
)
