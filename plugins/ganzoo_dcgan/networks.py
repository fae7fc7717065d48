"""The two nets.

With classes, every normalisation of the generator takes its scale and shift from the label, and the discriminator adds
a readout of the label's own (Miyato and Koyama 2018, arXiv:1802.05637). With texts, the generator gets features of the
text beside the latents (Reed et al. 2016, arXiv:1605.05396, section 4.1), and the discriminator adds an inner product
with features of its own.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from ganzoo.errors import SettingsError
from ganzoo.specs import LatentSpec, SampleSpec, TextSpec
from ganzoo_dcgan import DCGANConfig

CHARACTER_WIDTH, TEXT_WIDTH = 32, 128
"""Numbers that stand for a character, and for a whole text."""


class Generator(nn.Module):
    """z [batch, latent.dim] (, labels [batch] or texts [batch, max_length]) -> images [batch, channels, h, w].

    Images are in [-1, 1], or in [0, 1] with the output `sigmoid`.
    """

    def __init__(self, config: DCGANConfig, latent: LatentSpec, sample: SampleSpec) -> None:
        super().__init__()
        # Shapes for cifar10-dcgan: [batch, 100] -> [batch, 512, 4, 4] -> [batch, 256, 8, 8] -> [batch, 128, 16, 16] ->
        # [batch, 3, 32, 32].
        widths, classes = config.generator_widths, _num_classes(sample)
        layers: list[nn.Module] = []
        self.text = None if sample.text is None else TextEncoder(sample.text)
        units = latent.dim + (0 if self.text is None else TEXT_WIDTH)
        for hidden in config.generator_hidden:
            layers += [nn.Linear(units, hidden, bias=False), _normalisation(nn.BatchNorm1d, hidden, classes), nn.ReLU()]
            units = hidden
        layers.append(Projection(units, widths[0], _coarsest(sample, len(widths)), bias=False))
        layers += [_normalisation(nn.BatchNorm2d, widths[0], classes), nn.ReLU()]
        for before, width in pairwise(widths):
            doubling = _doubling(before, width, bias=False)
            layers += [doubling, _normalisation(nn.BatchNorm2d, width, classes), nn.ReLU()]
        # Not normalised, like the discriminator's input: with batch normalisation there, samples oscillated and
        # training was unstable (Radford et al., section 3). Hence the generator's only convolution with a bias.
        layers.append(_doubling(widths[-1], sample.shape[0], bias=True))
        layers.append(nn.Tanh() if config.output == "tanh" else nn.Sigmoid())
        self.layers = nn.Sequential(*layers)
        _initialize(self, config.weight_std)

    def forward(self, latents: Tensor, condition: Tensor | None = None) -> Tensor:
        images = latents if self.text is None else torch.cat([latents, self.text(condition)], dim=1)
        for layer in self.layers:
            images = layer(images, condition) if isinstance(layer, ConditionalNorm) else layer(images)
        return images


class Discriminator(nn.Module):
    """images [batch, channels, height, width] (, labels [batch] or texts [batch, max_length]) -> raw logits [batch]."""

    def __init__(self, config: DCGANConfig, sample: SampleSpec) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        # Shapes for cifar10-dcgan: [batch, 3, 32, 32] -> [batch, 64, 16, 16] -> [batch, 128, 8, 8] ->
        # [batch, 256, 4, 4] -> [batch, 1].
        before = sample.shape[0]
        for index, width in enumerate(config.discriminator_widths):
            # All but the first (Radford et al., section 3; see the generator's output).
            normalised = config.discriminator_norm == "batch" and index > 0
            bias = config.discriminator_bias or not normalised  # batch normalisation subtracts the mean, and so a bias
            layers.append(nn.Conv2d(before, width, kernel_size=4, stride=2, padding=1, bias=bias))
            if normalised:
                layers.append(nn.BatchNorm2d(width))
            layers.append(nn.LeakyReLU(config.negative_slope))
            before = width
        self.text = None if sample.text is None else TextEncoder(sample.text)
        # The last are the logits: one for all images, one for those of each class or for each feature of a text.
        readouts = _num_classes(sample) if self.text is None else TEXT_WIDTH
        units = (*config.discriminator_hidden, 1 + readouts)
        # A kernel as large as the last feature map: [batch, 256, 4, 4] -> [batch, 1] for cifar10-dcgan.
        layers.append(Readout(before, units[0], _coarsest(sample, len(config.discriminator_widths))))
        for num, following in pairwise(units):
            layers += [nn.LeakyReLU(config.negative_slope), nn.Linear(num, following)]
        self.layers = nn.Sequential(*layers)
        self.squashed = config.discriminator_output == "sigmoid"
        _initialize(self, config.weight_std)

    def forward(self, images: Tensor, condition: Tensor | None = None) -> Tensor:
        readouts: Tensor = self.layers(images)  # [batch, 1 + classes], or [batch, 1 + TEXT_WIDTH]
        logits = readouts[:, 0]
        if self.text is not None:
            # The projection below, with the features of the text in place of a one-hot vector y.
            logits = logits + (readouts[:, 1:] * self.text(condition)).sum(1)
        elif condition is not None:
            # The readout of the sample's own class: [batch, classes] -> [batch]. Without hidden layers this is the
            # projection discriminator of Miyato and Koyama, yᵀ V phi(x) + psi(phi(x)), with the rows of V as class
            # readouts.
            logits = logits + readouts[:, 1:].gather(1, condition.unsqueeze(1)).squeeze(1)
        return logits.sigmoid() if self.squashed else logits


class TextEncoder(nn.Module):
    """texts int64 [batch, max_length] -> features [batch, TEXT_WIDTH]."""

    def __init__(self, text: TextSpec) -> None:
        super().__init__()
        self.characters = nn.Embedding(1 + len(text.alphabet), CHARACTER_WIDTH, padding_idx=0)
        self.project = nn.Linear(text.max_length * CHARACTER_WIDTH, TEXT_WIDTH)

    def forward(self, texts: Tensor) -> Tensor:
        characters = self.characters(texts).flatten(1)  # [batch, max_length * CHARACTER_WIDTH], so places count
        return nn.functional.leaky_relu(self.project(characters), 0.2)


class ConditionalNorm(nn.Module):
    """A batch normalisation whose scale and shift are the label's (Dumoulin et al. 2017, arXiv:1610.07629)."""

    def __init__(self, norm: nn.BatchNorm1d | nn.BatchNorm2d, classes: int) -> None:
        super().__init__()
        self.norm = norm
        # Scale 1 and shift 0 at the beginning, so that all classes start from plain batch normalisation.
        self.scale, self.shift = (nn.Embedding(classes, norm.num_features) for _ in range(2))
        nn.init.ones_(self.scale.weight)
        nn.init.zeros_(self.shift.weight)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Normalise [batch, width, ...]."""
        shape = (*images.shape[:2], *[1] * (images.dim() - 2))  # [batch, width, 1, 1] for images
        normal: Tensor = self.scale(labels).view(shape) * self.norm(images) + self.shift(labels).view(shape)
        return normal


class Projection(nn.ConvTranspose2d):
    """latents [batch, in] -> images [batch, out, *kernel]: a transposed convolution of one pixel.

    Computing it as a matrix product takes a sixth of the time.
    """

    def forward(self, latents: Tensor, output_size: list[int] | None = None) -> Tensor:
        kernels = self.weight.permute(0, 2, 3, 1)  # contiguous in channels_last
        pixels = latents @ kernels.flatten(1)  # [batch, height * width * out]
        return pixels.view(-1, *kernels.shape[1:]).permute(0, 3, 1, 2)  # [batch, out, height, width], channels_last


class Readout(nn.Conv2d):
    """images [batch, in, *kernel] -> [batch, out]: a convolution with one position, as a matrix product."""

    def forward(self, images: Tensor) -> Tensor:
        pixels, kernels = images.permute(0, 2, 3, 1), self.weight.permute(0, 2, 3, 1)  # both [..., height, width, in]
        return nn.functional.linear(pixels.flatten(1), kernels.flatten(1), self.bias)


def _num_classes(sample: SampleSpec) -> int:
    return len(sample.classes) if sample.classes is not None else 0


def _normalisation(kind: type[nn.BatchNorm1d | nn.BatchNorm2d], width: int, classes: int) -> nn.Module:
    # affine=False: the label's scale and shift take the place of the shared ones.
    return ConditionalNorm(kind(width, affine=False), classes) if classes else kind(width)


def _doubling(before: int, after: int, *, bias: bool) -> nn.Module:
    """Height and width times two."""
    # (h - 1) * 2 - 2 * padding + 3 + output_padding = 2 h.
    return nn.ConvTranspose2d(before, after, kernel_size=3, stride=2, padding=1, output_padding=1, bias=bias)


def _coarsest(sample: SampleSpec, halvings: int) -> tuple[int, int]:
    """Return height and width after `halvings`. Raises SettingsError if they are not integers."""
    if len(sample.shape) != 3 or any(side % 2**halvings for side in sample.shape[1:]):
        raise SettingsError(
            f"a dcgan with {halvings} layers that halve the image needs [channels, height, width] with height and "
            f"width divisible by {2**halvings}, not {list(sample.shape)}.",
            hint="Choose such a size (pictures: --size), or give its config other generator_widths and "
            "discriminator_widths.",
        )
    _, height, width = sample.shape
    return height // 2**halvings, width // 2**halvings


def _initialize(net: nn.Module, std: float | None) -> None:
    for module in net.modules():
        # Linear layers and normalisations keep PyTorch's initial values. Projection and Readout are convolutions here,
        # too.
        if std is not None and isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, std=std)
