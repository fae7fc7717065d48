from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from ganzoo.errors import SettingsError
from ganzoo.registry import recipes
from ganzoo.specs import LatentSpec, SampleSpec, TextSpec
from ganzoo.weights.building import num_parameters
from ganzoo_dcgan import DCGAN, DCGANConfig
from ganzoo_dcgan.networks import ConditionalNorm, Projection, Readout
from tests.conftest import Ganzoo, assert_two_lines

LATENT = LatentSpec(dim=100)
COLOUR = SampleSpec(kind="image", shape=(3, 32, 32))
WORD = SampleSpec(kind="image", shape=(1, 32, 128))
NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
SMALL = DCGANConfig(generator_widths=(8, 6, 4), discriminator_widths=(4, 6, 8))


def nets(config: DCGANConfig, sample: SampleSpec = COLOUR) -> tuple[nn.Module, nn.Module]:
    return DCGAN.build_generator(config, LATENT, sample), DCGAN.build_discriminator(config, sample)


def described(net: nn.Module) -> list[str]:
    """A line for each layer: what issue and paper say of it, and nothing else."""
    lines = []
    for layer in net.layers:  # type: ignore[union-attr]
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            kind = "Conv2d" if isinstance(layer, nn.Conv2d) else "ConvTranspose2d"
            line = f"{kind} {layer.in_channels}-{layer.out_channels} k{layer.kernel_size[0]}"
            line += f" s{layer.stride[0]} p{layer.padding[0]}"
            line += f" o{layer.output_padding[0]}" if isinstance(layer, nn.ConvTranspose2d) else ""
        else:
            line = type(layer).__name__
        lines.append(line)
    return lines


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_the_outermost_layers_are_the_convolutions_that_they_are_called(memory_format: torch.memory_format) -> None:
    projection = Projection(7, 5, (4, 16), bias=False).to(memory_format=memory_format)
    latents = torch.randn(3, 7)
    expected = nn.functional.conv_transpose2d(latents[:, :, None, None], projection.weight)
    assert torch.allclose(projection(latents), expected, atol=1e-6)
    readout = Readout(5, 1, (4, 16)).to(memory_format=memory_format)
    images = torch.randn(3, 5, 4, 16).to(memory_format=memory_format)
    expected = nn.functional.conv2d(images, readout.weight, readout.bias).flatten(1)
    assert torch.allclose(readout(images), expected, atol=1e-6)


@pytest.mark.parametrize("name", ["cifar10-dcgan", "cifar10-wgan", "cifar10-wgan-gp"])
def test_the_nets_have_the_published_layers(name: str) -> None:
    recipe = recipes.get(name)
    config = DCGANConfig(**recipe.config)
    assert (recipe.architecture, recipe.latent) == ("dcgan", LATENT)
    generator, discriminator = nets(config)
    assert described(generator) == [
        *("ConvTranspose2d 100-512 k4 s1 p0 o0", "BatchNorm2d", "ReLU"),
        *("ConvTranspose2d 512-256 k3 s2 p1 o1", "BatchNorm2d", "ReLU"),
        *("ConvTranspose2d 256-128 k3 s2 p1 o1", "BatchNorm2d", "ReLU"),
        *("ConvTranspose2d 128-3 k3 s2 p1 o1", "Tanh"),
    ]
    norm = [] if name == "cifar10-wgan-gp" else ["BatchNorm2d"]
    assert described(discriminator) == [
        *("Conv2d 3-64 k4 s2 p1", "LeakyReLU"),
        *("Conv2d 64-128 k4 s2 p1", *norm, "LeakyReLU"),
        *("Conv2d 128-256 k4 s2 p1", *norm, "LeakyReLU"),
        "Conv2d 256-1 k4 s1 p0",
    ]
    slopes = {layer.negative_slope for layer in discriminator.modules() if isinstance(layer, nn.LeakyReLU)}
    assert slopes == {0.2}
    # Kernels, and a scale and a shift for each normalised channel, or a bias where nothing normalises.
    kernels = 100 * 512 * 16 + 512 * 256 * 9 + 256 * 128 * 9 + 128 * 3 * 9
    assert num_parameters(generator) == kernels + 2 * (512 + 256 + 128) + 3 == 2_299_011
    kernels = 3 * 64 * 16 + 64 * 128 * 16 + 128 * 256 * 16 + 256 * 16
    shifts = (64 + 128 + 256 if name == "cifar10-wgan-gp" else 64 + 2 * (128 + 256)) + 1
    assert num_parameters(discriminator) == kernels + shifts


@pytest.mark.parametrize("sample", [COLOUR, WORD], ids=["3x32x32", "1x32x128"])
def test_shapes_and_ranges(sample: SampleSpec) -> None:
    generator, discriminator = nets(SMALL, sample)
    images = generator(torch.randn(5, 100))
    assert images.shape == (5, *sample.shape)
    assert images.abs().max() <= 1
    assert discriminator(images).shape == (5,)
    assert discriminator(images[:1]).shape == (1,)


def outputs(**config: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Images and logits of nets with large weights, so that a last activation shows."""
    torch.manual_seed(0)
    generator, discriminator = nets(dataclasses.replace(SMALL, weight_std=2.0, **config))
    images = generator(torch.randn(16, 100))
    return images.detach(), discriminator(images).detach()


def test_images_reach_both_ends_and_logits_are_not_squashed() -> None:
    images, logits = outputs()
    assert images.min() < -0.9
    assert images.max() > 0.9
    assert logits.min() < 0
    assert logits.max() > 1


def test_the_published_sigmoids_are_a_setting() -> None:
    images, logits = outputs(output="sigmoid", discriminator_output="sigmoid")
    for values in (images, logits):
        assert 0 <= values.min() < 0.1
        assert 0.9 < values.max() <= 1


def test_the_published_biases_before_batch_norm_are_a_setting() -> None:
    recipe = recipes.get("cifar10-dcgan")
    _, discriminator = nets(DCGANConfig(**recipe.config, discriminator_bias=True))
    assert num_parameters(discriminator) == 663_745  # 384 more: one for each of 128 + 256 normalised channels
    _, discriminator = nets(dataclasses.replace(SMALL, discriminator_bias=True))
    images = torch.randn(4, *COLOUR.shape)
    before = discriminator(images).detach()
    nn.init.constant_(discriminator.layers[2].bias, 3.0)  # type: ignore[index, union-attr]
    assert torch.allclose(discriminator(images), before, atol=1e-4)  # batch normalisation cancels it


def test_initial_kernels_have_the_papers_deviation() -> None:
    torch.manual_seed(0)
    for net in nets(DCGANConfig()):
        kernels = [layer.weight for layer in net.modules() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]
        assert len(kernels) == 4
        for kernel in kernels:
            assert float(kernel.detach().mean()) == pytest.approx(0, abs=1e-3)
            assert float(kernel.detach().std()) == pytest.approx(0.02, rel=0.05)


def test_without_a_deviation_kernels_begin_as_pytorchs() -> None:
    torch.manual_seed(0)
    theirs = nn.ConvTranspose2d(100, 8, 4, bias=False)
    torch.manual_seed(0)
    generator = DCGAN.build_generator(dataclasses.replace(SMALL, weight_std=None), LATENT, COLOUR)
    assert torch.equal(generator.layers[0].weight, theirs.weight)  # type: ignore[index, union-attr]


@pytest.mark.parametrize(("norm", "alone"), [("none", True), ("batch", False)])
def test_only_without_norm_does_a_logit_depend_on_its_own_image_alone(norm: str, alone: bool) -> None:
    torch.manual_seed(0)
    discriminator = DCGAN.build_discriminator(
        dataclasses.replace(SMALL, discriminator_norm=norm, weight_std=0.5),  # type: ignore[arg-type]
        COLOUR,
    )
    images = torch.rand(4, 3, 32, 32) * 2 - 1
    together = discriminator(images)
    apart = torch.cat([discriminator(image[None]) for image in images])
    assert torch.allclose(together, apart, rtol=1e-4) == alone


@pytest.mark.parametrize("shape", [(3, 28, 28), (1, 32, 36), (3, 4, 4), (15,), (32, 32)])
def test_shapes_that_cannot_be_halved_so_often_are_one_clear_line(shape: tuple[int, ...]) -> None:
    sample = SampleSpec(kind="image" if len(shape) == 3 else "tensor", shape=shape)
    with pytest.raises(SettingsError, match="height and width divisible by 8") as generators:
        DCGAN.build_generator(SMALL, LATENT, sample)
    with pytest.raises(SettingsError, match="height and width divisible by 8") as discriminators:
        DCGAN.build_discriminator(SMALL, sample)
    for caught in (generators, discriminators):
        assert str(list(shape)) in str(caught.value)
        assert "widths" in caught.value.hint


def test_digits_of_28_pixels_take_two_layers_that_halve() -> None:
    config = DCGANConfig(generator_widths=(8, 4), discriminator_widths=(4, 8))
    generator, discriminator = nets(config, SampleSpec(kind="image", shape=(1, 28, 28)))
    images = generator(torch.randn(2, 100))
    assert images.shape == (2, 1, 28, 28)
    assert discriminator(images).shape == (2,)


def test_an_unfitting_dataset_is_two_lines_on_the_command_line_and_leaves_no_folder(
    ganzoo: Ganzoo, digits: Path, tmp_path: Path
) -> None:
    setting = ["--set", "architecture=dcgan", "--set", "config={}"]
    result = ganzoo("train", "mnist-mlp", "--data-dir", digits, "--out", tmp_path / "run", *setting)
    assert_two_lines(result, 2, "divisible by 8, not [1, 28, 28]", "--size", "generator_widths")
    assert not (tmp_path / "run").exists()


CLASSES = dataclasses.replace(COLOUR, classes=("cat", "dog", "frog"))


def test_without_labels_and_hidden_layers_the_initial_weights_are_what_they_always_were() -> None:
    torch.manual_seed(0)
    generator, discriminator = nets(SMALL)
    sums = [
        sum(float(tensor.double().abs().sum()) for tensor in net.state_dict().values())
        for net in (generator, discriminator)
    ]
    assert sums == pytest.approx([254.42439006242478, 51.535314493856276], rel=1e-12)
    assert list(generator.state_dict()) == [
        *("layers.0.weight", *(f"layers.1.{name}" for name in NORM)),
        *("layers.3.weight", *(f"layers.4.{name}" for name in NORM)),
        *("layers.6.weight", *(f"layers.7.{name}" for name in NORM)),
        *("layers.9.weight", "layers.9.bias"),
    ]


def test_hidden_layers_come_before_the_first_image() -> None:
    config = dataclasses.replace(SMALL, generator_hidden=(20, 12))
    generator = DCGAN.build_generator(config, LATENT, COLOUR)
    names = [type(layer).__name__ for layer in generator.layers]  # type: ignore[union-attr]
    assert names[:7] == ["Linear", "BatchNorm1d", "ReLU", "Linear", "BatchNorm1d", "ReLU", "Projection"]
    plain = num_parameters(DCGAN.build_generator(SMALL, LATENT, COLOUR))
    assert num_parameters(generator) == plain + 100 * 20 + 2 * 20 + 20 * 12 + 2 * 12 + (12 - 100) * 8 * 16
    assert generator(torch.randn(5, 100)).shape == (5, 3, 32, 32)


def test_hidden_layers_of_the_discriminator_come_before_the_logit() -> None:
    config = dataclasses.replace(SMALL, discriminator_hidden=(20, 12), discriminator_norm="none")
    discriminator = DCGAN.build_discriminator(config, COLOUR)
    names = [type(layer).__name__ for layer in discriminator.layers]  # type: ignore[union-attr]
    assert names[-5:] == ["Readout", "LeakyReLU", "Linear", "LeakyReLU", "Linear"]
    plain = num_parameters(DCGAN.build_discriminator(dataclasses.replace(config, discriminator_hidden=()), COLOUR))
    assert num_parameters(discriminator) == plain + (20 - 1) * (8 * 16 + 1) + 20 * 12 + 12 + 12 + 1
    assert discriminator(torch.randn(5, 3, 32, 32)).shape == (5,)


def test_with_labels_each_class_has_its_own_scale_shift_and_readout() -> None:
    torch.manual_seed(0)
    config = dataclasses.replace(SMALL, generator_hidden=(20,), discriminator_norm="none")
    generator, discriminator = nets(config, CLASSES)
    plain = [num_parameters(net) for net in nets(config)]
    # Instead of one scale and shift for each normalised channel there are three; beside one readout there are three.
    assert num_parameters(generator) == plain[0] + 2 * (3 - 1) * (20 + 8 + 6 + 4)
    assert num_parameters(discriminator) == plain[1] + 3 * (8 * 4 * 4 + 1)

    for norm in (layer for layer in generator.modules() if isinstance(layer, ConditionalNorm)):
        nn.init.normal_(norm.scale.weight)
    latents, labels = torch.randn(4, 100), torch.tensor([0, 1, 2, 1])
    images = generator.eval()(latents, labels)
    assert images.shape == (4, 3, 32, 32)
    others = generator(latents, torch.tensor([0, 2, 2, 1]))
    same = [torch.equal(image, other) for image, other in zip(images, others, strict=True)]
    assert same == [True, False, True, True]

    logits = discriminator(images, labels)
    assert logits.shape == (4,)
    readouts = discriminator.layers(images)  # type: ignore[operator]
    assert torch.allclose(logits[1], readouts[1, 0] + readouts[1, 2])


def test_labels_make_no_image_depend_on_the_others_of_its_batch() -> None:
    torch.manual_seed(0)
    generator, _ = nets(SMALL, CLASSES)
    latents, labels = torch.randn(4, 100), torch.tensor([0, 1, 2, 1])
    together = generator.eval()(latents, labels)
    apart = torch.cat([generator(latents[index, None], labels[index, None]) for index in range(4)])
    assert torch.allclose(together, apart, atol=1e-6)


TEXTS = dataclasses.replace(COLOUR, text=TextSpec(alphabet="abc", max_length=4, examples=("ab",)))


def test_texts_reach_both_nets_and_make_no_image_depend_on_the_others_of_its_batch() -> None:
    torch.manual_seed(0)
    assert TEXTS.text is not None
    generator, discriminator = nets(dataclasses.replace(SMALL, discriminator_norm="none"), TEXTS)
    texts = torch.tensor([TEXTS.text.encode(text) for text in ("ab", "ba", "c", "ba")])
    latents = torch.randn(4, 100)
    images, logits = generator.eval()(latents, texts), discriminator(torch.randn(4, 3, 32, 32), texts)
    assert (images.shape, logits.shape) == ((4, 3, 32, 32), (4,))
    alone = torch.cat([generator(latents[index, None], texts[index, None]) for index in range(4)])
    assert torch.allclose(images, alone, atol=1e-6)
    # The order of letters counts.
    assert not torch.allclose(generator(latents[:1], texts[:1]), generator(latents[:1], texts[1:2]), atol=1e-5)
    image = torch.randn(1, 3, 32, 32)
    assert not torch.allclose(discriminator(image, texts[:1]), discriminator(image, texts[1:2]), atol=1e-6)
