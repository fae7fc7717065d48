"""Generator and discriminator. With classes, an embedding of the label is joined to the input."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn

from ganzoo.specs import LatentSpec, SampleSpec
from ganzoo_mlp import MLPConfig


class Generator(nn.Module):
    """z [batch, latent.dim] (, labels [batch]) -> samples [batch, *sample.shape]."""

    def __init__(self, config: MLPConfig, latent: LatentSpec, sample: SampleSpec) -> None:
        super().__init__()
        self.sample_shape = sample.shape
        self.embedding = _label_embedding(sample)
        layers: list[nn.Module] = []
        # For mnist-mlp: [batch, 100] -> 128 -> 256 -> 512 -> 1024 -> 784 -> [batch, 1, 28, 28].
        width = latent.dim + _num_classes(sample)
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

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        samples: Tensor = self.layers(_join(latents, self.embedding, labels))  # [batch, prod(shape)]
        return samples.unflatten(1, self.sample_shape)  # a view with len(samples) would fix the batch of an export


class Discriminator(nn.Module):
    """samples [batch, *sample.shape] (, labels [batch]) -> raw logits [batch]."""

    def __init__(self, config: MLPConfig, sample: SampleSpec) -> None:
        super().__init__()
        self.embedding = _label_embedding(sample)
        layers: list[nn.Module] = []
        # For mnist-mlp: [batch, 1, 28, 28] -> 784 -> 512 -> 256 -> [batch, 1] -> [batch].
        width = prod(sample.shape) + _num_classes(sample)
        for units in config.discriminator_hidden:
            layers += [nn.Linear(width, units), *_activation(config, config.discriminator_dropout)]
            width = units
        # No sigmoid and no normalisation: losses take logits, and R1 or a gradient penalty need each logit to depend on
        # one sample.
        layers.append(nn.Linear(width, 1))
        self.layers = nn.Sequential(*layers)

    def forward(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        logits: Tensor = self.layers(_join(samples.flatten(1), self.embedding, labels))
        return logits.squeeze(1)


def _activation(config: MLPConfig, dropout: float) -> list[nn.Module]:
    activation = nn.ReLU() if config.activation == "relu" else nn.LeakyReLU(config.negative_slope)
    return [activation, nn.Dropout(dropout)] if dropout else [activation]


def _num_classes(sample: SampleSpec) -> int:
    return len(sample.classes) if sample.classes is not None else 0


def _label_embedding(sample: SampleSpec) -> nn.Embedding | None:
    classes = _num_classes(sample)
    # As long as a one-hot vector, from which it differs in being learned.
    return nn.Embedding(classes, classes) if classes else None


def _join(inputs: Tensor, embedding: nn.Embedding | None, labels: Tensor | None) -> Tensor:
    """[batch, width] -> [batch, width + classes] for a conditional net."""
    return inputs if embedding is None else torch.cat([inputs, embedding(labels)], dim=1)
