"""Sampling options of an architecture, and architectures without a discriminator."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import ganzoo as library
from ganzoo.errors import SettingsError, UsageError
from ganzoo.model import GAN
from ganzoo.registry import datasets, recipes
from ganzoo.weights.building import build, generator_builder
from ganzoo.weights.model_config import model_config
from tests.conftest import Ganzoo, InstallPlugin, assert_two_lines

PLUGIN = """
from dataclasses import dataclass, replace
from typing import Annotated

from annotated_types import Interval
from torch import nn

from ganzoo.specs import ArchitectureSpec
from ganzoo_quadratic import QUADRATIC_MLP

@dataclass(frozen=True, kw_only=True)
class Config:
    pass

@dataclass(frozen=True, kw_only=True)
class Options:
    psi: Annotated[float, Interval(ge=0, le=1)] = 0.5
    '''Factor of the truncation trick (Karras et al., arXiv:1812.04948, appendix B).'''
    flip: bool = False

class Generator(nn.Linear):
    def __init__(self, config, latent, sample):
        super().__init__(latent.dim, *sample.shape)

    def forward(self, z, psi=1.0, flip=False):
        curves = psi * super().forward(z)
        return curves.flip(1) if flip else curves

class Discriminator(nn.Linear):
    def __init__(self, config, sample):
        super().__init__(*sample.shape, 1)

    def forward(self, samples):
        return super().forward(samples)[:, 0]

COMMON = dict(summary="s", paper="p", license="MIT", config=Config, build_generator=Generator)
CHOOSY = ArchitectureSpec(name="choosy", build_discriminator=Discriminator, sampling_options=Options, **COMMON)
ALONE = ArchitectureSpec(name="alone", build_discriminator=None, **COMMON)
CURVES = replace(QUADRATIC_MLP, name="choosy-curves", architecture="choosy", config={})
ALONE_CURVES = replace(QUADRATIC_MLP, name="alone-curves", architecture="alone", config={})
"""


@pytest.fixture(autouse=True)
def choosy(install_plugin: InstallPlugin) -> None:
    groups = {
        "ganzoo.architectures": {"choosy": "choosy:CHOOSY", "alone": "choosy:ALONE"},
        "ganzoo.recipes": {"choosy-curves": "choosy:CURVES", "alone-curves": "choosy:ALONE_CURVES"},
    }
    install_plugin("choosy", groups, {"choosy.py": PLUGIN})


@pytest.fixture
def gan() -> GAN:
    config = model_config(recipes.get("choosy-curves"), datasets.get("quadratic").sample)
    return GAN(build(generator_builder(config, "test"), seed=0).eval(), config)


def test_options_reach_the_generator_and_the_others_have_the_defaults_of_sampling(gan: GAN) -> None:
    whole = gan.sample(70, seed=0, options={"psi": 1.0})
    assert torch.allclose(gan.sample(70, seed=0), whole / 2)  # the dataclass says 0.5, the net 1.0
    assert torch.equal(gan.sample(70, seed=0, options={"psi": 1, "flip": True}), whole.flip(1))
    assert torch.equal(torch.cat(list(gan.stream(70, seed=0, options={"psi": 1.0}))), whole)
    first, *_ = gan.interpolate(70, keys=2, frames=2, seed=0, options={"psi": 1.0})
    assert torch.allclose(first, whole, atol=1e-5)


def test_training_leaves_the_options_to_the_net(tmp_path: Path) -> None:
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        import ganzoo.training.step as step

        generate = step.generate
        patch.setattr(step, "generate", lambda *arguments: (seen.append(len(arguments)), generate(*arguments))[1])
        run = library.train("choosy-curves", out=tmp_path / "run", settings={"steps": 1, "seed": 0, "device": "cpu"})
    assert seen == [4, 4]  # generator, latents, condition, noise
    assert library.load(run.path).sample(2, seed=0, options={"flip": True}).shape == (2, 15)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"psi": 2.0}, "psi = 2.0 is not valid"),
        ({"psi": "much"}, "psi"),
        ({"phi": 1.0}, "no sampling option 'phi'"),
    ],
)
def test_an_option_that_does_not_fit_is_refused_at_once(gan: GAN, options: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        gan.stream(1, options=options)
    assert caught.value.hint
    with pytest.raises(UsageError, match="'mlp' has no sampling option"):
        library.load("quadratic-mlp").sample(1, options=options)


def test_options_are_set_on_the_command_line_and_listed(ganzoo: Ganzoo, gan: GAN, tmp_path: Path) -> None:
    gan.save(tmp_path / "gan")
    arguments = ["sample", tmp_path / "gan", "-n", "3", "--seed", "1", "--out", "x.npy"]
    result = ganzoo(*arguments, "--set", "psi=0.25", "--set", "flip=true")
    assert result.returncode == 0, result.stderr
    expected = gan.sample(3, seed=1, options={"psi": 0.25, "flip": True})
    assert np.array_equal(np.load(tmp_path / "cwd" / "x.npy"), expected.numpy())
    assert_two_lines(ganzoo(*arguments, "--set", "phi=1"), 2, "no sampling option 'phi'", "psi, flip")
    assert_two_lines(ganzoo(*arguments, "--set", "psi=7"), 2, "psi = 7", "at most 1")
    result = ganzoo("show", "choosy", "--json")
    assert result.returncode == 0, result.stderr
    document = json.loads(result.stdout)
    assert document["architecture"]["sampling_options"] == {"psi": "default 0.5", "flip": "default false"}


def test_an_architecture_without_a_discriminator_is_imported_and_sampled_but_not_trained(
    ganzoo: Ganzoo, tmp_path: Path
) -> None:
    torch.save({"weight": torch.ones(15, 5), "bias": torch.zeros(15)}, tmp_path / "g.pth")
    result = ganzoo("import", tmp_path / "g.pth", "--recipe", "alone-curves", "--out", "imported")
    assert result.returncode == 0, result.stderr
    assert library.load(tmp_path / "cwd" / "imported").sample(2, seed=0).shape == (2, 15)

    result = ganzoo("train", "alone-curves", "--out", "run")
    assert_two_lines(result, 2, "'alone' has no discriminator, so it cannot be trained", "ganzoo import")
    assert not (tmp_path / "cwd" / "run").exists()
    assert list(json.loads(ganzoo("show", "alone-curves", "--layers", "--json").stdout)) == ["generator"]
    with pytest.raises(SettingsError, match="no discriminator"):
        library.train("alone-curves", out=tmp_path / "other")
