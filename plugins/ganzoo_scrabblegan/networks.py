"""The nets: texts become a row of letters, which convolutions turn into an image."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, pixel_shuffle, relu, softplus

from ganzoo.errors import SettingsError
from ganzoo.specs import LatentSpec, SampleSpec, TextSpec
from ganzoo.spectral import SpectralConv2d
from ganzoo_scrabblegan import ScrabbleGANConfig

PIXELS_PER_COLUMN = 4
"""Letters are placed in columns, and read in columns."""


class Generator(nn.Module):
    """z [batch, latent.dim], texts int64 [batch, max_length] -> images [batch, channels, height, width] in [-1, 1]."""

    def __init__(self, config: ScrabbleGANConfig, latent: LatentSpec, sample: SampleSpec) -> None:
        super().__init__()
        text = _text_of(sample)
        channels, height, width = _checked_shape(config, sample, text)
        widths, style = config.generator_widths, config.style_dim
        # Shapes for words-scrabblegan: letters [batch, 130, 32] -> [batch, 96, 4, 32] -> [batch, 48, 8, 32] ->
        # [batch, 32, 16, 64] -> [batch, 1, 32, 128].
        self.rows = height // 2 ** len(widths)
        self.style = nn.Sequential(
            nn.Linear(latent.dim, style), nn.LeakyReLU(0.2), nn.Linear(style, style), nn.LeakyReLU(0.2)
        )
        self.letters = Letters(text, config, width // PIXELS_PER_COLUMN)
        self.to_features = nn.Conv1d(self.letters.channels, widths[0] * self.rows, kernel_size=3, padding=1, bias=False)
        norms, doublings = [StyledNorm(widths[0], style)], []
        for index, (before, after) in enumerate(pairwise(widths)):
            doubles_width = index == len(widths) - 2  # the others double the height only
            kernel, stride = (4, 4 if doubles_width else 3), (2, 2 if doubles_width else 1)
            doublings.append(nn.ConvTranspose2d(before, after, kernel, stride, padding=1, bias=False))
            norms.append(StyledNorm(after, style))
        self.norms, self.doublings = nn.ModuleList(norms), nn.ModuleList(doublings)
        # The image has few channels: four pixels from each place are much cheaper than one more layer at full size.
        self.to_image = nn.Conv2d(widths[-1], 4 * channels, kernel_size=3, padding=1)

    def forward(self, latents: Tensor, texts: Tensor) -> Tensor:
        style = self.style(latents)
        row = self.to_features(self.letters(texts, style))  # [batch, widths[0] * rows, columns]
        # channels_last: convolutions of few channels are faster so.
        features = row.unflatten(1, (-1, self.rows)).contiguous(memory_format=torch.channels_last)
        features = self.norms[0](features, style)
        for doubling, norm in zip(self.doublings, self.norms[1:], strict=True):
            features = norm(doubling(features), style)
        return pixel_shuffle(self.to_image(features), 2).tanh()


class Letters(nn.Module):
    """texts [batch, max_length], style [batch, style_dim] -> the letters in their places [batch, channels, columns].

    A letter takes as many columns as its own learned width times the style's size; a word that would not fit is
    squeezed. In the columns of a letter are its embedding, the same times the place within the letter from -1/2 to 1/2,
    and that place itself, so that the convolutions know which part of which letter they draw.
    """

    def __init__(self, text: TextSpec, config: ScrabbleGANConfig, columns: int) -> None:
        super().__init__()
        characters = 1 + len(text.alphabet)
        self.characters = nn.Embedding(characters, config.character_dim, padding_idx=0)
        # At first, all letters are so wide that the longest text just fills the image.
        self.widths = nn.Embedding(characters, 1)
        nn.init.zeros_(self.widths.weight)
        self.typical = columns / text.max_length
        self.size_and_margin = nn.Linear(config.style_dim, 2)
        nn.init.normal_(self.size_and_margin.weight, std=0.05)
        nn.init.zeros_(self.size_and_margin.bias)
        self.channels, self.columns = 2 * config.character_dim + 2, columns

    def forward(self, texts: Tensor, style: Tensor) -> Tensor:
        embedded, is_character = self.characters(texts), (texts > 0).to(style.dtype)
        size, margin = self.size_and_margin(style).float().split(1, dim=1)  # [batch, 1] each
        margin = softplus(margin)  # columns to the left of the word
        widths = self.typical * (self.widths(texts).squeeze(2) + size / 2).exp() * is_character
        room = (self.columns - 1 - margin).clamp_min(1)
        widths = widths * (room / widths.sum(1, keepdim=True).clamp_min(1e-3)).clamp_max(1)
        centres = margin + widths.cumsum(1) - widths / 2
        middles = torch.arange(self.columns, device=texts.device) + 0.5
        # Distances from the middle of each letter in its widths, [batch, max_length, columns].
        places = (middles - centres[:, :, None]) / (widths[:, :, None] + 1e-3)
        # About 1 within a letter and 0 beyond, with soft edges through which gradients reach the widths.
        inside = torch.sigmoid(8 * (0.5 - places.abs())) * is_character[:, :, None]
        placed = inside * places
        letters = [embedded.transpose(1, 2) @ weights for weights in (inside, placed)]
        return torch.cat([*letters, inside.sum(1, keepdim=True), placed.sum(1, keepdim=True)], dim=1)


class StyledNorm(nn.Module):
    """Batch normalisation with scale and shift of the style, then ReLU (Chen et al. 2019, arXiv:1810.01365)."""

    def __init__(self, channels: int, style: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.scale_and_shift = nn.Linear(style, 2 * channels)

    def forward(self, features: Tensor, style: Tensor) -> Tensor:
        """Normalise [batch, channels, height, width]."""
        scale, shift = self.scale_and_shift(style)[:, :, None, None].chunk(2, dim=1)
        return relu(self.norm(features) * (1 + scale) + shift)


class Discriminator(nn.Module):
    """images [batch, channels, height, width], texts -> raw logits [batch]; `read` returns what is written on images.

    The logit says whether an image looks real, whatever it says: it ignores the text. Whether an image says its text is
    judged by the recogniser, which the regularizers `read_real` and `read_fake` use.
    """

    def __init__(self, config: ScrabbleGANConfig, sample: SampleSpec) -> None:
        super().__init__()
        text = _text_of(sample)
        channels, height, _ = _checked_shape(config, sample, text)
        widths = config.discriminator_widths
        layers: list[nn.Module] = []
        for before, after in pairwise((channels, *widths)):
            layers += [SpectralConv2d(before, after, kernel_size=4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        layers += [SpectralConv2d(widths[-1], widths[-1], kernel_size=3, stride=(2, 1), padding=1), nn.LeakyReLU(0.2)]
        # A logit for each place along the word, over the full height.
        rows = height // 2 ** (len(widths) + 1)
        layers.append(SpectralConv2d(widths[-1], 1, kernel_size=(rows, 3), padding=(0, 1)))
        self.patches = nn.Sequential(*layers)
        self.recogniser = Recogniser(config, text, channels, height)

    def forward(self, images: Tensor, texts: Tensor) -> Tensor:
        # The mean comes before the loss, so that a word counts as one sample, whatever its number of places.
        logits: Tensor = self.patches(images)  # [batch, 1, 1, places]
        return logits.mean((1, 2, 3))

    def read(self, images: Tensor) -> Tensor:
        """Return log-probabilities of the blank and of each character [columns, batch, 1 + characters], float32."""
        logits: Tensor = self.recogniser(images)
        return logits.float().log_softmax(2)


class Recogniser(nn.Module):
    """images [batch, channels, height, width] -> logits [columns, batch, 1 + characters]."""

    def __init__(self, config: ScrabbleGANConfig, text: TextSpec, channels: int, height: int) -> None:
        super().__init__()
        widths = config.recogniser_widths
        layers: list[nn.Module] = []
        for index, (before, after) in enumerate(pairwise((channels, *widths))):
            kernel, stride = (4, (2, 2)) if index < 2 else (3, (2, 1))
            layers += [nn.Conv2d(before, after, kernel, stride, padding=1, bias=False), nn.BatchNorm2d(after)]
            layers.append(nn.LeakyReLU(0.1))
        self.features = nn.Sequential(*layers)
        self.to_sequence = nn.Conv1d(
            widths[-1] * (height // 2 ** len(widths)), config.reading_width, kernel_size=5, padding=2, bias=False
        )
        self.norm = nn.BatchNorm1d(config.reading_width)
        self.characters = nn.Conv1d(config.reading_width, 1 + len(text.alphabet), kernel_size=3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        features = self.features(images).flatten(1, 2)  # [batch, widths[-1] * rows, columns]
        characters: Tensor = self.characters(leaky_relu(self.norm(self.to_sequence(features)), 0.1))
        return characters.permute(2, 0, 1)


def _text_of(sample: SampleSpec) -> TextSpec:
    if sample.text is None:
        raise SettingsError(
            "a scrabblegan writes texts, and its samples have none.",
            hint="Choose a dataset of words and conditional=true, or another architecture.",
        )
    return sample.text


def _checked_shape(config: ScrabbleGANConfig, sample: SampleSpec, text: TextSpec) -> tuple[int, int, int]:
    """Return channels, height and width. Raises SettingsError for a shape that the nets cannot halve, or too narrow."""
    halvings = max(len(config.generator_widths), len(config.discriminator_widths) + 1, len(config.recogniser_widths))
    across = max(2, len(config.discriminator_widths))
    if len(sample.shape) != 3 or sample.shape[1] % 2**halvings or sample.shape[2] % 2**across:
        raise SettingsError(
            f"a scrabblegan with these widths needs [channels, height, width] with a height divisible by {2**halvings} "
            f"and a width divisible by {2**across}, not {list(sample.shape)}.",
            hint="Give its config shorter generator_widths, discriminator_widths and recogniser_widths.",
        )
    channels, height, width = sample.shape
    if width // PIXELS_PER_COLUMN < text.max_length:
        raise SettingsError(
            f"texts of {text.max_length} characters do not fit into images {width} pixels wide: a character "
            f"takes at least {PIXELS_PER_COLUMN}.",
            hint="Choose wider images.",
        )
    return channels, height, width
