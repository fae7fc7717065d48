"""A third-party plugin, written as a stranger would: its own architecture, dataset, recipe, metric and protocol."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import InstallPlugin

SPECS = """
from dataclasses import dataclass
from typing import Annotated
from annotated_types import Interval
from ganzoo.deferred import deferred
from ganzoo.specs import (
    Adam, ArchitectureSpec, CurveAxes, DatasetSpec, EvaluationProtocol, LatentSpec, MetricSpec, Optimizers, Recipe,
    SampleSpec,
)

@dataclass(frozen=True, kw_only=True)
class Config:
    width: Annotated[int, Interval(ge=1, le=64)] = 4

NET = ArchitectureSpec(
    name="strange-net", summary="s", paper="p", license="MIT", config=Config,
    build_generator=deferred("ganzoo_strange.networks:Generator"),
    build_discriminator=deferred("ganzoo_strange.networks:Discriminator"),
)
POINTS = DatasetSpec(
    name="strange-points", summary="s", homepage="h", license="CC0-1.0", splits={"train": None},
    sample=SampleSpec(
        kind="curve", shape=(6,),
        axes=CurveAxes(x=(0.0, 1.0, 2.0, 3.0, 4.0, 5.0), lower=(-9.0,) * 6, upper=(9.0,) * 6),
    ),
    load=deferred("ganzoo_strange.data:load"),
    protocols=(EvaluationProtocol(name="strange-v1", metrics=("strange-mean",), num_samples=8, seeds=(0,)),),
)
GAN = Recipe(
    name="strange-gan", summary="s", architecture="strange-net", config={}, dataset="strange-points",
    latent=LatentSpec(dim=3), batch_size=4, steps=2,
    optimizers=Optimizers(generator=Adam(learning_rate=1e-3), discriminator=Adam(learning_rate=1e-3)),
)
MEAN = MetricSpec(name="strange-mean", summary="s", better="lower", compute=deferred("ganzoo_strange.data:mean"))
"""

NETWORKS = """
import torch
from torch import nn

class Generator(nn.Module):
    def __init__(self, config, latent, sample):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(latent.dim, config.width), nn.ReLU(), nn.Linear(config.width, 6))

    def forward(self, z):
        return self.layers(z)

class Discriminator(nn.Module):
    def __init__(self, config, sample):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(6, config.width), nn.ReLU(), nn.Linear(config.width, 1))

    def forward(self, samples):
        return self.layers(samples).squeeze(1)
"""

DATA = """
import torch
from ganzoo.specs import ArrayData, SyntheticData

def draw(num, generator):
    return torch.randn(num, 6, generator=generator)

def load(root, split, download):
    return SyntheticData(draw=draw)

def mean(inputs):
    return float(inputs.samples.mean().abs())
"""

ENTRY_POINTS = {
    "ganzoo.architectures": {"strange-net": "ganzoo_strange:NET"},
    "ganzoo.datasets": {"strange-points": "ganzoo_strange:POINTS"},
    "ganzoo.recipes": {"strange-gan": "ganzoo_strange:GAN"},
    "ganzoo.metrics": {"strange-mean": "ganzoo_strange:MEAN"},
    "ganzoo.weights": {"ganzoo-strange": "ganzoo_strange"},
}


def install_strange(install: InstallPlugin, *changes: tuple[str, str]) -> Path:
    """Install the plugin as `ganzoo-strange 0.3.1`, with some of its code replaced; return its package's folder."""
    modules = {"__init__": SPECS, "networks": NETWORKS, "data": DATA}
    for before, after in changes:
        assert any(before in source for source in modules.values()), before
        modules = {name: source.replace(before, after) for name, source in modules.items()}
    files = {f"ganzoo_strange/{name}.py": source for name, source in modules.items()}
    return install("ganzoo-strange", ENTRY_POINTS, files, version="0.3.1") / "ganzoo_strange"
