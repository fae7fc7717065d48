"""A small StyleGAN2: mapping network, modulated convolutions, noise in each layer."""

import torch
from torch import nn
from torch.nn.functional import conv2d, interpolate, leaky_relu


class Mapping(nn.Module):
    """z [batch, dim] -> w [batch, width], and the running mean of w for the truncation trick."""

    def __init__(self, dim, width):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(dim, width), nn.LeakyReLU(0.2), nn.Linear(width, width))
        self.register_buffer("mean", torch.zeros(width))

    def forward(self, z, psi):
        z = z * (z.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()
        w = self.layers(z)
        if self.training:
            self.mean.copy_(torch.lerp(self.mean, w.detach().mean(0), 0.05))  # in place: a step can be recorded
        return self.mean + psi * (w - self.mean)


class Layer(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.style = nn.Linear(width, width)
        self.weight = nn.Parameter(torch.randn(width, width, 3, 3) / (9 * width) ** 0.5)
        self.strength = nn.Parameter(torch.zeros(()))

    def forward(self, images, w, noise):
        scale = 1 + self.style(w)[:, None, :, None, None]
        weight = self.weight * scale  # [batch, out, in, 3, 3]
        weight = weight * (weight.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
        batch, channels, height, width = images.shape
        grouped = images.reshape(1, batch * channels, height, width)
        mixed = conv2d(grouped, weight.flatten(0, 1), padding=1, groups=batch).view(batch, -1, height, width)
        return leaky_relu(mixed + self.strength * noise, 0.2)


class Generator(nn.Module):
    def __init__(self, config, latent, sample):
        super().__init__()
        channels, height, width = sample.shape
        self.mapping = Mapping(latent.dim, config.width)
        self.constant = nn.Parameter(torch.randn(1, config.width, height // 2, width // 2))
        self.coarse, self.fine = Layer(config.width), Layer(config.width)
        self.to_image = nn.Conv2d(config.width, channels, 1)

    def forward(self, z, noise, psi=1.0):
        w = self.mapping(z, psi)
        images = self.coarse(self.constant.expand(len(z), -1, -1, -1), w, noise["coarse"])
        images = self.fine(interpolate(images, scale_factor=2), w, noise["fine"])
        return self.to_image(images).tanh()


class Discriminator(nn.Module):
    def __init__(self, config, sample):
        super().__init__()
        channels, height, width = sample.shape
        self.layers = nn.Sequential(
            nn.Conv2d(channels, config.width, 3, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.Linear(config.width * height * width // 4, 1),
        )

    def forward(self, images):
        return self.layers(images)[:, 0]
