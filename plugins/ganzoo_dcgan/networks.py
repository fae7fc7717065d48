"""The two nets."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from ganzoo.errors import SettingsError
from ganzoo.specs import LatentSpec, SampleSpec
from ganzoo_dcgan import DCGANConfig


class Generator(nn.Module):
    """z [batch, latent.dim] -> images [batch, channels, height, width]."""

    def __init__(self, config: DCGANConfig, latent: LatentSpec, sample: SampleSpec) -> None:
        super().__init__()
        widths = config.generator_widths
        first = Projection(latent.dim, widths[0], _coarsest(sample, len(widths)), bias=False)
        layers: list[nn.Module] = [first, nn.BatchNorm2d(widths[0]), nn.ReLU()]
        for before, width in pairwise(widths):
            layers += [_doubling(before, width, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        layers.append(_doubling(widths[-1], sample.shape[0], bias=True))
        layers.append(nn.Tanh() if config.output == "tanh" else nn.Sigmoid())
        self.layers = nn.Sequential(*layers)
        _initialize(self, config.weight_std)

    def forward(self, latents: Tensor) -> Tensor:
        """Generate."""
        images: Tensor = self.layers(latents)
        return images


class Discriminator(nn.Module):
    """images [batch, channels, height, width] -> raw logits [batch]."""

    def __init__(self, config: DCGANConfig, sample: SampleSpec) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = sample.shape[0]
        for index, width in enumerate(config.discriminator_widths):
            normalised = config.discriminator_norm == "batch" and index > 0
            bias = config.discriminator_bias or not normalised  # batch normalisation subtracts the mean, and so a bias
            layers.append(nn.Conv2d(before, width, kernel_size=4, stride=2, padding=1, bias=bias))
            if normalised:
                layers.append(nn.BatchNorm2d(width))
            layers.append(nn.LeakyReLU(config.negative_slope))
            before = width
        layers.append(Readout(before, 1, _coarsest(sample, len(config.discriminator_widths))))
        if config.discriminator_output == "sigmoid":
            layers.append(nn.Sigmoid())
        self.layers = nn.Sequential(*layers)
        _initialize(self, config.weight_std)

    def forward(self, images: Tensor) -> Tensor:
        """Judge."""
        logits: Tensor = self.layers(images)
        return logits.flatten()


class Projection(nn.ConvTranspose2d):
    """latents [batch, in] -> images [batch, out, *kernel]: a transposed convolution of one pixel.

    Computing it as a matrix product takes a sixth of the time.
    """

    def forward(self, latents: Tensor, output_size: list[int] | None = None) -> Tensor:
        kernels = self.weight.permute(0, 2, 3, 1)  # contiguous in channels_last
        pixels = latents @ kernels.flatten(1)
        return pixels.view(-1, *kernels.shape[1:]).permute(0, 3, 1, 2)


class Readout(nn.Conv2d):
    """images [batch, in, *kernel] -> [batch, out]: a convolution with one position, as a matrix product."""

    def forward(self, images: Tensor) -> Tensor:
        pixels, kernels = images.permute(0, 2, 3, 1), self.weight.permute(0, 2, 3, 1)
        return nn.functional.linear(pixels.flatten(1), kernels.flatten(1), self.bias)


def _doubling(before: int, after: int, *, bias: bool) -> nn.Module:
    """Height and width times two."""
    return nn.ConvTranspose2d(before, after, kernel_size=3, stride=2, padding=1, output_padding=1, bias=bias)


def _coarsest(sample: SampleSpec, halvings: int) -> tuple[int, int]:
    """Return height and width after `halvings`. Raises SettingsError if they are not integers."""
    if len(sample.shape) != 3 or any(side % 2**halvings for side in sample.shape[1:]):
        raise SettingsError(
            f"a dcgan with {halvings} layers that halve the image needs [channels, height, width] with height and "
            f"width divisible by {2**halvings}, not {list(sample.shape)}.",
            hint="Give its config other generator_widths and discriminator_widths, or choose another architecture.",
        )
    _, height, width = sample.shape
    return height // 2**halvings, width // 2**halvings


def _initialize(net: nn.Module, std: float | None) -> None:
    for module in net.modules():
        if std is not None and isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, std=std)
