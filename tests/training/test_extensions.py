"""Losses, regularizers, augmentations and optimizers of others, and steps that keep state."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch

import ganzoo
from ganzoo.config import Layer
from ganzoo.errors import SettingsError, UnknownNameError
from ganzoo.registry import recipes
from ganzoo.specs import AdaptiveProbability, Recipe
from ganzoo.training import Run, Training
from ganzoo.training.augmentation import Augmentation
from ganzoo.training.inputs import materialize, prepare_on_host
from ganzoo.training.step import clip_norm, train_step, update_discriminator, update_generator
from ganzoo.weights.tensors import deserialize
from tests.conftest import Ganzoo, InstallPlugin
from tests.training.test_step import assert_same_weights, make_state

TINY = {
    "seed": 3,
    "steps": 11,
    "batch_size": 16,
    "config.generator_hidden": [8, 8],
    "config.discriminator_hidden": [8],
    "share_fakes": False,
    "checkpoint_every": 4,
}
KEPT_STATE = {
    "optimizers.generator.kind": "rmsprop",
    "optimizers.generator.clip_norm": 0.5,
    "optimizers.generator.learning_rate": {"kind": "cosine", "start": 1e-3, "end": 0},
    "optimizers.discriminator.kind": "adamw",
    "optimizers.discriminator.betas": [0.5, {"kind": "linear", "start": 0.9, "end": 0.99}],
    "regularizers.r1": {"weight": 1.0, "every": 3},
    "regularizers.path_length": {"weight": 1.0, "every": 2},
    "augment": ["mirror", "translation"],
    "augment_probability": {"kind": "adaptive", "every": 3, "images": 300, "target": 0},
    "accumulate": 2,
}


def tensors(run: Run) -> dict[str, torch.Tensor]:
    """What the newest checkpoint holds, but for the time it took."""
    path = run.checkpoints.path(run.checkpoints.steps()[-1])
    found, _ = deserialize(path.read_bytes(), path)
    return {name: tensor for name, tensor in found.items() if "seconds" not in name}


def test_a_step_that_keeps_state_resumes_bit_for_bit_with_any_engine(tmp_path: Path, digits: Path) -> None:
    settings = {**TINY, **KEPT_STATE}
    whole = ganzoo.train("mnist-mlp", out=tmp_path / "whole", data_dir=digits, settings={**settings, "engine": "eager"})
    job = Training.start("mnist-mlp", tmp_path / "parts", [Layer("test", {**settings, "engine": "graph"})], digits)
    job.should_stop = lambda: job.state.step == 5
    list(job)
    assert job.engine.name == "graph"
    list(Training.resume(job.run.path, [Layer("test", {"engine": "eager"})]))
    expected, found = tensors(whole), tensors(job.run)
    assert {"regularizers/1.mean", "augmentation/probability", "generator_optimizer/squares.0"} <= expected.keys()
    assert expected["regularizers/1.mean"] > 0
    assert expected["augmentation/probability"] > 0
    assert job.run.records()[-1]["augment_probability"] == float(expected["augmentation/probability"])
    assert expected.keys() == found.keys()
    assert [name for name, tensor in expected.items() if not torch.equal(tensor, found[name])] == []


def test_the_parts_of_a_batch_add_up_to_it(digits: Path) -> None:
    exact = {"config.batch_norm": False, "share_fakes": False, "regularizers.gradient_penalty": 1.0}
    whole, parts = make_state(digits, **exact), make_state(digits, **exact, accumulate=4)
    sizes: list[int] = []
    parts.networks.discriminator.register_forward_hook(lambda net, inputs, output: sizes.append(len(inputs[0])))
    for state in (whole, parts):
        for _ in range(2):
            train_step(state.networks, materialize(state, prepare_on_host(state)))
            state.step += 1
    assert max(sizes) == 8  # real and fake samples of a quarter of 16
    assert_same_weights(parts.networks.generator, whole.networks.generator)
    assert_same_weights(parts.networks.discriminator, whole.networks.discriminator)
    assert torch.allclose(parts.networks.sums, whole.networks.sums, rtol=1e-4)


@pytest.mark.parametrize("largest", [0.5, 100.0])
def test_a_gradient_is_clipped_as_torch_does(largest: float) -> None:
    torch.manual_seed(0)
    gradients = [torch.randn(3, 4), torch.randn(5)]
    parameters = [torch.nn.Parameter(torch.zeros_like(gradient)) for gradient in gradients]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient.clone()
    torch.nn.utils.clip_grad_norm_(parameters, largest)
    for found, parameter in zip(clip_norm(gradients, largest), parameters, strict=True):
        assert parameter.grad is not None
        assert torch.allclose(found, parameter.grad)


@pytest.mark.parametrize("net", ["generator", "discriminator"])
def test_a_clipped_net_moves_by_no_more_than_the_norm(digits: Path, net: str) -> None:
    descent = {f"optimizers.{net}.{key}": value for key, value in {"kind": "sgd", "clip_norm": 1e-3}.items()}
    state = make_state(digits, **descent, **{f"optimizers.{net}.learning_rate": 1.0}, share_fakes=False)
    before = deepcopy(getattr(state.networks, net))
    inputs = materialize(state, prepare_on_host(state))
    if net == "generator":
        update_generator(state.networks, inputs.generator, inputs.scheduled, None)
    else:
        update_discriminator(state.networks, inputs.discriminator[0], inputs.scheduled, None)
    pairs = zip(before.parameters(), getattr(state.networks, net).parameters(), strict=True)
    moved = torch.cat([(old - new).detach().flatten() for old, new in pairs]).norm()
    assert moved.item() == pytest.approx(1e-3, rel=1e-2)


@pytest.mark.parametrize(("name", "entry"), [("r1", 0), ("path_length", 1)])
def test_a_lazy_regularizer_counts_for_the_steps_between(digits: Path, name: str, entry: int) -> None:
    own = {"share_fakes": False, "update_order": "discriminator_first", "regularizers": {}}
    lazy = make_state(digits, **own, **{f"regularizers.{name}": {"weight": 0.5, "every": 4}})
    often = make_state(digits, **own, **{f"regularizers.{name}": 2.0})
    never = make_state(digits, **own)
    for state in (lazy, often, never):
        train_step(state.networks, materialize(state, prepare_on_host(state)))
    # The first step counts four times; the second has no such term, and draws no numbers for it.
    losses = [float(state.networks.sums[entry]) for state in (lazy, often, never)]
    assert losses[0] == losses[1]
    assert losses[0] > losses[2]
    lazy.step = 1
    assert prepare_on_host(lazy).regularizers == ()


def augmentation(**values: Any) -> Augmentation:
    recipe: Recipe = recipes.get("mnist-mlp")
    return Augmentation(Recipe(**{**vars(recipe), "augment": ("mirror",), **values}), torch.device("cpu"))


def test_an_augmentation_applies_to_an_image_with_its_probability() -> None:
    images, numbers = torch.rand(6, 1, 4, 4), torch.zeros(6, 1, 4)  # the first number mirrors, the last decides
    numbers[:, 0, 3] = torch.tensor([0.1, 0.2, 0.3, 0.6, 0.7, 0.9])
    module = augmentation(augment_probability=0.5)
    assert module.num_numbers == 4
    found = module(images, numbers, 0.5)
    assert torch.equal(found, torch.cat([images[:3].flip(3), images[3:]]))
    assert torch.equal(module(images, numbers, torch.tensor(0.25)), torch.cat([images[:2].flip(3), images[2:]]))


def test_an_adaptive_probability_follows_the_signs_of_real_logits() -> None:
    module = augmentation(augment_probability=AdaptiveProbability(target=0.6, every=2))
    change, none = torch.tensor(0.4), torch.tensor(0.0)
    seen = []
    # Mean signs of two steps: 0.75, 1, 1, 0.5, 0.5 and 0.
    for first, second in ((0.5, 1.0), (1.0, 1.0), (1.0, 1.0), (0.0, 1.0), (1.0, 0.0), (0.0, 0.0)):
        module.observe(torch.tensor(first))
        module.adapt(none)
        module.observe(torch.tensor(second))
        module.adapt(change)
        seen.append(float(module.probability))
    assert seen == pytest.approx([0.4, 0.8, 1.0, 0.6, 0.2, 0.0])


PLUGIN = """
from ganzoo.deferred import deferred
from ganzoo.specs import *
from dataclasses import dataclass
from typing import Annotated
from annotated_types import Interval

Fraction = Annotated[float, Interval(ge=0, lt=1)]

@dataclass(frozen=True, kw_only=True)
class LionConfig:
    betas: tuple[Number[Fraction], Number[Fraction]] = (0.9, 0.99)

def of(name):
    return deferred(f"odd_functions:{name}")

LOGISTIC = LossSpec(name="odd-loss", summary="D: f^2 - r; G: -f", paper="none",
    discriminator=of("loss_d"), generator=of("loss_g"), smoothable=True)
NORM = RegularizerSpec(name="odd-norm", summary="|G(z)|^2", paper="none", of="generator",
    compute=of("norm"), state=of("norm_state"))
NOISE = AugmentationSpec(name="odd-noise", summary="add noise", paper="none", apply=of("noise"), num_numbers=5)
LION = OptimizerSpec(name="odd-lion", summary="signs", paper="Chen et al. 2023, arXiv:2302.06675",
    config=LionConfig, build=of("Lion"))

_LION = RegisteredOptimizer(kind="odd-lion", learning_rate=Schedule(kind="linear", start=1e-3, end=1e-4),
    options={"betas": (0.9, {"kind": "linear", "start": 0.9, "end": 0.99})})
RECIPE = Recipe(name="odd", summary="all of it", architecture="mlp", dataset="mnist", latent=LatentSpec(dim=4),
    config={"generator_hidden": (8,), "discriminator_hidden": (8,)}, batch_size=16, steps=8,
    loss="odd-loss", label_smoothing=Schedule(kind="linear", start=0.5, end=0.0),
    regularizers={"odd-norm": Regularization(weight=0.1, every=2), "r1": 0.1}, augment=("odd-noise", "mirror"),
    optimizers=Optimizers(generator=_LION, discriminator=Adam(learning_rate=1e-3)))
"""
FUNCTIONS = """
import torch
from torch import nn

def loss_d(real, fake, smoothing):
    return fake.square().mean() - (1 - smoothing) * real.mean()

def loss_g(fake, real):
    return -fake.mean()

def norm_state():
    return {"seen": torch.zeros(())}

def norm(inputs):
    inputs.state["seen"].add_(1)
    return inputs.generate(inputs.latents).square().mean()

def noise(images, numbers):
    assert numbers.shape == (len(images), 5)
    return images + 0.1 * numbers.mean(1).view(-1, 1, 1, 1)

class Lion(nn.Module):
    def __init__(self, parameters, config):
        super().__init__()
        self.config = config
        self.names = [f"mean_{index}" for index in range(len(parameters))]
        for name, parameter in zip(self.names, parameters):
            self.register_buffer(name, torch.zeros_like(parameter, requires_grad=False))

    @torch.no_grad()
    def update(self, parameters, gradients, values):
        first, second = self.config.betas[0], values["betas.1"].float()
        for name, parameter, gradient in zip(self.names, parameters, gradients):
            mean = self.get_buffer(name)
            parameter.sub_(values["learning_rate"].float() * torch.lerp(gradient, mean, first).sign())
            mean.lerp_(gradient, 1 - second)
"""
GROUPS = {
    "ganzoo.losses": {"odd-loss": "odd_plugin:LOGISTIC"},
    "ganzoo.regularizers": {"odd-norm": "odd_plugin:NORM"},
    "ganzoo.augmentations": {"odd-noise": "odd_plugin:NOISE"},
    "ganzoo.optimizers": {"odd-lion": "odd_plugin:LION"},
    "ganzoo.recipes": {"odd": "odd_plugin:RECIPE"},
}


@pytest.fixture
def odd(install_plugin: InstallPlugin) -> None:
    """A distribution of somebody else with one of everything that a recipe names."""
    install_plugin("odd-plugin", GROUPS, {"odd_plugin.py": PLUGIN, "odd_functions.py": FUNCTIONS})


@pytest.mark.usefixtures("odd")
def test_what_others_register_trains_is_recorded_and_resumes(tmp_path: Path, digits: Path) -> None:
    settings = {"seed": 1, "checkpoint_every": 4}
    whole = ganzoo.train("odd", out=tmp_path / "whole", data_dir=digits, settings={**settings, "engine": "eager"})
    job = Training.start("odd", tmp_path / "parts", [Layer("test", {**settings, "engine": "graph"})], digits)
    job.should_stop = lambda: job.state.step == 5
    list(job)
    assert job.engine.name == "graph", job.engine.reason
    list(Training.resume(job.run.path))
    expected, found = tensors(whole), tensors(job.run)
    assert float(expected["regularizers/0.seen"]) == 4
    assert "generator_optimizer/mean_0" in expected
    assert [name for name, tensor in expected.items() if not torch.equal(tensor, found[name])] == []


@pytest.mark.usefixtures("odd")
def test_what_others_register_is_listed_and_shown_like_ours(ganzoo: Ganzoo) -> None:
    listed = ganzoo("plugins", "list").stdout
    for group, entries in GROUPS.items():
        (name,) = entries
        assert name in listed
        shown = ganzoo("show", name)
        assert shown.returncode == 0, (group, shown.stderr)
        assert name in shown.stdout


@pytest.mark.usefixtures("odd")
@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"optimizers.generator.options.betas": [2, 0.5]}, SettingsError, "'odd-lion': betas.0 = 2 is not valid"),
        ({"optimizers.generator.options.beta": 1}, SettingsError, "no setting 'beta'. Did you mean 'betas'?"),
        ({"condition": "text"}, SettingsError, "condition=text needs conditional=true"),
        ({"optimizers.discriminator.learning_rate.kind": "cosin"}, SettingsError, 'kind = "cosin" is not valid'),
        ({"ema_decay.kind": "adaptive"}, SettingsError, "ema_decay"),
        ({"optimizers.generator.kind": "rmsprob"}, UnknownNameError, "no optimizer named 'rmsprob'. Did you mean 'rms"),
        ({"loss": "wasserstein"}, SettingsError, "no targets to smooth"),
    ],
    ids=str,
)
def test_wrong_options_are_refused_before_the_run_begins(
    tmp_path: Path, digits: Path, settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ganzoo.train("odd", out=tmp_path / "run", data_dir=digits, settings=settings)
    assert not (tmp_path / "run").exists()
