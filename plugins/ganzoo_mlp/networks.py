"""Generator and discriminator. With a condition, an embedding of the label, or of each character, joins the input."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn

from ganzoo.specs import LatentSpec, SampleSpec
from ganzoo_mlp import MLPConfig


class Generator(nn.Module):
    """z [batch, latent.dim] (, labels [batch] or texts [batch, max_length]) -> samples [batch, *sample.shape]."""

    def __init__(self, config: MLPConfig, latent: LatentSpec, sample: SampleSpec) -> None:
        super().__init__()
        self.sample_shape = sample.shape
        self.embedding = _embedding(sample)
        layers: list[nn.Module] = []
        # For mnist-mlp: [batch, 100] -> 128 -> 256 -> 512 -> 1024 -> 784 -> [batch, 1, 28, 28].
        width = latent.dim + _condition_width(sample)
        for index, units in enumerate(config.generator_hidden):
            layers.append(nn.Linear(width, units))
            # The first hidden layer has none, as published. Normalised linear layers keep their bias, which
            # normalisation cancels, as published too.
            if config.batch_norm and index > 0:
                layers.append(nn.BatchNorm1d(units, eps=config.batch_norm_eps))
            layers += _activation(config, config.generator_dropout)
            width = units
        layers.append(nn.Linear(width, prod(sample.shape)))
        # Images lie in [-1, 1]; curves are not bounded and take the linear output.
        if config.output != "linear":
            layers.append(nn.Tanh() if config.output == "tanh" else nn.Sigmoid())
        self.layers = nn.Sequential(*layers)

    def forward(self, latents: Tensor, condition: Tensor | None = None) -> Tensor:
        samples: Tensor = self.layers(_join(latents, self.embedding, condition))  # [batch, prod(shape)]
        return samples.unflatten(1, self.sample_shape)  # a view with len(samples) would fix the batch of an export


class Discriminator(nn.Module):
    """samples [batch, *sample.shape] (, labels [batch] or texts [batch, max_length]) -> raw logits [batch]."""

    def __init__(self, config: MLPConfig, sample: SampleSpec) -> None:
        super().__init__()
        self.embedding = _embedding(sample)
        layers: list[nn.Module] = []
        # For mnist-mlp: [batch, 1, 28, 28] -> 784 -> 512 -> 256 -> [batch, 1] -> [batch].
        width = prod(sample.shape) + _condition_width(sample)
        for units in config.discriminator_hidden:
            layers += [nn.Linear(width, units), *_activation(config, config.discriminator_dropout)]
            width = units
        # No sigmoid and no normalisation: losses take logits, and R1 or a gradient penalty need each logit to depend on
        # one sample.
        layers.append(nn.Linear(width, 1))
        self.layers = nn.Sequential(*layers)

    def forward(self, samples: Tensor, condition: Tensor | None = None) -> Tensor:
        logits: Tensor = self.layers(_join(samples.flatten(1), self.embedding, condition))
        return logits.squeeze(1)


def _activation(config: MLPConfig, dropout: float) -> list[nn.Module]:
    activation = nn.ReLU() if config.activation == "relu" else nn.LeakyReLU(config.negative_slope)
    return [activation, nn.Dropout(dropout)] if dropout else [activation]


CHARACTER_WIDTH = 16
"""Numbers that stand for a character of a text."""


def _condition_width(sample: SampleSpec) -> int:
    if sample.text is not None:
        return sample.text.max_length * CHARACTER_WIDTH
    return len(sample.classes) if sample.classes is not None else 0


def _embedding(sample: SampleSpec) -> nn.Embedding | None:
    if sample.text is not None:
        return nn.Embedding(1 + len(sample.text.alphabet), CHARACTER_WIDTH, padding_idx=0)
    if sample.classes is None:
        return None
    # As long as a one-hot vector, from which it differs in being learned.
    return nn.Embedding(len(sample.classes), len(sample.classes))


def _join(inputs: Tensor, embedding: nn.Embedding | None, condition: Tensor | None) -> Tensor:
    """[batch, width] -> [batch, width + width of the condition] for a conditional net."""
    return inputs if embedding is None else torch.cat([inputs, embedding(condition).flatten(1)], dim=1)
