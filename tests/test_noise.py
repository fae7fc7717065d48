"""Generators with noise: declared, drawn by ganzoo for each sample; or undeclared, read from torch's generators."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import ganzoo as library
from ganzoo import sampling
from ganzoo.bench.baseline import Baseline
from ganzoo.config import Layer, resolve
from ganzoo.data import open_batches, open_dataset
from ganzoo.evaluation.measurement import evaluate_gan
from ganzoo.model import GAN
from ganzoo.randomness import noise_batches
from ganzoo.registry import datasets, recipes
from ganzoo.training import Training
from ganzoo.training.engines.engine import Engine
from ganzoo.training.inputs import materialize, prepare_on_host
from ganzoo.training.state import TrainingState
from ganzoo.training.step import train_step
from ganzoo.weights.building import build, generator_builder
from ganzoo.weights.layers import summaries
from ganzoo.weights.model_config import model_config
from tests.conftest import InstallPlugin

CPU = torch.device("cpu")

PLUGIN = """
from dataclasses import dataclass, replace
from typing import Annotated

import torch
from annotated_types import Interval
from torch import nn

from ganzoo.specs import ArchitectureSpec
from ganzoo_quadratic import QUADRATIC_MLP

@dataclass(frozen=True, kw_only=True)
class Config:
    width: Annotated[int, Interval(ge=1, le=64)] = 4

class Styled(nn.Module):
    def __init__(self, config, latent, sample):
        super().__init__()
        self.first = nn.Linear(latent.dim, config.width)
        self.strength = nn.Parameter(torch.ones(2))
        self.last = nn.Linear(config.width, *sample.shape)

    def forward(self, z, noise):
        hidden = self.first(z) + self.strength[0] * noise["hidden"]
        return self.last(hidden) + self.strength[1] * noise["curve"]

class Ambient(Styled):
    def forward(self, z):
        noise = {"hidden": torch.randn_like(z[:, :1]), "curve": torch.randn(len(z), 15, device=z.device)}
        return super().forward(z, noise)

class Discriminator(nn.Linear):
    def __init__(self, config, sample):
        super().__init__(*sample.shape, 1)

    def forward(self, samples):
        return super().forward(samples)[:, 0]

def shapes(config, sample):
    return {"hidden": (config.width,), "curve": sample.shape}

COMMON = dict(summary="s", paper="p", license="MIT", config=Config, build_discriminator=Discriminator)
STYLED = ArchitectureSpec(name="styled", build_generator=Styled, noise=shapes, **COMMON)
AMBIENT = ArchitectureSpec(name="ambient", build_generator=Ambient, **COMMON)
STYLED_CURVES = replace(QUADRATIC_MLP, name="styled-curves", architecture="styled", config={"width": 3})
AMBIENT_CURVES = replace(QUADRATIC_MLP, name="ambient-curves", architecture="ambient", config={})
"""


GROUPS = {
    "ganzoo.architectures": {"styled": "noisy:STYLED", "ambient": "noisy:AMBIENT"},
    "ganzoo.recipes": {"styled-curves": "noisy:STYLED_CURVES", "ambient-curves": "noisy:AMBIENT_CURVES"},
}


@pytest.fixture(autouse=True)
def noisy(install_plugin: InstallPlugin) -> None:
    install_plugin("noisy", GROUPS, {"noisy.py": PLUGIN})


def make_noisy_gan(name: str) -> GAN:
    recipe = recipes.get(name)
    config = model_config(recipe, datasets.get(recipe.dataset).sample)
    return GAN(build(generator_builder(config, name), seed=0).eval(), config)


def test_noise_of_a_sample_is_the_same_in_batches_of_any_size_and_its_own_for_each_name() -> None:
    shapes = {"a": (3,), "b": (2, 2)}
    (whole,) = noise_batches(shapes, 200, 5, 200)
    for size in (1, 7, 64, 100):
        batches = list(noise_batches(shapes, 130, 5, size))
        for name, expected in whole.items():
            assert torch.equal(torch.cat([batch[name] for batch in batches]), expected[:130])
    assert whole["b"].shape == (200, 2, 2)
    assert not torch.equal(whole["a"][:, :2], whole["b"].flatten(1)[:, :2])
    assert abs(float(whole["b"].std()) - 1) < 0.1


def test_declared_noise_belongs_to_the_sample_and_not_to_its_batch() -> None:
    gan = make_noisy_gan("styled-curves")
    many = gan.sample(150, seed=3)
    assert torch.equal(gan.sample(150, seed=3), many)
    assert torch.allclose(gan.sample(1, seed=3), many[:1], atol=1e-6)
    assert torch.allclose(torch.cat(list(gan.stream(150, seed=3, batch_size=7))), many, atol=1e-6)
    without = gan.generator(torch.zeros(4, 5), noise={"hidden": torch.zeros(4, 3), "curve": torch.zeros(4, 15)})
    assert not torch.allclose(gan.generate(torch.zeros(4, 5)), without, atol=0.1)


@pytest.mark.parametrize("name", ["styled-curves", "ambient-curves"])
def test_one_seed_gives_one_set_of_samples_and_leaves_the_callers_random_numbers_alone(name: str) -> None:
    gan = make_noisy_gan(name)
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    first, again, other = (gan.sample(130, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(first, again)
    assert not torch.allclose(first[:64], other[:64], atol=0.1)
    assert not torch.allclose(gan.generate(torch.zeros(64, 5))[0], gan.generate(torch.zeros(64, 5))[1], atol=0.1)
    # Each batch has noise of its own.
    still = gan.generate(torch.zeros(128, 5))
    assert not torch.allclose(still[:64], still[64:], atol=0.1)


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["styled-curves", "ambient-curves"])
def test_a_captured_generator_has_the_noise_of_the_seed_too(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    gan = make_noisy_gan(name).to("cuda")
    num = gan.batch_size * sampling.FEWEST_BATCHES + 3
    torch.cuda.manual_seed(0)
    expected = torch.rand(3, device="cuda")
    torch.cuda.manual_seed(0)
    first, again = gan.sample(num, seed=0), gan.sample(num, seed=0)
    assert torch.equal(torch.rand(3, device="cuda"), expected)
    assert torch.equal(first, again)
    monkeypatch.setattr(sampling, "FEWEST_BATCHES", num)
    torch.testing.assert_close(gan.sample(num, seed=0), first, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["styled-curves", "ambient-curves"])
def test_parts_that_processes_generate_are_those_of_the_whole(name: str) -> None:
    gan = make_noisy_gan(name)
    parts = [slice(0, 128), slice(128, 256), slice(256, 300), slice(300, 300)]
    found = [torch.cat([torch.empty(0, 15), *gan.stream(300, seed=0, rows=rows)]) for rows in parts]
    assert [len(part) for part in found] == [128, 128, 44, 0]
    assert torch.equal(torch.cat(found), gan.sample(300, seed=0))


@pytest.mark.parametrize("name", ["styled-curves", "ambient-curves"])
def test_an_interpolation_moves_the_latents_and_not_the_noise(name: str) -> None:
    gan = make_noisy_gan(name)
    frames = list(gan.interpolate(3, keys=2, frames=4, seed=7))
    assert torch.allclose(frames[0], gan.sample(3, seed=7), atol=1e-5)
    torch.nn.init.zeros_(gan.generator.first.weight)  # type: ignore[union-attr, arg-type]
    frames = list(gan.interpolate(3, keys=2, frames=4, seed=7))
    assert all(torch.equal(frame, frames[0]) for frame in frames)


@pytest.mark.parametrize("name", ["styled-curves", "ambient-curves"])
def test_an_evaluation_gives_the_same_numbers_again(name: str) -> None:
    torch.manual_seed(0)
    first, again = (evaluate_gan(make_noisy_gan(name), name, "quadratic-quick-v1") for _ in range(2))
    assert first.metrics == again.metrics


def test_the_layers_of_a_net_with_noise_have_shapes() -> None:
    config = make_noisy_gan("styled-curves").config
    generator = summaries(config, "test")["generator"]
    assert generator.problem == ""
    assert generator.layers[-1].output_shape == (None, 15)


def make_state(name: str, **values: object) -> TrainingState:
    settings = resolve(recipes.get(name), [Layer("test", {"batch_size": 8, **values})], seed=5)
    spec = datasets.get("quadratic")
    batches = open_batches(open_dataset(spec, "train", None), 8, 5, CPU)
    return TrainingState(settings, model_config(settings.recipe, spec.sample), batches, CPU)


@pytest.mark.parametrize("name", ["styled-curves", "ambient-curves"])
def test_noise_is_drawn_in_a_recorded_step_as_in_an_eager_one(name: str) -> None:
    eager, graph = (make_state(name, engine=engine) for engine in ("eager", "graph"))
    for state in (eager, graph):
        taking = Engine(state)
        with state.ambient_randomness():
            for _ in range(5):
                taking.step()
        assert taking.name == state.settings.engine, taking.reason
    theirs = graph.tensors()
    assert all(torch.equal(tensor, theirs[key]) for key, tensor in eager.tensors().items() if "seconds" not in key)


@pytest.mark.parametrize("share_fakes", [False, True])
def test_training_draws_the_noise_after_the_latents_for_each_batch_of_fakes(share_fakes: bool) -> None:
    state = make_state("styled-curves", share_fakes=share_fakes)
    inputs = materialize(state, prepare_on_host(state))
    assert inputs.generator.noise["hidden"].shape == (8, 3)
    assert not torch.equal(inputs.generator.noise["curve"][0], inputs.generator.noise["curve"][1])
    (discriminator,) = inputs.discriminator
    assert bool(discriminator.noise) != share_fakes
    if not share_fakes:
        assert not torch.equal(inputs.generator.noise["curve"], discriminator.noise["curve"])

    ours, theirs = (make_state("styled-curves", share_fakes=share_fakes) for _ in range(2))
    baseline = Baseline(theirs.settings, theirs.config, iter(theirs.batches.next, None), CPU)
    for _ in range(2):
        train_step(ours.networks, materialize(ours, prepare_on_host(ours)))
        ours.step += 1
        assert baseline.step() == pytest.approx(ours.networks.sums[:2].tolist(), rel=1e-4, abs=1e-5)
        ours.networks.sums.zero_()


@pytest.mark.parametrize("name", ["styled-curves", "ambient-curves"])
def test_a_run_left_in_the_middle_and_resumed_gives_the_same_bytes(name: str, tmp_path: Path) -> None:
    values = {"seed": 0, "steps": 6, "batch_size": 8, "log_every": 1, "checkpoint_every": 2, "device": "cpu"}
    whole = library.train(name, out=tmp_path / "whole", settings=values)
    stopped = Training.start(name, tmp_path / "stopped", [Layer("test", values)])
    for record in stopped:
        if record.step == 3:
            break
    library.resume(tmp_path / "stopped")
    expected, found = (library.load(tmp_path / run).sample(70, seed=0) for run in ("whole", "stopped"))
    assert torch.equal(expected, found)
    assert whole.path == tmp_path / "whole"
