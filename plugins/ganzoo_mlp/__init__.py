"""Multi-layer perceptrons: the generator and discriminator of the first GANs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Gt, Interval, Len

from ganzoo.deferred import deferred
from ganzoo.specs import ArchitectureSpec

Width = Annotated[int, Interval(ge=1, le=65_536)]
Widths = Annotated[tuple[Width, ...], Len(1, 64)]
Probability = Annotated[float, Interval(ge=0, lt=1)]


@dataclass(frozen=True, kw_only=True)
class MLPConfig:
    """Both networks, layer by layer."""

    generator_hidden: Widths
    """Units of the generator's hidden layers, starting from the latents."""
    discriminator_hidden: Widths = (512, 256)
    """Units of the discriminator's hidden layers, starting from the sample."""
    activation: Literal["relu", "leaky_relu"] = "leaky_relu"
    """After every hidden layer of both networks."""
    negative_slope: Annotated[float, Interval(ge=0, le=1)] = 0.2
    """Slope of the leaky ReLU below zero."""
    batch_norm: bool = False
    """Batch normalisation before the activation in all of the generator's hidden layers but the first."""
    batch_norm_eps: Annotated[float, Gt(0)] = 1e-5
    """Added to the variance in batch normalisation."""
    generator_dropout: Probability = 0.0
    """Probability of dropping a unit after each hidden layer of the generator, while training."""
    discriminator_dropout: Probability = 0.0
    """Probability of dropping a unit after each hidden layer of the discriminator, while training."""
    output: Literal["tanh", "sigmoid", "linear"] = "tanh"
    """Last activation of the generator. Images lie in [-1, 1], of which a sigmoid reaches only the upper half."""


MLP = ArchitectureSpec(
    name="mlp",
    summary="fully connected generator and discriminator, with optional batch normalisation and dropout",
    paper="Goodfellow et al. 2014, arXiv:1406.2661; labels joined as in Mirza and Osindero, arXiv:1411.1784",
    license="MIT",
    config=MLPConfig,
    build_generator=deferred("ganzoo_mlp.networks:Generator"),
    build_discriminator=deferred("ganzoo_mlp.networks:Discriminator"),
    conditions=("classes", "text"),
    batch_independent=True,
)
