"""Volumes [1, 16, 16, 16] by 3-D convolutions, whose weights have five dimensions."""

from __future__ import annotations

from shapes import VolumeConfig
from torch import Tensor, nn

from ganzoo.specs import LatentSpec, SampleSpec


class Generator(nn.Module):
    def __init__(self, config: VolumeConfig, latent: LatentSpec, sample: SampleSpec) -> None:
        super().__init__()
        self.linear = nn.Linear(latent.dim, config.width * 4**3)
        self.up = nn.ConvTranspose3d(config.width, sample.shape[0], 4, stride=4)
        self.width = config.width

    def forward(self, latents: Tensor) -> Tensor:
        hidden: Tensor = self.linear(latents).relu()  # [batch, width * 64]
        volumes: Tensor = self.up(hidden.unflatten(1, (self.width, 4, 4, 4)))  # [batch, 1, 16, 16, 16]
        return volumes


class Discriminator(nn.Module):
    def __init__(self, config: VolumeConfig, sample: SampleSpec) -> None:
        super().__init__()
        self.down = nn.Conv3d(sample.shape[0], config.width, 4, stride=4)
        self.linear = nn.Linear(config.width * 4**3, 1)

    def forward(self, volumes: Tensor) -> Tensor:
        logits: Tensor = self.linear(self.down(volumes).relu().flatten(1))
        return logits.squeeze(1)
