from __future__ import annotations

import dataclasses
import hashlib
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import nn

import ganzoo
from ganzoo import config
from ganzoo.config import Layer
from ganzoo.registry import architectures, recipes
from ganzoo.specs import Adam, LatentSpec, Recipe
from ganzoo.training import Training
from ganzoo.validation import architecture_config
from ganzoo.weights.building import num_parameters
from ganzoo_dcgan import DCGAN
from ganzoo_mlp import MLP, MLPConfig
from ganzoo_mnist import MNIST


def nets(name: str) -> tuple[nn.Module, nn.Module]:
    recipe = recipes.get(name)
    sample = MNIST.sample if recipe.conditional else dataclasses.replace(MNIST.sample, classes=None)
    values = MLPConfig(**recipe.config)
    return MLP.build_generator(values, recipe.latent, sample), MLP.build_discriminator(values, sample)


def described(net: nn.Module) -> list[str]:
    """A line for each layer: sizes of the linear ones, slope and probability of the others."""
    lines = []
    for layer in net.layers:  # type: ignore[union-attr]
        if isinstance(layer, nn.Linear):
            lines.append(f"{layer.in_features}-{layer.out_features}")
        elif isinstance(layer, nn.LeakyReLU):
            lines.append(f"leaky {layer.negative_slope}")
        else:
            lines.append(f"dropout {layer.p}" if isinstance(layer, nn.Dropout) else type(layer).__name__)
    return lines


def stack(sizes: list[int], *between: str) -> list[str]:
    pairs = [f"{before}-{after}" for before, after in pairwise(sizes)]
    return [line for pair in pairs[:-1] for line in (pair, *between)] + pairs[-1:]


@pytest.mark.parametrize(("name", "labels"), [("mnist-mlp-dropout", 0), ("mnist-cgan", 10)])
def test_the_dropout_recipes_have_the_published_layers(name: str, labels: int) -> None:
    generator, discriminator = nets(name)
    assert described(generator) == [*stack([100 + labels, 256, 512, 1024, 784], "leaky 0.2"), "Tanh"]
    assert described(discriminator) == stack([784 + labels, 1024, 512, 256, 1], "leaky 0.2", "dropout 0.3")
    # An embedding of 10 labels in 10 numbers joins the input of the first layer.
    assert num_parameters(generator) == 1_486_352 + labels * 256 + labels * labels
    assert num_parameters(discriminator) == 1_460_225 + labels * 1024 + labels * labels


def test_the_small_recipe_has_the_published_layers() -> None:
    generator, discriminator = nets("mnist-mlp-small")
    assert described(generator) == [*stack([100, 32, 64, 128, 784], "leaky 0.2", "dropout 0.2"), "Tanh"]
    assert described(discriminator) == stack([784, 128, 64, 32, 1], "leaky 0.2", "dropout 0.2")
    assert (num_parameters(generator), num_parameters(discriminator)) == (114_800, 110_849)


@pytest.mark.parametrize("name", ["mnist-mlp-dropout-published", "mnist-cgan"])
def test_the_dropout_recipes_train_as_published(name: str) -> None:
    recipe = recipes.get(name)
    adam = Adam(learning_rate=2e-4, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    assert (recipe.optimizers.generator, recipe.optimizers.discriminator) == (adam, adam)
    assert recipe.latent == LatentSpec(dim=100, distribution="normal")
    assert (recipe.loss, recipe.discriminator_loss, recipe.label_smoothing) == ("bce", "sum", 0.0)
    assert (recipe.batch_size, recipe.steps) == (32, 25 * (60_000 // 32))
    assert (recipe.update_order, recipe.discriminator_steps) == ("discriminator_first", 1)
    assert not recipe.share_fakes  # the discriminator's fakes are its own
    assert (recipe.regularizers, recipe.weight_clip) == ({}, None)
    assert recipe.conditional == (name == "mnist-cgan")


def test_the_small_recipe_trains_as_published() -> None:
    recipe = recipes.get("mnist-mlp-small-published")
    adam = Adam(learning_rate=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    assert (recipe.optimizers.generator, recipe.optimizers.discriminator) == (adam, adam)
    assert recipe.latent == LatentSpec(dim=100, distribution="uniform")
    assert (recipe.loss, recipe.discriminator_loss) == ("bce", "sum")
    assert 1 - recipe.label_smoothing == 0.9
    assert (recipe.batch_size, recipe.steps) == (64, 100 * (60_000 // 64))
    assert (recipe.regularizers, recipe.weight_clip, recipe.conditional) == ({}, None, False)


@pytest.mark.parametrize("name", ["mnist-mlp-dropout", "mnist-mlp-small"])
def test_what_was_improved_differs_from_what_was_published_in_the_updates_alone(name: str) -> None:
    ours, published = recipes.get(name), recipes.get(f"{name}-published")
    fields = [field.name for field in dataclasses.fields(Recipe)]
    changed = {field for field in fields if getattr(ours, field) != getattr(published, field)}
    assert changed == {"name", "summary", "source", "notes", "regularizers", "optimizers"}


@pytest.mark.parametrize(("name", "classes"), [("mnist-dcgan", 0), ("mnist-cdcgan", 10)])
def test_the_convolutional_recipes_begin_with_seven_pixels_and_are_small(name: str, classes: int) -> None:
    recipe = recipes.get(name)
    sample = MNIST.sample if recipe.conditional else dataclasses.replace(MNIST.sample, classes=None)
    assert (recipe.conditional, recipe.ema_decay, recipe.regularizers) == (classes > 0, 0.999, {"r1": 1.0})
    config = architecture_config(DCGAN, recipe.config, name)
    generator = DCGAN.build_generator(config, recipe.latent, sample)
    discriminator = DCGAN.build_discriminator(config, sample)
    # A scale and a shift for each normalised channel, of every class where there are classes.
    kernels = 64 * 128 + 128 * 64 * 7 * 7 + 64 * 32 * 9 + 32 * 9 + 1
    assert num_parameters(generator) == kernels + 2 * (128 + 64 + 32) * (classes or 1)
    kernels = 16 * 32 + 32 + 32 * 64 * 16 + 64 + 64 * 7 * 7 * 128 + 128
    assert num_parameters(discriminator) == kernels + (128 + 1) * (1 + classes)


TINY: dict[str, Any] = {
    "seed": 0,
    "steps": 6,
    "batch_size": 16,
    "config.generator_hidden": [8, 8],
    "config.discriminator_hidden": [8],
    "log_every": 2,
    "sample_every": 6,
    "checkpoint_every": 3,
}


MLPS = (
    "mnist-mlp",
    "mnist-mlp-published",
    "mnist-mlp-dropout",
    "mnist-mlp-small",
    "mnist-mlp-small-published",
    "mnist-cgan",
)


@pytest.mark.parametrize("name", [*MLPS, "mnist-dcgan", "mnist-cdcgan"])
def test_a_recipe_trains_and_a_resumed_run_gives_the_same_bytes(name: str, digits: Path, tmp_path: Path) -> None:
    run = ganzoo.train(name, out=tmp_path / "run", data_dir=digits, settings=TINY)
    assert [record["step"] for record in run.records()] == [2, 4, 6]
    with Image.open(run.path / "samples" / "step-00000006.png") as picture:
        assert min(picture.size) >= 5 * 28
    job = Training.start(name, tmp_path / "stopped", [Layer("test", TINY)], digits)
    job.should_stop = lambda: job.state.step == 4
    list(job)
    assert not job.finished
    ganzoo.resume(job.run.path)
    for file in ("model.safetensors", "discriminator.safetensors", "samples/step-00000006.png"):
        ours, theirs = (hashlib.sha256((path / file).read_bytes()).hexdigest() for path in (run.path, job.run.path))
        assert ours == theirs, file


@pytest.mark.parametrize("name", ["mnist-cgan", "mnist-cdcgan"])
def test_a_conditional_recipe_draws_the_digit_that_is_asked_for(name: str, digits: Path, tmp_path: Path) -> None:
    gan = ganzoo.load(ganzoo.train(name, out=tmp_path / "run", data_dir=digits, settings=TINY).path)
    three, again, seven = (gan.sample(4, seed=0, labels=label) for label in (3, [3] * 4, 7))
    assert torch.equal(three, again)
    assert not torch.equal(three, seven)


@pytest.mark.parametrize("name", ["mnist-mlp-dropout", "mnist-mlp-small", "mnist-cgan", "cifar10-dcgan"])
def test_without_the_average_the_very_weights_that_were_trained_are_saved(
    name: str, digits: Path, photographs: Path, tmp_path: Path
) -> None:
    tiny, data = {**TINY, "steps": 2}, digits
    if name == "cifar10-dcgan":
        widths = {"generator_widths": [8, 6, 4], "discriminator_widths": [4, 6, 8]}
        tiny, data = {"seed": 0, "steps": 2, "batch_size": 8, "config": widths}, photographs
    discriminators, generators = set(), set()
    for decay in (None, 0.999):
        settings = {**tiny, "ema_decay": decay}
        run = ganzoo.train(name, out=tmp_path / str(decay), data_dir=data, settings=settings)
        discriminators.add((run.path / "discriminator.safetensors").read_bytes())
        generators.add((run.path / "model.safetensors").read_bytes())
    assert len(discriminators) == 1  # the average changes nothing of the training, as the notes say
    assert len(generators) == 2


def test_the_notes_name_a_setting_that_brings_the_published_behaviour_back() -> None:
    """Every `--set key=value` in the notes of a recipe is one that its settings accept."""
    found = 0
    for name in recipes.names():
        if not name.startswith(("mnist", "cifar10", "quadratic")):
            continue
        recipe = recipes.get(name)
        for assignment in re.findall(r"--set ([\w.]+=[^\s)]+)", recipe.notes):
            settings = config.resolve(recipe, [config.assignments_layer([assignment])], seed=0)
            assert settings.recipe != recipe, assignment
            architecture_config(architectures.get(recipe.architecture), settings.recipe.config, name)
            found += 1
    assert found >= 6
