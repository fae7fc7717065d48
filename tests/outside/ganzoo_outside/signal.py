"""Signals of several channels."""

from torch import nn


class Generator(nn.Sequential):
    def __init__(self, config, latent, sample):
        channels, points = sample.shape
        super().__init__(
            nn.Linear(latent.dim, config.width * points // 2),
            nn.Unflatten(1, (config.width, points // 2)),
            nn.ReLU(),
            nn.ConvTranspose1d(config.width, channels, 4, 2, 1),
        )


class Discriminator(nn.Sequential):
    def __init__(self, config, sample):
        channels, points = sample.shape
        super().__init__(
            nn.Conv1d(channels, config.width, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.Linear(config.width * points // 2, 1),
            nn.Flatten(0),
        )
