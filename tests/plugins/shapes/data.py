"""The data and the metrics of `shapes`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ganzoo.errors import MissingDatasetError
from ganzoo.specs import ArrayData, Extractor, MetricInputs, StreamedData, SyntheticData

if TYPE_CHECKING:
    import torch
    from shapes import SquaresConfig

CLASSES = 8


def load_volumes(root: Path, split: str, download: bool) -> ArrayData:
    file = root / "volumes.npy"
    if not file.exists():
        if not download:
            raise MissingDatasetError(f"{file} does not exist.", hint="Download it.")
        root.mkdir(parents=True, exist_ok=True)
        distance = np.linalg.norm(np.indices((16, 16, 16)) - 7.5, axis=0)
        radii = np.linspace(2, 8, 40)[:, None, None, None, None]
        np.save(file, (radii - distance).astype(np.float32))  # a signed distance: negative outside of the ball
    return ArrayData(samples=np.load(file), sources=(file,))


def load_squares(root: Path, split: str, download: bool, config: SquaresConfig) -> StreamedData:
    file = root / "squares.npy"
    if not file.exists():
        if not download:
            raise MissingDatasetError(f"{file} does not exist.", hint="Download it.")
        root.mkdir(parents=True, exist_ok=True)
        pixels = np.zeros((24, 3, 32, 32), np.uint8)
        for index, image in enumerate(pixels):
            image[:, 8:24, 8:24] = 10 * index + np.array([0, 5, 10])[:, None, None]
        np.save(file, pixels)
    return StreamedData(num=24, read=partial(read_squares, file, config), sources=(file,))


def read_squares(file: Path, config: SquaresConfig, start: int, stop: int) -> ArrayData:
    pixels = np.load(file)[start:stop]
    if config.crop:
        pixels = pixels[:, :, config.crop : -config.crop, config.crop : -config.crop]
    rows = np.arange(config.size) * pixels.shape[-1] // config.size  # nearest neighbours
    pixels = pixels[:, :, rows][:, :, :, rows]
    if config.grey:
        pixels = pixels.mean(axis=1, keepdims=True).astype(np.uint8)
    return ArrayData(samples=pixels, labels=(np.arange(start, stop) >= 12).astype(np.int64))


def load_noise(root: Path, split: str, download: bool, config: SquaresConfig) -> SyntheticData:
    import torch

    def draw(num: int, source: torch.Generator) -> torch.Tensor:
        shape = (num, 1 if config.grey else 3, config.size, config.size)
        return torch.rand(shape, generator=source, device=source.device) * 2 - 1

    return SyntheticData(draw=draw)


def load_stereo(root: Path, split: str, download: bool) -> SyntheticData:
    import torch

    def draw(num: int, source: torch.Generator) -> torch.Tensor:
        phase = torch.rand(num, 2, 1, generator=source, device=source.device) * 6.28
        return 3 * torch.sin(torch.linspace(0, 12, 256, device=source.device) + phase)

    return SyntheticData(draw=draw)


def load_ring(root: Path, split: str, download: bool) -> SyntheticData:
    import torch

    def draw_labels(num: int, source: torch.Generator) -> torch.Tensor:
        return torch.randint(CLASSES, (num,), generator=source, device=source.device)

    def draw(num: int, source: torch.Generator) -> torch.Tensor:
        labels = draw_labels(num, source)  # the first numbers of the state, as `draw_labels` must return them
        noise = torch.randn(num, 2, generator=source, device=source.device)
        return centres(labels) + 0.05 * noise

    return SyntheticData(draw=draw, draw_labels=draw_labels)


def centres(labels: torch.Tensor) -> torch.Tensor:
    """Return the centre of each class [num, 2], on the unit circle."""
    import torch

    angles = labels * (2 * np.pi / CLASSES)
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def load_moments(device: torch.device, folder: Path) -> Extractor:
    def outputs(volumes: torch.Tensor) -> dict[str, torch.Tensor]:
        assert volumes.dtype.is_floating_point
        octants = volumes.unflatten(4, (2, 8)).unflatten(3, (2, 8)).unflatten(2, (2, 8))
        octants = octants.permute(0, 2, 4, 6, 1, 3, 5, 7).reshape(len(volumes), 8, -1)  # [batch, octant, value]
        return {"values": octants.mean(2)}

    return Extractor(outputs=outputs, sha256="0" * 64)


def mean_difference(inputs: MetricInputs) -> float:
    return float((inputs.samples.mean() - inputs.real().mean()).abs())


def ring_distance(inputs: MetricInputs) -> float:
    assert inputs.labels is not None
    return float((inputs.samples - centres(inputs.labels)).norm(dim=1).mean())
