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
from ganzoo.config import Layer
from ganzoo.errors import SettingsError
from ganzoo.registry import architectures, recipes
from ganzoo.specs import Adam, LatentSpec, SampleSpec, Schedule
from ganzoo.training import Training
from ganzoo.weights.building import num_parameters
from ganzoo.weights.tensors import deserialize, serialize
from ganzoo_resnet import RESNET, ResNetConfig
from ganzoo_resnet.convolutions import DoublingConv2d, HalvingConv2d
from ganzoo_resnet.networks import Block, ConditionalNorm, FirstBlock, Projection
from ganzoo_resnet.spectral import SpectralNorm

LATENT = LatentSpec(dim=128)
COLOUR = SampleSpec(kind="image", shape=(3, 32, 32))
SMALL = ResNetConfig(generator_widths=(8, 6, 4, 4), discriminator_widths=(4, 6, 6))


def nets(config: ResNetConfig, sample: SampleSpec = COLOUR) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    return RESNET.build_generator(config, LATENT, sample), RESNET.build_discriminator(config, sample)


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
        assert adam == Adam(learning_rate=Schedule(kind="linear", start=2e-4, end=0.0), betas=(0.0, 0.9))


def test_images_pass_the_resolutions_of_the_paper() -> None:
    generator, discriminator = nets(SMALL)
    shapes: list[tuple[int, ...]] = []
    blocks = [layer for layer in discriminator.modules() if isinstance(layer, Block | FirstBlock)]
    for block in [*generator.blocks, *blocks]:  # type: ignore[union-attr, misc]
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
    sample = SampleSpec(kind="image" if len(shape) == 3 else "tensor", shape=shape)
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
    halving = HalvingConv2d(5, 3).double()
    expected = avg_pool2d(conv2d(images, halving.weight, halving.bias, padding=1), 2)
    torch.testing.assert_close(halving(images), expected)


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


def seen_weights(discriminator: nn.Module, images: Tensor) -> list[Tensor]:
    """Run it, and return the weights that its layers work with."""
    seen: list[Tensor] = []
    layers = [layer for layer in discriminator.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    handles = [layer.register_forward_hook(lambda layer, *_: seen.append(layer.weight)) for layer in layers]
    discriminator(images)
    for handle in handles:
        handle.remove()
    return seen


def test_after_some_passes_no_layer_of_the_discriminator_stretches() -> None:
    _, discriminator = nets(ResNetConfig(discriminator_widths=(32, 24, 32, 32)))
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    weights = [parameter for parameter in discriminator.parameters() if parameter.dim() > 1]
    with torch.no_grad():
        for weight in weights:
            weight *= 3
        for _ in range(50):
            discriminator(images)
        seen = seen_weights(discriminator.eval(), images)
    assert len(seen) == len(weights) == 12
    assert min(map(largest_singular_value, weights)) > 1.5
    for weight in seen:
        assert largest_singular_value(weight) == pytest.approx(1, abs=0.03)


def test_the_directions_move_while_training_only() -> None:
    weights = [torch.randn(5, 7), torch.randn(4, 3, 2, 2)]
    norm = SpectralNorm(weights)
    start = norm.u.clone()
    norm.eval()(weights)
    assert torch.equal(norm.u, start)
    norm.train()(weights)
    assert not torch.equal(norm.u, start)
    torch.testing.assert_close(norm.u.norm(dim=1), torch.ones(2))
    assert norm.u[1, 4] == 0


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=["first", "last"])
def test_weights_and_their_gradients_are_those_of_pytorchs_normalisation(memory_format: torch.memory_format) -> None:
    torch.manual_seed(0)
    layers = [nn.Conv2d(4, 6, 3), nn.Linear(5, 1), nn.Conv2d(3, 7, 1), nn.Conv2d(6, 6, 3)]
    for layer in layers:
        layer.to(dtype=torch.float64, memory_format=memory_format)
    weights = [layer.weight.detach().clone().requires_grad_() for layer in layers]
    norm = SpectralNorm(weights).double()
    for _ in range(500):
        ours = norm(weights)
    for layer, weight, normalized in zip(layers, weights, ours, strict=True):
        parametrizations.spectral_norm(layer, n_power_iterations=500)
        theirs = layer.weight
        torch.testing.assert_close(normalized, theirs)
        factors = torch.randn_like(theirs)
        expected = torch.autograd.grad((theirs * factors).sum(), layer.parametrizations.weight.original)  # type: ignore[union-attr, index]
        torch.testing.assert_close(
            torch.autograd.grad((normalized * factors).sum(), weight, retain_graph=True), expected
        )


def test_two_passes_before_one_backward_pass() -> None:
    _, discriminator = nets(SMALL)
    images = torch.rand(2, 3, 32, 32)
    (discriminator(images).mean() + discriminator(-images).mean()).backward()
    assert all(parameter.grad is not None for parameter in discriminator.parameters())


def test_the_norm_is_not_rounded_by_autocast() -> None:
    weights = [torch.randn(5, 7), torch.randn(4, 3, 2, 2)]
    norm = SpectralNorm(weights).eval()
    expected = norm(weights)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert all(map(torch.equal, norm(weights), expected))


def test_a_logit_depends_on_its_own_image_alone_in_any_memory_format() -> None:
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
    discriminator(images)  # moves the directions
    twin = copy.deepcopy(discriminator)
    content = serialize(discriminator.state_dict(), {})
    reread = RESNET.build_discriminator(SMALL, COLOUR)
    reread.load_state_dict(deserialize(content, "")[0])
    expected = discriminator(images)
    assert torch.equal(twin(images), expected)
    assert torch.equal(reread(images), expected)
    assert discriminator.state_dict()["norm.u"].any()


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


@pytest.mark.slow
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
    assert "discriminator/norm.u" in expected
    assert all(torch.equal(expected[name], found[name]) for name in expected)


CLASSES = SampleSpec(kind="image", shape=(3, 32, 32), classes=("cat", "dog", "frog"))


def test_with_labels_each_class_has_its_own_scale_shift_and_projection() -> None:
    generator, discriminator = nets(SMALL, CLASSES)
    plain = [num_parameters(net) for net in nets(SMALL)]
    # Two normalisations in each block, before its convolutions, have three scales and shifts instead of one.
    assert num_parameters(generator) == plain[0] + 2 * (3 - 1) * (8 + 6 + 6 + 4 + 4 + 4)
    assert num_parameters(discriminator) == plain[1] + 3 * 6

    for norm in (layer for layer in generator.modules() if isinstance(layer, ConditionalNorm)):
        nn.init.normal_(norm.scale.weight)
    generator, discriminator = generator.eval(), discriminator.eval()
    latents, labels = torch.randn(4, 128), torch.tensor([0, 1, 2, 1])
    images = generator(latents, labels)
    others = generator(latents, torch.tensor([0, 2, 2, 1]))
    same = [torch.equal(image, other) for image, other in zip(images, others, strict=True)]
    assert same == [True, False, True, True]

    # f(x, y) = y^T V phi(x) + psi(phi(x)), with V and psi each normalised by itself; psi has a bias of zero here.
    seen: list[Tensor] = []
    projection = next(layer for layer in discriminator.modules() if isinstance(layer, Projection))
    projection.register_forward_pre_hook(
        lambda layer, inputs: seen.extend([*inputs, layer.embedding.weight, layer.weight])
    )
    logits = discriminator(images, labels)
    phi, embeddings, psi = seen
    assert logits.shape == (4,)
    torch.testing.assert_close(logits, (phi * (embeddings[labels] + psi)).sum(1))
    assert not torch.allclose(logits, discriminator(images, torch.tensor([1, 2, 0, 0])))


def test_the_projection_is_spectrally_normalised_like_any_other_layer() -> None:
    _, discriminator = nets(SMALL, CLASSES)
    projection = next(layer for layer in discriminator.modules() if isinstance(layer, Projection))
    images, labels = torch.rand(2, 3, 32, 32), torch.tensor([0, 2])
    seen: list[Tensor] = []
    projection.register_forward_hook(lambda layer, *_: seen.append(layer.embedding.weight.detach()))
    with torch.no_grad():
        projection.embedding.weight *= 5
        for _ in range(50):
            discriminator(images, labels)
    assert largest_singular_value(seen[-1]) == pytest.approx(1, abs=0.01)


def test_without_labels_the_names_of_the_tensors_are_what_they_always_were() -> None:
    generator, discriminator = nets(SMALL)
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    assert list(generator.state_dict())[:10] == [
        *("project.weight", "project.bias", *(f"blocks.0.residual.0.{name}" for name in norm)),
        *("blocks.0.residual.2.weight", "blocks.0.residual.2.bias", "blocks.0.residual.3.weight"),
    ]
    assert list(discriminator.state_dict())[-3:] == ["layers.5.weight", "layers.5.bias", "norm.u"]


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["cifar10-sngan", "cifar10-dcgan"])
def test_a_class_conditional_run_is_resumed_to_the_same_bytes_and_sampled_by_class(
    recipe: str, photographs: Path, tmp_path: Path
) -> None:
    tiny = {**TINY, "conditional": True, "device": "cpu", "optimizers.generator.learning_rate": 0.05}
    if recipe == "cifar10-dcgan":
        tiny |= {"config.generator_widths": [8, 6, 4], "config.discriminator_widths": [4, 6, 8]}
    layers = [Layer("test", tiny)]
    whole = Training.start(recipe, tmp_path / "whole", layers, photographs)
    list(whole)
    stopped = Training.start(recipe, tmp_path / "stopped", layers, photographs)
    for record in stopped:
        if record.step == 3:
            break
    resumed = Training.resume(stopped.run.path)
    list(resumed)
    expected, found = checkpoint(whole), checkpoint(resumed)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)

    gan = ganzoo.load(whole.run.path)
    assert gan.config.sample.classes is not None
    assert len(gan.config.sample.classes) == 10
    assert not torch.allclose(gan.sample(4, seed=0, labels=0), gan.sample(4, seed=0, labels=1), atol=1e-3)
