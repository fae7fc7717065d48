"""Generator and discriminator (Liu et al. 2021, arXiv:2101.04775).

With classes, the generator gets an embedding of the label beside the latents, and the discriminator has a readout for
each class (Miyato and Koyama 2018, arXiv:1802.05637).
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d, conv_transpose2d, glu, leaky_relu, pad, silu

from ganzoo.errors import SettingsError
from ganzoo.specs import LatentSpec, SampleSpec
from ganzoo.spectral import SpectralConv2d
from ganzoo_fastgan import FastGANConfig

CLASS_WIDTH = 64
"""Numbers that stand for a class beside the latents."""
GENERATOR_SKIP, DISCRIMINATOR_SKIP = 4, 3
"""Changes of resolution from a feature map to the one whose channels it excites, as in the official code: from 4 × 4
to 64 × 64 pixels in the generator."""
SLOPE = 0.2
READOUT = 4
"""Height and width of the kernel that reads logits from the discriminator's last feature map."""
LARGEST_DECODED = 4
"""A decoder doubles at most this often, to 128 × 128 pixels from 8 × 8, as published."""


class Generator(nn.Module):
    """z [batch, latent.dim] (, labels [batch]) -> images [batch, channels, height, width]."""

    def __init__(self, config: FastGANConfig, latent: LatentSpec, sample: SampleSpec) -> None:
        super().__init__()
        widths = config.generator_widths
        self.coarsest = _coarsest(sample, len(widths) - 1)
        self.embedding = nn.Embedding(len(sample.classes), CLASS_WIDTH) if sample.classes is not None else None
        units = latent.dim + (CLASS_WIDTH if self.embedding is not None else 0)
        # Shapes for folder-fastgan: [batch, 256] -> [batch, 256, 4, 4] -> [batch, 128, 8, 8] -> ... -> [batch, 3, 64,
        # 64].
        height, width = self.coarsest
        self.project = nn.Linear(units, 2 * widths[0] * height * width, bias=False)
        self.norm = nn.BatchNorm2d(2 * widths[0])
        # As published, every other block has a second convolution.
        self.blocks = nn.ModuleList(
            DoublingBlock(before, after, deep=index % 2 == 0) for index, (before, after) in enumerate(pairwise(widths))
        )
        self.excitations = _excitations(widths, GENERATOR_SKIP)
        self.output = nn.Conv2d(widths[-1], sample.shape[0], kernel_size=3, padding=1)
        _initialize(self)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        if self.embedding is not None:
            latents = torch.cat([latents, self.embedding(labels)], dim=1)
        features = [glu(self.norm(self.project(latents).unflatten(1, (-1, *self.coarsest))), dim=1)]
        for block, excitation in zip(self.blocks, self.excitations, strict=True):
            features.append(_excited(block(features[-1]), features, excitation, GENERATOR_SKIP))
        images: Tensor = self.output(features[-1]).tanh()
        return images


class DoublingBlock(nn.Module):
    """[batch, before, h, w] -> [batch, after, 2h, 2w]."""

    def __init__(self, before: int, after: int, *, deep: bool) -> None:
        super().__init__()
        # Twice the channels, one half of which gates the other (gated linear unit).
        layers: list[nn.Module] = [DoublingConv2d(before, 2 * after), nn.BatchNorm2d(2 * after), nn.GLU(dim=1)]
        if deep:
            second = nn.Conv2d(after, 2 * after, kernel_size=3, padding=1, bias=False)
            layers += [second, nn.BatchNorm2d(2 * after), nn.GLU(dim=1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, features: Tensor) -> Tensor:
        doubled: Tensor = self.layers(features)
        return doubled


class Excitation(nn.Module):
    """[batch, before, h, w] -> factors [batch, after, 1, 1] between 0 and 1 (section 3.1, equation 1)."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(before, after, kernel_size=4, bias=False)
        self.expand = nn.Conv2d(after, after, kernel_size=1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        factors: Tensor = self.expand(silu(self.squeeze(adaptive_avg_pool2d(features, 4)))).sigmoid()
        return factors


class Discriminator(nn.Module):
    """images [batch, channels, height, width] (, labels [batch]) -> raw logits [batch]."""

    def __init__(self, config: FastGANConfig, sample: SampleSpec) -> None:
        super().__init__()
        widths = config.discriminator_widths
        coarsest = _coarsest(sample, len(widths) - 1)
        if min(coarsest) < READOUT:
            raise SettingsError(
                f"a fastgan discriminator that halves {list(sample.shape[1:])} {len(widths) - 1} times ends with fewer "
                f"than {READOUT} × {READOUT} pixels.",
                hint="Give its config fewer discriminator_widths.",
            )
        # Shapes for folder-fastgan: [batch, 3, 64, 64] -> [batch, 16, 64, 64] -> 32 × 32 -> 16 × 16 -> [batch, 128, 8,
        # 8] -> logits [batch, 1, 5, 5], one for each window of 4 × 4 features.
        # The official code has spectral normalisation in all layers. Where batch normalisation follows, it would change
        # nothing, because that undoes any factor.
        self.input = SpectralConv2d(sample.shape[0], widths[0], kernel_size=3, padding=1)
        self.blocks = nn.ModuleList(HalvingBlock(before, after) for before, after in pairwise(widths))
        self.excitations = _excitations(widths, DISCRIMINATOR_SKIP)
        last = widths[-1]
        readouts = 1 + (len(sample.classes) if sample.classes is not None else 0)
        self.readout = nn.Sequential(
            nn.Conv2d(last, last, kernel_size=1, bias=False),
            nn.BatchNorm2d(last),
            nn.LeakyReLU(SLOPE),
            SpectralConv2d(last, readouts, kernel_size=READOUT),
        )
        # To half the image's height and width: of the whole image, and of a quarter of it in full resolution.
        doublings = min(len(widths) - 2, LARGEST_DECODED)
        self.decode_whole, self.decode_quarter = (
            Decoder(width, config.decoder_width, sample.shape[0], doublings) for width in (widths[-1], widths[-2])
        )
        _initialize(self)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        logits: Tensor = self.readout(self.features(images)[-1]).mean((2, 3))  # [batch, 1], or [batch, 1 + classes]
        return logits[:, 0] if labels is None else logits[:, 0] + logits[:, 1:].gather(1, labels[:, None])[:, 0]

    def features(self, images: Tensor) -> list[Tensor]:
        """Return the feature maps, from the finest to the coarsest."""
        features = [leaky_relu(self.input(images), SLOPE)]
        for block, excitation in zip(self.blocks, self.excitations, strict=True):
            features.append(_excited(block(features[-1]), features, excitation, DISCRIMINATOR_SKIP))
        return features

    def reconstruct(self, images: Tensor, numbers: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return what the decoders make of features of images, each beside what they should make (section 3.2).

        Args:
            images: [batch, channels, height, width].
            numbers: [batch], uniform in [0, 1): which quarter of each image the second decoder makes.

        Returns:
            Twice two batches of images of the same size: the whole of each, and the quarter of each.
        """
        *_, finer, coarsest = self.features(images)
        whole, part = self.decode_whole(coarsest), self.decode_quarter(quarter(finer, numbers))
        return [
            (whole, adaptive_avg_pool2d(images, whole.shape[2:])),
            (part, adaptive_avg_pool2d(quarter(images, numbers), part.shape[2:])),
        ]


class HalvingBlock(nn.Module):
    """[batch, before, h, w] -> [batch, after, h/2, w/2]: the mean of a deep and a shallow branch."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(before, after, kernel_size=4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(after, after, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.LeakyReLU(SLOPE),
        )
        self.direct = nn.Sequential(
            nn.Conv2d(before, after, kernel_size=1, bias=False), nn.BatchNorm2d(after), nn.LeakyReLU(SLOPE)
        )

    def forward(self, features: Tensor) -> Tensor:
        halved: Tensor = (self.main(features) + self.direct(avg_pool2d(features, 2))) / 2
        return halved


class Decoder(nn.Module):
    """features [batch, before, h, w] -> images in [-1, 1], doubled a number of times."""

    def __init__(self, before: int, width: int, channels: int, doublings: int) -> None:
        super().__init__()
        widths = [before, *[width] * doublings]
        self.blocks = nn.Sequential(*(DoublingBlock(first, then, deep=False) for first, then in pairwise(widths)))
        self.output = nn.Conv2d(widths[-1], channels, kernel_size=3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        images: Tensor = self.output(self.blocks(features)).tanh()
        return images


class DoublingConv2d(nn.Conv2d):
    """Nearest-neighbour upsampling by 2, then a 3 × 3 convolution: [..., h, w] -> [..., 2h, 2w]."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(before, after, kernel_size=3, padding=1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        # Upsampling repeats a pixel, so the kernel placed in the four corners of a 4 × 4 field adds up to one that
        # does both steps, with 16 multiplications per coarse pixel instead of 36. Flipped, and inputs before outputs,
        # because a transposed convolution scatters a kernel where a convolution gathers.
        kernel = self.weight.flip(2, 3)
        kernel = pad(kernel, (0, 0, 0, 1)) + pad(kernel, (0, 0, 1, 0))
        kernel = pad(kernel, (0, 1)) + pad(kernel, (1, 0))
        return conv_transpose2d(features, kernel.transpose(0, 1), stride=2, padding=1)


def quarter(images: Tensor, numbers: Tensor) -> Tensor:
    """[batch, channels, h, w] -> [batch, channels, h/2, w/2]: the corner of each that its number in [0, 1) chooses."""
    corners = images.unflatten(3, (2, -1)).unflatten(2, (2, -1))  # [batch, channels, 2, h/2, 2, w/2]
    chosen = (numbers * 4).floor()[:, None] == torch.arange(4, device=images.device)  # [batch, 4]
    # A sum with weights 0 and 1 instead of indices, whose gradient is added up in no fixed order on a GPU.
    return (corners * chosen.view(-1, 1, 2, 1, 2, 1)).sum((2, 4))


def _excitations(widths: tuple[int, ...], skip: int) -> nn.ModuleList:
    """Return what excites the output of each block: nothing for the first ones."""
    sources: list[int | None] = [*[None] * (skip - 1), *widths]
    return nn.ModuleList(
        nn.Identity() if source is None else Excitation(source, after)
        for source, after in zip(sources, widths[1:], strict=False)
    )


def _excited(output: Tensor, features: list[Tensor], excitation: nn.Module, skip: int) -> Tensor:
    """Multiply a block's output with factors from the feature map `skip` changes of resolution before, if there is."""
    return output * excitation(features[-skip]) if isinstance(excitation, Excitation) else output


def _coarsest(sample: SampleSpec, halvings: int) -> tuple[int, int]:
    """Return height and width after `halvings`. Raises SettingsError if they are not integers."""
    if len(sample.shape) != 3 or any(side % 2**halvings for side in sample.shape[1:]):
        raise SettingsError(
            f"a fastgan with {halvings} changes of resolution needs [channels, height, width] with height and width "
            f"divisible by {2**halvings}, not {list(sample.shape)}.",
            hint="Choose such a size (pictures: --size), or give its config other generator_widths and "
            "discriminator_widths.",
        )
    _, height, width = sample.shape
    return height // 2**halvings, width // 2**halvings


def _initialize(net: nn.Module) -> None:
    """Draw initial weights as the official code does, which are those of DCGAN."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, mean=1.0, std=0.02)
