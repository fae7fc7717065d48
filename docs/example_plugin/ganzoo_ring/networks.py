"""Generator and discriminator. With classes, both get the one-hot label as further inputs."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from ganzoo.specs import LatentSpec, SampleSpec
from ganzoo_ring import FourierMLPConfig


class Generator(nn.Module):
    """z [batch, latent.dim] (, labels [batch]) -> samples [batch, *sample.shape]."""

    def __init__(self, config: FourierMLPConfig, latent: LatentSpec, sample: SampleSpec) -> None:
        super().__init__()
        self.sample_shape, self.num_classes = sample.shape, len(sample.classes or ())
        self.first = nn.Linear(latent.dim + self.num_classes, config.width)
        self.hidden = nn.ModuleList(nn.Linear(config.width, config.width) for _ in range(2))
        self.last = nn.Linear(config.width, prod(sample.shape))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return samples; they are not bounded."""
        features = self.first(_with_labels(latents, labels, self.num_classes))
        for layer in self.hidden:
            features = features + silu(layer(features))  # [batch, width]
        samples: Tensor = self.last(silu(features))
        return samples.unflatten(1, self.sample_shape)


class Discriminator(nn.Module):
    """samples [batch, *sample.shape] (, labels [batch]) -> raw logits [batch]."""

    def __init__(self, config: FourierMLPConfig, sample: SampleSpec) -> None:
        super().__init__()
        self.frequencies, self.num_classes = config.frequencies, len(sample.classes or ())
        num_features = prod(sample.shape) * (1 + 2 * config.frequencies)
        self.layers = nn.Sequential(
            nn.Linear(num_features + self.num_classes, config.width),
            nn.SiLU(),
            nn.Linear(config.width, config.width),
            nn.SiLU(),
            nn.Linear(config.width, 1),
        )

    def forward(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return a logit for each sample."""
        values = samples.flatten(1)
        features = [values]
        for octave in range(self.frequencies):
            features += [(2**octave * values).sin(), (2**octave * values).cos()]
        logits: Tensor = self.layers(_with_labels(torch.cat(features, dim=1), labels, self.num_classes))
        return logits.squeeze(1)


def _with_labels(values: Tensor, labels: Tensor | None, num_classes: int) -> Tensor:
    if labels is None:
        return values
    # A comparison instead of `one_hot` of torch, which reads the labels on the host: then no step could be recorded.
    classes = torch.arange(num_classes, device=labels.device)
    return torch.cat([values, (labels[:, None] == classes).to(values.dtype)], dim=1)
