"""Conditional batch norm in the generator, a projection of the label in the discriminator."""

import torch
from torch import nn


class ConditionalBatchNorm(nn.Module):
    def __init__(self, width, classes):
        super().__init__()
        self.norm = nn.BatchNorm2d(width, affine=False)
        self.scale, self.shift = nn.Embedding(classes, width), nn.Embedding(classes, width)
        nn.init.ones_(self.scale.weight)
        nn.init.zeros_(self.shift.weight)

    def forward(self, images, labels):
        labels = images.new_zeros(len(images), dtype=torch.long) if labels is None else labels
        return self.norm(images) * self.scale(labels)[:, :, None, None] + self.shift(labels)[:, :, None, None]


class Generator(nn.Module):
    def __init__(self, config, latent, sample):
        super().__init__()
        channels, height, width = sample.shape
        self.first = nn.Sequential(
            nn.Linear(latent.dim, config.width * height * width // 4),
            nn.Unflatten(1, (config.width, height // 2, width // 2)),
        )
        self.norm = ConditionalBatchNorm(config.width, len(sample.classes or (None,)))
        self.last = nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(config.width, channels, 4, 2, 1), nn.Tanh())

    def forward(self, z, labels=None):
        return self.last(self.norm(self.first(z), labels))


class Discriminator(nn.Module):
    def __init__(self, config, sample):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(sample.shape[0], config.width, 4, 2, 1), nn.LeakyReLU(0.2))
        self.readout = nn.Linear(config.width, 1)
        self.embedding = nn.Embedding(len(sample.classes), config.width) if sample.classes else None

    def forward(self, images, labels=None):
        features = self.layers(images).sum((2, 3))  # [batch, width]
        logits = self.readout(features)[:, 0]
        return logits if labels is None else logits + (self.embedding(labels) * features).sum(1)
