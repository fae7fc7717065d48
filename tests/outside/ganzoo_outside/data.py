"""Laws of images with labels, of two-channel signals and of volumes."""

import math

import torch

from ganzoo.specs import SyntheticData


def shade_labels(num, generator):
    return torch.randint(3, (num,), generator=generator)


def shades(num, generator):
    labels = shade_labels(num, generator)
    level = torch.tensor([-0.8, 0.8, 0.0])[labels].view(-1, 1, 1, 1)
    return (level + 0.2 * torch.rand(num, 1, 8, 8, generator=generator) - 0.1).clamp(-1, 1)


def signals(num, generator):
    phase = 2 * math.pi * torch.rand(num, 1, generator=generator)
    time = torch.linspace(0, 2 * math.pi, 16)
    return torch.stack([(time + phase).sin(), (time + phase).cos()], dim=1)


def volumes(num, generator):
    centre = 4 + 8 * torch.rand(num, 3, generator=generator)
    grid = torch.stack(torch.meshgrid(*[torch.arange(16.0)] * 3, indexing="ij"))  # [3, 16, 16, 16]
    distance = (grid - centre.view(-1, 3, 1, 1, 1)).square().sum(1, keepdim=True)
    return (-distance / 8).exp()


def load_shades(root, split, download):
    return SyntheticData(draw=shades, draw_labels=shade_labels)


def load_signals(root, split, download):
    return SyntheticData(draw=signals)


def load_volumes(root, split, download):
    return SyntheticData(draw=volumes)
