"""The two nets (Huang et al. 2025, arXiv:2501.05441, section 3)."""

from __future__ import annotations

from itertools import pairwise
from math import sqrt
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from ganzoo.errors import SettingsError
from ganzoo.specs import LatentSpec, SampleSpec
from ganzoo_r3gan import R3GANConfig
from ganzoo_r3gan.resampling import Downsampling, Upsampling

Layer = TypeVar("Layer", nn.Conv2d, nn.Linear)

EXPANSION = 2
"""Channels inside a block per channel between blocks."""
NEGATIVE_SLOPE = 0.2
"""Slope of the leaky ReLU below zero."""
ACTIVATION_GAIN = sqrt(2 / (1 + NEGATIVE_SLOPE**2))
"""Factor on initial weights with which the leaky ReLU preserves the variance."""


class Generator(nn.Module):
    """z [batch, latent.dim] -> images [batch, channels, height, width].

    In training mode they are not bounded, as published; in evaluation mode they are clipped to [-1, 1].
    """

    def __init__(self, config: R3GANConfig, latent: LatentSpec, sample: SampleSpec) -> None:
        super().__init__()
        _check(config, sample)
        widths = config.widths
        # Shapes for cifar10-r3gan: [batch, 64] -> [batch, 512] -> [batch, 512, 4, 4] -> [batch, 512, 8, 8] ->
        # [batch, 256, 16, 16] -> [batch, 128, 32, 32] -> [batch, 3, 32, 32].
        self.project = _initialized(nn.Linear(latent.dim, widths[0], bias=False))
        self.basis = ExpandingBasis(widths[0], *_coarsest(config, sample))
        self.stages = nn.Sequential(_stage(config, 0))
        for index, (before, after) in enumerate(pairwise(widths), start=1):
            # Before upsampling: both are linear and one acts on channels, the other on space, so the order does not
            # change the result, and at a quarter of the pixels it costs a quarter.
            if before != after:
                self.stages.append(_initialized(convolution(before, after, 1)))
            self.stages.append(Upsampling())
            self.stages.append(_stage(config, index))
        self.output = _initialized(convolution(widths[-1], sample.shape[0], 1))

    def forward(self, latents: Tensor) -> Tensor:
        """Return images [batch, channels, height, width]."""
        images: Tensor = self.output(self.stages(self.basis(self.project(latents))))
        # Clipped only where samples are made: in training, a pixel out of range would get no gradient back.
        return images if self.training else images.clamp(-1, 1)


class Discriminator(nn.Module):
    """images [batch, channels, height, width] -> raw logits [batch]."""

    def __init__(self, config: R3GANConfig, sample: SampleSpec) -> None:
        super().__init__()
        _check(config, sample)
        widths = config.widths
        # Shapes for cifar10-r3gan: [batch, 3, 32, 32] -> [batch, 128, 32, 32] -> [batch, 256, 16, 16] ->
        # [batch, 512, 8, 8] -> [batch, 512, 4, 4] -> [batch, 512] -> [batch, 1].
        self.input = _initialized(convolution(sample.shape[0], widths[-1], 1))
        self.stages = nn.Sequential()
        for index in range(len(widths) - 1, 0, -1):
            before, after = widths[index], widths[index - 1]
            self.stages.append(_stage(config, index))
            self.stages.append(Downsampling())
            # After downsampling, for the same reason.
            if before != after:
                self.stages.append(_initialized(convolution(before, after, 1)))
        self.stages.append(_stage(config, 0))
        self.basis = ContractingBasis(widths[0], *_coarsest(config, sample))
        self.output = _initialized(nn.Linear(widths[0], 1, bias=False))

    def forward(self, images: Tensor) -> Tensor:
        """Return raw logits [batch]."""
        logits: Tensor = self.output(self.basis(self.stages(self.input(images))))
        return logits.squeeze(1)


class ResidualBlock(nn.Module):
    """[batch, width, h, w] -> the same; initially the identity, because the last kernel starts at zero."""

    def __init__(self, width: int, groups: int, gain: float) -> None:
        super().__init__()
        expanded = EXPANSION * width
        # An inverted bottleneck: 1 × 1 to twice the width, 3 × 3 in groups, 1 × 1 back. The two outer ones mix the
        # channels that the groups keep apart.
        self.residual = nn.Sequential(
            _initialized(convolution(width, expanded, 1), gain),
            BiasedActivation(expanded),
            _initialized(convolution(expanded, expanded, 3, groups=groups), gain),
            BiasedActivation(expanded),
            _initialized(convolution(expanded, width, 1), gain=0),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Add the residual."""
        total: Tensor = images + self.residual(images)
        return total


class BiasedActivation(nn.Module):
    """A learned bias for each channel, then leaky ReLU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, images: Tensor) -> Tensor:
        """Add and activate."""
        # The bias follows the dtype of the images, or autocast's bfloat16 would be promoted to float32 again.
        return leaky_relu(images + self.bias[:, None, None].to(images.dtype), NEGATIVE_SLOPE)


class ExpandingBasis(nn.Module):
    """[batch, width] -> [batch, width, h, w]: each feature times a learned image."""

    def __init__(self, width: int, *shape: int) -> None:
        super().__init__()
        self.images = nn.Parameter(torch.randn(width, *shape))

    def forward(self, features: Tensor) -> Tensor:
        """Expand."""
        return features[:, :, None, None] * self.images.to(features.dtype)  # [batch, width, 1, 1] * [width, h, w]


class ContractingBasis(nn.Module):
    """[batch, width, h, w] -> [batch, width]: the dot product of each channel with a learned image."""

    def __init__(self, width: int, height: int, breadth: int) -> None:
        super().__init__()
        # Over the root of the number of pixels, so that the sum over them keeps the variance.
        self.images = nn.Parameter(torch.randn(width, height, breadth) / sqrt(height * breadth))

    def forward(self, images: Tensor) -> Tensor:
        """Contract."""
        return (images * self.images).sum((2, 3))


def _stage(config: R3GANConfig, index: int) -> nn.Sequential:
    """Return the blocks of a stage. Initial weights shrink with the number of blocks, which keeps the variance."""
    num_blocks = len(config.widths) * config.blocks_per_stage
    # Fixup (Zhang et al. 2019, arXiv:1901.09321): L^(-1 / (2 m - 2)) for L blocks of m = 3 layers. It takes the place
    # of normalisation.
    gain = ACTIVATION_GAIN * num_blocks ** (-1 / 4)
    width, groups = config.widths[index], config.cardinalities[index]
    return nn.Sequential(*(ResidualBlock(width, groups, gain) for _ in range(config.blocks_per_stage)))


def convolution(before: int, after: int, side: int, *, groups: int = 1) -> nn.Conv2d:
    """Return a convolution without bias that keeps height and width."""
    return nn.Conv2d(before, after, side, padding=side // 2, groups=groups, bias=False)


def _initialized(layer: Layer, gain: float = 1.0) -> Layer:
    """Draw normal weights with which the layer multiplies the standard deviation by the gain."""
    fan_in = layer.weight[0].numel()  # of one group: [inputs / groups, side, side]
    nn.init.normal_(layer.weight, std=gain / sqrt(fan_in))
    return layer


def _coarsest(config: R3GANConfig, sample: SampleSpec) -> tuple[int, int]:
    _, height, width = sample.shape
    scale = 2 ** (len(config.widths) - 1)
    return height // scale, width // scale


def _check(config: R3GANConfig, sample: SampleSpec) -> None:
    """Raise SettingsError if the image cannot be halved that many times, or if groups do not divide the channels."""
    scale = 2 ** (len(config.widths) - 1)
    if len(sample.shape) != 3 or any(side % scale for side in sample.shape[1:]):
        raise SettingsError(
            f"an r3gan of {len(config.widths)} stages needs [channels, height, width] with height and width divisible "
            f"by {scale}, not {list(sample.shape)}.",
            hint="Choose such a size (pictures: --size), or give its config another number of widths and "
            "cardinalities.",
        )
    if len(config.cardinalities) != len(config.widths):
        raise SettingsError(
            f"an r3gan of {len(config.widths)} stages needs as many cardinalities, not {len(config.cardinalities)}.",
            hint="Give its config one width and one cardinality for each stage.",
        )
    for width, groups in zip(config.widths, config.cardinalities, strict=True):
        if EXPANSION * width % groups:
            raise SettingsError(
                f"an r3gan cannot divide the {EXPANSION * width} channels within a block of width {width} into "
                f"{groups} groups.",
                hint=f"Choose cardinalities that divide {EXPANSION} times the widths.",
            )
