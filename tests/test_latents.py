"""Latents: their laws, their shapes, and the way from one to another."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import ganzoo
from ganzoo.errors import SettingsError
from ganzoo.randomness import derive_seed, draw_latents, generator, interpolate_latents, latent_batches, sample_latents
from ganzoo.registry import recipes
from ganzoo.specs import LatentSpec
from ganzoo.validation import validated
from tests.conftest import InstallPlugin

NORMAL = LatentSpec(dim=3, grid=(4, 2))
CUT = LatentSpec(dim=6, distribution="truncated_normal", truncation=1.5)
CHOICE = LatentSpec(dim=5, distribution="categorical")
CHOICES = LatentSpec(dim=5, grid=(2, 3), distribution="categorical")


def test_truncated_normal_latents_are_normal_within_their_bounds() -> None:
    latents = sample_latents(CUT, 20_000, seed=0).double()
    assert latents.abs().max() <= 1.5
    assert latents.abs().max() > 1.49
    # Half of the probability between the bounds lies within this distance of 0; phi is the normal distribution.
    phi = torch.distributions.Normal(0.0, 1.0)
    middle = float(phi.icdf(torch.tensor(0.5 + math.erf(1.5 / math.sqrt(2)) / 4)))
    assert float((latents.abs() < middle).double().mean()) == pytest.approx(0.5, abs=0.005)
    assert float(latents.mean()) == pytest.approx(0, abs=0.01)
    # Variance of a normal number within ± c: 1 - 2 c phi(c) / erf(c / sqrt 2).
    density = math.exp(-(1.5**2) / 2) / math.sqrt(2 * math.pi)
    assert float(latents.var()) == pytest.approx(1 - 3 * density / math.erf(1.5 / math.sqrt(2)), rel=0.02)


def test_categorical_latents_are_one_hot_and_equally_likely() -> None:
    latents = sample_latents(CHOICES, 5_000, seed=0)
    assert latents.shape == (5_000, 5, 2, 3)
    assert set(latents.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(latents.sum(1), torch.ones(5_000, 2, 3))
    assert latents.mean(0).flatten().tolist() == pytest.approx([0.2] * 30, abs=0.03)


@pytest.mark.parametrize("latent", [NORMAL, CUT, CHOICE, CHOICES], ids=str)
def test_latents_have_their_shape_in_batches_of_any_size(latent: LatentSpec) -> None:
    whole = sample_latents(latent, 200, 3)
    assert whole.shape == (200, *latent.shape)
    assert whole.dtype == torch.float32
    assert torch.equal(torch.cat(list(latent_batches(latent, 150, 3, 7))), whole[:150])


def test_the_laws_that_there_always_were_give_the_numbers_that_they_always_gave() -> None:
    expected = torch.randn(64, 3, generator=generator(0, "sample"))
    assert torch.equal(sample_latents(LatentSpec(dim=3), 64, 0), expected)
    source = torch.Generator().manual_seed(derive_seed(0, "sample"))
    expected = torch.rand(64, 3, generator=source) * 2 - 1
    assert torch.equal(sample_latents(LatentSpec(dim=3, distribution="uniform"), 64, 0), expected)


@pytest.mark.parametrize("latent", [NORMAL, CUT, CHOICE, CHOICES], ids=str)
def test_the_way_between_latents_stays_where_the_law_allows(latent: LatentSpec) -> None:
    start, end = sample_latents(latent, 500, 0), sample_latents(latent, 500, 1)
    for share, expected in ((0.0, start), (1.0, end)):
        assert torch.allclose(interpolate_latents(latent, start, end, share), expected, atol=1e-5)
    middle = interpolate_latents(latent, start, end, 0.5)
    assert middle.shape == start.shape
    if latent.distribution == "categorical":
        assert torch.allclose(middle.sum(1), torch.ones_like(middle.sum(1)))
    elif latent.distribution == "truncated_normal":
        assert middle.abs().max() == 1.5  # some would have passed the bound
        assert float(middle.std()) == pytest.approx(float(start.std()), rel=0.05)
    else:
        lengths = [part.flatten(1).norm(dim=1) for part in (start, middle, end)]
        assert torch.allclose(lengths[1], (lengths[0] + lengths[2]) / 2, rtol=1e-4)


class NoReading(TorchDispatchMode):
    """Fails where the host reads a tensor's value, which a CUDA graph cannot contain."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func not in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("latent", [NORMAL, CUT, CHOICE, CHOICES], ids=str)
def test_nothing_is_drawn_by_looking_at_values(latent: LatentSpec) -> None:
    with NoReading():
        draw_latents(latent, 4, torch.Generator())


def test_a_latent_that_is_too_large_is_refused() -> None:
    with pytest.raises(ValueError, match="components"):
        LatentSpec(dim=1 << 15, grid=(64, 64))
    for document in ({"dim": 1 << 15, "grid": [64, 64]}, {"dim": 2, "grid": [0]}, {"dim": 2, "truncation": 0}):
        with pytest.raises(SettingsError):
            validated(LatentSpec, document, "test")
    assert validated(LatentSpec, {"dim": 2, "distribution": "uniform"}, "test").shape == (2,)  # as old files have it


@pytest.mark.parametrize("distribution", ["truncated_normal", "categorical"])
def test_any_law_trains_in_a_recorded_step_samples_and_is_saved(tmp_path: Path, distribution: str) -> None:
    settings = {"latent.distribution": distribution, "engine": "graph", "steps": 3, "seed": 0, "device": "cpu"}
    run = ganzoo.train("quadratic-mlp", out=tmp_path / "run", settings=settings)
    gan = ganzoo.load(run.path)
    assert gan.config.latent == LatentSpec(dim=5, distribution=distribution)  # type: ignore[arg-type]
    assert gan.sample(3, seed=0).shape == (3, 15)
    assert len(list(gan.interpolate(2, keys=2, frames=2, seed=0))) == 2


def test_an_architecture_that_does_not_take_a_grid_says_so(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"'mlp' takes latents of one axis, not \[5, 2\]") as caught:
        ganzoo.train("quadratic-mlp", out=tmp_path / "run", settings={"latent.grid": [2], "seed": 0})
    assert "latent.grid=[]" in caught.value.hint
    assert not (tmp_path / "run").exists()


GRID = """
from dataclasses import dataclass, replace

from torch import nn

from ganzoo.specs import ArchitectureSpec, LatentSpec
from ganzoo_quadratic import QUADRATIC_MLP

@dataclass(frozen=True, kw_only=True)
class Config:
    pass

class Generator(nn.Module):
    def __init__(self, config, latent, sample):
        super().__init__()
        self.last = nn.Conv1d(latent.dim, 1, 1)

    def forward(self, z):
        return self.last(z)[:, 0]

class Discriminator(nn.Linear):
    def __init__(self, config, sample):
        super().__init__(*sample.shape, 1)

    def forward(self, samples):
        return super().forward(samples)[:, 0]

SPATIAL = ArchitectureSpec(
    name="spatial", summary="s", paper="p", license="MIT", config=Config, latent_grid=True,
    build_generator=Generator, build_discriminator=Discriminator,
)
RECIPE = replace(
    QUADRATIC_MLP, name="spatial-curves", architecture="spatial", config={}, latent=LatentSpec(dim=2, grid=(15,))
)
"""


def test_a_generator_of_a_map_of_latents_trains_samples_and_is_loaded(
    install_plugin: InstallPlugin, tmp_path: Path
) -> None:
    groups = {
        "ganzoo.architectures": {"spatial": "spatial:SPATIAL"},
        "ganzoo.recipes": {"spatial-curves": "spatial:RECIPE"},
    }
    install_plugin("spatial", groups, {"spatial.py": GRID})
    run = ganzoo.train("spatial-curves", out=tmp_path / "run", settings={"steps": 3, "seed": 0, "device": "cpu"})
    gan = ganzoo.load(run.path)
    latents = sample_latents(recipes.get("spatial-curves").latent, 4, 1)
    assert latents.shape == (4, 2, 15)
    assert torch.equal(gan.generate(latents), gan.sample(4, seed=1))


def test_an_unknown_law_is_refused_when_a_config_is_read() -> None:
    with pytest.raises(SettingsError, match="distribution"):
        validated(LatentSpec, {"dim": 2, "distribution": "cauchy"}, "test")
