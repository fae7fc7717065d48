from __future__ import annotations

import copy
from math import sqrt
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, interpolate
from torch.nn.utils import parametrizations

import ganzoo
from ganzoo.building import num_parameters
from ganzoo.config import Layer
from ganzoo.errors import SettingsError
from ganzoo.registry import architectures, recipes
from ganzoo.specs import LatentSpec, SampleSpec
from ganzoo.tensors import deserialize, serialize
from ganzoo.training import Training
from ganzoo_resnet import RESNET, ResNetConfig
from ganzoo_resnet.convolutions import DoublingConv2d, conv2d_halved
from ganzoo_resnet.spectral import SpectralConv2d, SpectralLinear, normalized_weight

LATENT = LatentSpec(dim=128)
COLOUR = SampleSpec(kind="image", shape=(3, 32, 32))
SMALL = ResNetConfig(generator_widths=(8, 6, 4, 4), discriminator_widths=(4, 6, 6))


def nets(config: ResNetConfig, sample: SampleSpec = COLOUR) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    return RESNET.build_generator(config, LATENT, sample), RESNET.build_discriminator(config, sample)


def spectral_layers(net: nn.Module) -> list[SpectralConv2d | SpectralLinear]:
    return [layer for layer in net.modules() if isinstance(layer, SpectralConv2d | SpectralLinear)]


def test_the_recipe_is_the_published_one() -> None:
    recipe = recipes.get("cifar10-sngan")
    generator, discriminator = nets(ResNetConfig(**recipe.config))

    def convolution(before: int, after: int, side: int) -> int:
        return before * after * side**2 + after

    block = 2 * convolution(256, 256, 3) + convolution(256, 256, 1) + 2 * 2 * 256
    whole = convolution(128, 4 * 4 * 256, 1) + 3 * block + 2 * 256 + convolution(256, 3, 3)
    assert num_parameters(generator) == whole == 4_276_739

    first = convolution(3, 128, 3) + convolution(128, 128, 3) + convolution(3, 128, 1)
    others = 6 * convolution(128, 128, 3) + convolution(128, 128, 1)
    assert num_parameters(discriminator) == first + others + convolution(128, 1, 1) == 1_053_825

    assert (recipe.loss, recipe.discriminator_steps, recipe.batch_size, recipe.steps) == ("hinge", 5, 64, 100_000)
    for adam in (recipe.optimizers.generator, recipe.optimizers.discriminator):
        assert (adam.learning_rate, adam.betas, adam.decay) == (2e-4, (0.0, 0.9), "linear")


def test_images_pass_the_resolutions_of_the_paper() -> None:
    generator, discriminator = nets(SMALL)
    shapes: list[tuple[int, ...]] = []
    for block in [*generator.blocks, *discriminator.blocks]:  # type: ignore[union-attr, misc]
        block.register_forward_hook(lambda _, inputs, output: shapes.append(tuple(output.shape[1:])))
    discriminator(generator(torch.randn(2, 128)))
    assert shapes == [(6, 8, 8), (4, 16, 16), (4, 32, 32), (4, 16, 16), (6, 8, 8), (6, 8, 8)]


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 32, 128), (3, 40, 24)])
def test_shapes_and_ranges(shape: tuple[int, int, int]) -> None:
    generator, discriminator = nets(SMALL, SampleSpec(kind="image", shape=shape))
    images = generator(10 * torch.randn(5, 128))
    assert images.shape == (5, *shape)
    assert 0.9 < images.abs().max() <= 1
    assert discriminator(images).shape == (5,)
    assert discriminator(images[:1]).shape == (1,)


@pytest.mark.parametrize("shape", [(3, 28, 28), (1, 32, 36), (15,), (32, 32)])
def test_shapes_that_cannot_be_halved_so_often_are_one_clear_line(shape: tuple[int, ...]) -> None:
    sample = SampleSpec(kind="image", shape=shape)
    config = ResNetConfig(generator_widths=(8, 6, 4, 4), discriminator_widths=(4, 6, 6), discriminator_halvings=3)
    with pytest.raises(SettingsError, match="height and width divisible by 8") as generators:
        RESNET.build_generator(config, LATENT, sample)
    with pytest.raises(SettingsError, match="height and width divisible by 8") as discriminators:
        RESNET.build_discriminator(config, sample)
    for caught in (generators, discriminators):
        assert str(list(shape)) in str(caught.value)
        assert "generator_widths and discriminator_halvings" in caught.value.hint


def test_more_halvings_than_blocks_are_one_clear_line() -> None:
    config = ResNetConfig(discriminator_widths=(4, 6), discriminator_halvings=3)
    with pytest.raises(SettingsError, match="of 2 blocks cannot halve the image 3 times"):
        RESNET.build_discriminator(config, COLOUR)


def test_a_convolution_at_the_coarse_resolution_is_the_one_beside_a_resampling() -> None:
    torch.manual_seed(0)
    images = torch.randn(2, 5, 6, 4, dtype=torch.float64)
    doubling = DoublingConv2d(5, 3).double()
    expected = conv2d(interpolate(images, scale_factor=2.0), doubling.weight, doubling.bias, padding=1)
    torch.testing.assert_close(doubling(images), expected)
    weight, bias = torch.randn(3, 5, 3, 3, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    expected = avg_pool2d(conv2d(images, weight, bias, padding=1), 2)
    torch.testing.assert_close(conv2d_halved(images, weight, bias), expected)


def test_initial_weights_are_xaviers_and_larger_where_a_relu_follows() -> None:
    wide = ResNetConfig(generator_widths=(64, 64), discriminator_widths=(64, 64, 64))
    for net in nets(wide):
        for name, layer in net.named_modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                area = layer.weight[0, 0].numel()
                deviation = sqrt(2 / (area * (layer.weight.shape[0] + layer.weight.shape[1])))
                gain = sqrt(2) if "residual" in name else 1
                assert float(layer.weight.detach().std()) == pytest.approx(gain * deviation, rel=0.2), name
                assert layer.bias is not None
                assert not layer.bias.any()


def largest_singular_value(weight: Tensor) -> float:
    return float(torch.linalg.matrix_norm(weight.detach().flatten(1), 2))


def test_after_some_passes_no_layer_of_the_discriminator_stretches() -> None:
    _, discriminator = nets(ResNetConfig(discriminator_widths=(32, 32, 32, 32)))
    assert len(spectral_layers(discriminator)) == 11
    assert not [layer for layer in discriminator.modules() if type(layer) in (nn.Conv2d, nn.Linear)]
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        for layer in spectral_layers(discriminator):
            layer.weight *= 3
        for _ in range(50):
            discriminator(images)
        discriminator.eval()
        for layer in spectral_layers(discriminator):
            assert largest_singular_value(layer.weight) > 1.5
            assert largest_singular_value(normalized_weight(layer)) == pytest.approx(1, abs=0.03)


def test_the_direction_moves_while_training_only() -> None:
    layer = SpectralLinear(7, 5)
    start = layer.u.clone()
    layer.eval()(torch.randn(1, 7))
    assert torch.equal(layer.u, start)
    layer.train()(torch.randn(1, 7))
    assert not torch.equal(layer.u, start)
    assert float(layer.u.norm()) == pytest.approx(1)


def test_weights_and_their_gradients_are_those_of_pytorchs_normalisation() -> None:
    torch.manual_seed(0)
    ours = SpectralConv2d(4, 6, 3).double()
    theirs = nn.Conv2d(4, 6, 3, padding=1).double()
    theirs.load_state_dict({"weight": ours.weight, "bias": ours.bias})
    parametrizations.spectral_norm(theirs, n_power_iterations=500)
    images, factors = torch.randn(2, 4, 5, 5, dtype=torch.float64), torch.randn(2, 6, 5, 5, dtype=torch.float64)
    with torch.no_grad():
        for _ in range(500):
            ours(images)
    expected, output = theirs(images), ours(images)
    torch.testing.assert_close(output, expected)
    (expected * factors).sum().backward()
    (output * factors).sum().backward()
    original = theirs.parametrizations.weight.original  # type: ignore[union-attr, index]
    torch.testing.assert_close(ours.weight.grad, original.grad)


def test_two_passes_before_one_backward_pass() -> None:
    _, discriminator = nets(SMALL)
    images = torch.rand(2, 3, 32, 32)
    (discriminator(images).mean() + discriminator(-images).mean()).backward()
    assert all(parameter.grad is not None for parameter in discriminator.parameters())


def test_the_norm_is_not_rounded_by_autocast() -> None:
    layer = SpectralConv2d(16, 16, 3).eval()
    expected = normalized_weight(layer)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(normalized_weight(layer), expected)
        assert layer(torch.randn(1, 16, 4, 4)).dtype == torch.bfloat16


def test_each_image_is_judged_by_itself_wherever_its_channels_lie() -> None:
    assert architectures.get("resnet").batch_independent
    _, discriminator = nets(SMALL)
    discriminator.eval()
    images = torch.rand(4, 3, 32, 32) * 2 - 1
    together = discriminator(images)
    torch.testing.assert_close(together, torch.cat([discriminator(image[None]) for image in images]))
    discriminator.to(memory_format=torch.channels_last)
    torch.testing.assert_close(discriminator(images.to(memory_format=torch.channels_last)), together)


def test_a_discriminator_survives_copies_and_files() -> None:
    _, discriminator = nets(SMALL)
    images = torch.rand(2, 3, 32, 32)
    discriminator(images)
    twin = copy.deepcopy(discriminator)
    content = serialize(discriminator.state_dict(), {})
    reread = RESNET.build_discriminator(SMALL, COLOUR)
    reread.load_state_dict(deserialize(content, "")[0])
    expected = discriminator(images)
    assert torch.equal(twin(images), expected)
    assert torch.equal(reread(images), expected)
    assert sum(name.endswith(".u") for name in discriminator.state_dict()) == 9


TINY: dict[str, Any] = {
    "seed": 0,
    "steps": 5,
    "batch_size": 4,
    "config.generator_widths": [8, 6, 4],
    "config.discriminator_widths": [4, 6],
    "log_every": 1,
    "sample_every": 5,
    "checkpoint_every": 2,
}


def checkpoint(job: Training) -> dict[str, Tensor]:
    tensors, _ = deserialize(job.run.checkpoints.path(5).read_bytes(), "")
    return {name: tensor for name, tensor in tensors.items() if not name.endswith("seconds")}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_run_left_in_the_middle_and_resumed_gives_the_same_bytes(
    precision: str, photographs: Path, tmp_path: Path
) -> None:
    layers = [Layer("test", {**TINY, "precision": precision})]
    whole = Training.start("cifar10-sngan", tmp_path / "whole", layers, photographs)
    records = list(whole)
    assert [record.step for record in records] == [1, 2, 3, 4, 5]
    assert ganzoo.load(whole.run.path).sample(3, seed=0).shape == (3, 3, 32, 32)

    stopped = Training.start("cifar10-sngan", tmp_path / "stopped", layers, photographs)
    for record in stopped:
        if record.step == 3:
            break
    assert stopped.run.checkpoints.steps() == [2]
    resumed = Training.resume(stopped.run.path)
    list(resumed)
    expected, found = checkpoint(whole), checkpoint(resumed)
    assert expected.keys() == found.keys()
    assert sum(name.startswith("discriminator/") and name.endswith(".u") for name in expected) == 7
    assert all(torch.equal(expected[name], found[name]) for name in expected)
