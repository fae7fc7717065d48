from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from ganzoo.registry import recipes
from ganzoo.specs import LatentSpec, SampleSpec
from ganzoo_mlp import MLP, MLPConfig
from ganzoo_mnist import MNIST
from ganzoo_quadratic import QUADRATIC

LATENT = LatentSpec(dim=3)
IMAGE = SampleSpec(kind="image", shape=(1, 4, 5))
LABELLED = SampleSpec(kind="image", shape=(1, 4, 5), classes=("a", "b"))


def linear_sizes(net: nn.Module) -> list[tuple[int, int]]:
    return [(layer.in_features, layer.out_features) for layer in net.modules() if isinstance(layer, nn.Linear)]


@pytest.mark.parametrize(("name", "eps"), [("mnist-mlp", 1e-5), ("mnist-mlp-published", 0.8)])
def test_mnist_mlp_has_the_published_layers(name: str, eps: float) -> None:
    recipe = recipes.get(name)
    unlabelled = dataclasses.replace(MNIST.sample, classes=None)
    config = MLPConfig(**recipe.config)
    generator = MLP.build_generator(config, recipe.latent, unlabelled)
    assert linear_sizes(generator) == [(100, 128), (128, 256), (256, 512), (512, 1024), (1024, 784)]
    kinds = [type(layer).__name__ for layer in generator.layers]  # type: ignore[union-attr]
    assert kinds[:2] == ["Linear", "LeakyReLU"]
    assert kinds[2:5] == ["Linear", "BatchNorm1d", "LeakyReLU"]
    assert kinds[-2:] == ["Linear", "Tanh"]
    assert kinds.count("BatchNorm1d") == 3
    assert all(layer.eps == eps for layer in generator.modules() if isinstance(layer, nn.BatchNorm1d))
    discriminator = MLP.build_discriminator(config, unlabelled)
    assert linear_sizes(discriminator) == [(784, 512), (512, 256), (256, 1)]
    assert [type(layer).__name__ for layer in discriminator.layers][-1] == "Linear"  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["quadratic-mlp", "quadratic-relativistic"])
def test_the_quadratic_recipes_have_the_published_layers(name: str) -> None:
    recipe = recipes.get(name)
    config = MLPConfig(**recipe.config)
    generator = MLP.build_generator(config, recipe.latent, QUADRATIC.sample)
    discriminator = MLP.build_discriminator(config, QUADRATIC.sample)
    assert linear_sizes(generator) == [(5, 128), (128, 15)]
    assert linear_sizes(discriminator) == [(15, 128), (128, 1)]
    assert [type(layer).__name__ for layer in generator.layers] == ["Linear", "ReLU", "Linear"]  # type: ignore[union-attr]


@pytest.mark.parametrize("sample", [IMAGE, LABELLED, QUADRATIC.sample])
def test_shapes_and_ranges(sample: SampleSpec) -> None:
    config = MLPConfig(generator_hidden=(4, 6), discriminator_hidden=(5,), batch_norm=True)
    labels = [torch.tensor([0, 1, 0])] if sample.classes else []
    samples = MLP.build_generator(config, LATENT, sample)(torch.randn(3, 3), *labels)
    assert samples.shape == (3, *sample.shape)
    assert samples.abs().max() <= 1
    assert MLP.build_discriminator(config, sample)(samples, *labels).shape == (3,)


def test_a_label_changes_what_both_nets_say() -> None:
    config = MLPConfig(generator_hidden=(8,), discriminator_hidden=(8,))
    generator, discriminator = MLP.build_generator(config, LATENT, LABELLED), MLP.build_discriminator(config, LABELLED)
    z = torch.randn(1, 3)
    zero, one = torch.tensor([0]), torch.tensor([1])
    assert not torch.equal(generator(z, zero), generator(z, one))
    assert not torch.equal(discriminator(generator(z, zero), zero), discriminator(generator(z, zero), one))


def test_dropout_is_active_in_training_only() -> None:
    config = MLPConfig(generator_hidden=(64,), discriminator_hidden=(64,), generator_dropout=0.5)
    generator = MLP.build_generator(config, LATENT, IMAGE)
    z = torch.randn(2, 3)
    assert not torch.equal(generator(z), generator(z))
    generator.eval()
    assert torch.equal(generator(z), generator(z))


@pytest.mark.slow
@pytest.mark.parametrize("sample", [IMAGE, LABELLED])
def test_a_generator_is_exported_with_a_dynamic_batch(sample: SampleSpec) -> None:
    generator = MLP.build_generator(MLPConfig(generator_hidden=(8,), discriminator_hidden=(8,)), LATENT, sample).eval()
    labels = (torch.tensor([0, 1, 0, 1, 1]),) * (sample.classes is not None)
    batch = torch.export.Dim("batch", min=2)
    shapes = tuple({0: batch} for _ in (0, *labels))
    exported = torch.export.export(generator, (torch.randn(5, 3), *labels), dynamic_shapes=shapes).module()
    inputs = torch.randn(7, 3), *(one.repeat(2)[:7] for one in labels)
    assert torch.equal(exported(*inputs), generator(*inputs))
