"""Generator and discriminator (Miyato et al. 2018, arXiv:1802.05957, table 4).

With classes, normalisations of the generator's blocks take their scale and shift from the label, and the discriminator
adds an inner product with the label's embedding (Miyato and Koyama 2018, arXiv:1802.05637).
"""

from __future__ import annotations

from itertools import pairwise
from math import sqrt
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import avg_pool2d, linear

from ganzoo.errors import SettingsError
from ganzoo.specs import LatentSpec, SampleSpec
from ganzoo_resnet import ResNetConfig
from ganzoo_resnet.convolutions import DoublingConv2d, HalvingConv2d
from ganzoo_resnet.spectral import SpectralNorm

Layer = TypeVar("Layer", nn.Conv2d, nn.Linear)


class Generator(nn.Module):
    """z [batch, latent.dim] (, labels [batch]) -> images [batch, channels, height, width]."""

    def __init__(self, config: ResNetConfig, latent: LatentSpec, sample: SampleSpec) -> None:
        super().__init__()
        widths, classes = config.generator_widths, _num_classes(sample)
        # Shapes for cifar10-sngan: [batch, 128] -> [batch, 256, 4, 4] -> 8 × 8 -> 16 × 16 -> [batch, 256, 32, 32] ->
        # [batch, 3, 32, 32].
        height, width = _coarsest(sample, len(widths) - 1)
        self.coarsest_shape = (widths[0], height, width)
        self.project = _initialized(nn.Linear(latent.dim, widths[0] * height * width))
        self.blocks = nn.Sequential(*(DoublingBlock(before, after, classes) for before, after in pairwise(widths)))
        # Its normalisation is the same for all classes, as in the published code.
        self.output = nn.Sequential(
            nn.BatchNorm2d(widths[-1]),
            nn.ReLU(),
            _initialized(nn.Conv2d(widths[-1], sample.shape[0], kernel_size=3, padding=1)),
            nn.Tanh(),
        )

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        features = self.project(latents).unflatten(1, self.coarsest_shape)  # [batch, widths[0], h, w]
        for block in self.blocks:
            features = block(features, labels)
        images: Tensor = self.output(features)
        return images


class DoublingBlock(nn.Module):
    """[batch, before, h, w] (, labels [batch]) -> [batch, after, 2h, 2w]."""

    def __init__(self, before: int, after: int, classes: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            # Pre-activation: normalise, rectify, convolve, so that the sum of a block is passed on untouched.
            _normalisation(before, classes),
            nn.ReLU(),
            _initialized(DoublingConv2d(before, after), gain=sqrt(2)),
            _normalisation(after, classes),
            nn.ReLU(),
            _initialized(nn.Conv2d(after, after, kernel_size=3, padding=1), gain=sqrt(2)),
        )
        # Published code upsamples before this 1 × 1 convolution: the same result at four times the cost.
        self.shortcut = nn.Sequential(
            _initialized(nn.Conv2d(before, after, kernel_size=1)), nn.Upsample(scale_factor=2)
        )

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        features = images
        for layer in self.residual:
            features = layer(features, labels) if isinstance(layer, ConditionalNorm) else layer(features)
        doubled: Tensor = features + self.shortcut(images)
        return doubled


class ConditionalNorm(nn.Module):
    """A batch normalisation whose scale and shift are the label's (Dumoulin et al. 2017, arXiv:1610.07629)."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        # affine=False: the label's scale and shift take the place of the shared ones.
        self.norm = nn.BatchNorm2d(width, affine=False)
        # Scale 1 and shift 0 at the beginning, so that all classes start from plain batch normalisation.
        self.scale, self.shift = nn.Embedding(classes, width), nn.Embedding(classes, width)
        nn.init.ones_(self.scale.weight)
        nn.init.zeros_(self.shift.weight)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        scale, shift = (embedding(labels)[:, :, None, None] for embedding in (self.scale, self.shift))
        normal: Tensor = scale * self.norm(images) + shift  # [batch, width, h, w]
        return normal


class Discriminator(nn.Module):
    """images [batch, channels, height, width] (, labels [batch]) -> raw logits [batch]."""

    def __init__(self, config: ResNetConfig, sample: SampleSpec) -> None:
        super().__init__()
        widths, halvings = config.discriminator_widths, config.discriminator_halvings
        _coarsest(sample, halvings)
        if halvings > len(widths):
            raise SettingsError(
                f"a resnet discriminator of {len(widths)} blocks cannot halve the image {halvings} times.",
                hint="Give its config more discriminator_widths, or fewer discriminator_halvings.",
            )
        # Shapes for cifar10-sngan: [batch, 3, 32, 32] -> [batch, 128, 16, 16] -> [batch, 128, 8, 8], twice the same,
        # summed over pixels to [batch, 128] -> [batch, 1].
        blocks: list[nn.Module] = [FirstBlock(sample.shape[0], widths[0])]
        for index, (before, after) in enumerate(pairwise(widths), start=1):
            blocks.append(Block(before, after, halving=index < halvings))
        readout = _initialized(nn.Linear(widths[-1], 1))
        if sample.classes is not None:
            readout = _initialized(Projection(widths[-1], len(sample.classes)))
        self.layers = nn.Sequential(*blocks, nn.ReLU(), SumPooling(), readout)
        self.norm = SpectralNorm(list(self._weights().values()))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        # The normalised weights stand in for the parameters for this one call, so gradients flow through the division
        # and no layer has to know of it.
        weights = self._weights()
        normalized = dict(zip(weights, self.norm(list(weights.values())), strict=True))
        readouts: Tensor = functional_call(self.layers, normalized, (images,))  # [batch, 1], or [batch, 1 + classes]
        logits = readouts[:, 0]
        return logits if labels is None else logits + readouts[:, 1:].gather(1, labels[:, None])[:, 0]

    def _weights(self) -> dict[str, Tensor]:
        # Matrices and kernels; biases do not change the Lipschitz constant.
        return {name: weight for name, weight in self.layers.named_parameters() if weight.dim() > 1}


class Projection(nn.Linear):
    """features [batch, width] -> [batch, 1 + classes]: psi(phi), then the inner product of phi with each embedding."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__(width, 1)
        # A matrix of its own, so that its spectral norm is its own too, as in the published code.
        self.embedding = nn.Embedding(classes, width)
        nn.init.xavier_uniform_(self.embedding.weight)

    def forward(self, features: Tensor) -> Tensor:
        return torch.cat([super().forward(features), linear(features, self.embedding.weight)], dim=1)


class FirstBlock(nn.Module):
    """[batch, before, h, w] -> [batch, after, h/2, w/2], without a first activation because the input is an image."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            _initialized(nn.Conv2d(before, after, kernel_size=3, padding=1), gain=sqrt(2)),
            nn.ReLU(),
            _initialized(HalvingConv2d(after, after), gain=sqrt(2)),
        )
        self.shortcut = _initialized(nn.Conv2d(before, after, kernel_size=1))

    def forward(self, images: Tensor) -> Tensor:
        halved: Tensor = self.residual(images) + self.shortcut(avg_pool2d(images, 2))  # both [batch, after, h/2, w/2]
        return halved


class Block(nn.Module):
    """[batch, before, h, w] -> [batch, after, h, w], or half of each side."""

    def __init__(self, before: int, after: int, *, halving: bool) -> None:
        super().__init__()
        last = HalvingConv2d(before, after) if halving else nn.Conv2d(before, after, 3, padding=1)
        self.residual = nn.Sequential(
            nn.ReLU(),
            _initialized(nn.Conv2d(before, before, kernel_size=3, padding=1), gain=sqrt(2)),
            nn.ReLU(),
            _initialized(last, gain=sqrt(2)),
        )
        self.halving = halving
        self.shortcut: nn.Module = nn.Identity()
        # A shortcut without weights where shapes allow one; in cifar10-sngan, in the last two blocks.
        if halving or before != after:
            self.shortcut = _initialized(nn.Conv2d(before, after, kernel_size=1))

    def forward(self, images: Tensor) -> Tensor:
        # Published code pools after the 1 × 1 convolution: the same result at four times the cost.
        coarser = avg_pool2d(images, 2) if self.halving else images
        transformed: Tensor = self.residual(images) + self.shortcut(coarser)
        return transformed


class SumPooling(nn.Module):
    """[batch, width, h, w] -> [batch, width], the sum over all pixels."""

    def forward(self, images: Tensor) -> Tensor:
        # A sum, as published, not a mean: the linear layer after it is spectrally normalised and could not scale it up.
        return images.sum((2, 3))


def _num_classes(sample: SampleSpec) -> int:
    return len(sample.classes) if sample.classes is not None else 0


def _normalisation(width: int, classes: int) -> nn.Module:
    return ConditionalNorm(width, classes) if classes else nn.BatchNorm2d(width)


def _initialized(layer: Layer, *, gain: float = 1.0) -> Layer:
    """Initialise with Xavier's uniform weights (Glorot and Bengio 2010) times the gain, and a bias of zero."""
    nn.init.xavier_uniform_(layer.weight, gain)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


def _coarsest(sample: SampleSpec, halvings: int) -> tuple[int, int]:
    """Return height and width after `halvings`. Raises SettingsError if they are not integers."""
    if len(sample.shape) != 3 or any(side % 2**halvings for side in sample.shape[1:]):
        raise SettingsError(
            f"a resnet with {halvings} blocks that change the resolution needs [channels, height, width] with height "
            f"and width divisible by {2**halvings}, not {list(sample.shape)}.",
            hint="Choose such a size (pictures: --size), or give its config other generator_widths and "
            "discriminator_halvings.",
        )
    _, height, width = sample.shape
    return height // 2**halvings, width // 2**halvings
