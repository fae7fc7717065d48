"""Volumes of voxels."""

from torch import nn


class Generator(nn.Sequential):
    def __init__(self, config, latent, sample):
        channels, depth, height, width = sample.shape
        coarse = (config.width, depth // 4, height // 4, width // 4)
        super().__init__(
            nn.Linear(latent.dim, config.width * depth * height * width // 64),
            nn.Unflatten(1, coarse),
            nn.ReLU(),
            nn.ConvTranspose3d(config.width, channels, 4, 4),
        )


class Discriminator(nn.Sequential):
    def __init__(self, config, sample):
        channels, depth, height, width = sample.shape
        super().__init__(
            nn.Conv3d(channels, config.width, 4, 4),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.Linear(config.width * depth * height * width // 64, 1),
            nn.Flatten(0),
        )
