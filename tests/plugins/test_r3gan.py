from __future__ import annotations

from math import sqrt
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

import ganzoo
from ganzoo.config import Layer
from ganzoo.errors import SettingsError
from ganzoo.registry import architectures, recipes
from ganzoo.specs import LatentSpec, SampleSpec
from ganzoo.training import Training
from ganzoo.weights.building import num_parameters
from ganzoo.weights.tensors import deserialize
from ganzoo_r3gan import R3GAN, R3GANConfig
from ganzoo_r3gan.networks import BiasedActivation, ContractingBasis, ExpandingBasis, ResidualBlock
from ganzoo_r3gan.resampling import Downsampling, Upsampling

LATENT = LatentSpec(dim=64)
COLOUR = SampleSpec(kind="image", shape=(3, 32, 32))
SMALL = R3GANConfig(widths=(8, 6, 6, 4), cardinalities=(4, 3, 2, 1), blocks_per_stage=1)


def nets(config: R3GANConfig, sample: SampleSpec = COLOUR) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    return R3GAN.build_generator(config, LATENT, sample), R3GAN.build_discriminator(config, sample)


def randomised(net: nn.Module) -> nn.Module:
    """Nets whose last kernels are not zero, so that every layer matters."""
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return net


def test_the_recipe_has_the_parameters_that_its_notes_state() -> None:
    recipe = recipes.get("cifar10-r3gan")
    config = R3GANConfig(**recipe.config)
    generator, discriminator = nets(config)
    blocks = sum(
        # Expanding, grouped and contracting kernel, and the two activations' biases.
        config.blocks_per_stage * (2 * width * 2 * width + 2 * width * (2 * width // groups) * 9 + 2 * 2 * width)
        for width, groups in zip(config.widths, config.cardinalities, strict=True)
    )
    changes, basis, colours = 512 * 256 + 256 * 128, 512 * 4 * 4, 3 * 128
    assert num_parameters(generator) == 64 * 512 + basis + blocks + changes + colours == 5_877_120
    assert num_parameters(discriminator) == colours + blocks + changes + basis + 512 == 5_844_864
    assert "5.88 M parameters in the generator and 5.84 M in the discriminator" in recipe.notes
    assert (recipe.loss, recipe.regularizers) == ("relativistic", {"r1": 0.05, "r2": 0.05})
    for net in (generator, discriminator):
        assert not [module for module in net.modules() if "Norm" in type(module).__name__]


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 32, 128), (3, 40, 24)])
def test_shapes_and_ranges(shape: tuple[int, int, int]) -> None:
    generator, discriminator = nets(SMALL, SampleSpec(kind="image", shape=shape))
    latents = 3 * torch.randn(5, 64)
    images = generator(latents)
    assert images.shape == (5, *shape)
    assert images.abs().max() > 1
    assert torch.equal(generator.eval()(latents), images.clamp(-1, 1))
    assert discriminator(images).shape == (5,)
    assert discriminator(images[:1]).shape == (1,)


@pytest.mark.parametrize("shape", [(3, 28, 28), (1, 32, 36), (15,), (32, 32)])
def test_shapes_that_cannot_be_halved_so_often_are_one_clear_line(shape: tuple[int, ...]) -> None:
    sample = SampleSpec(kind="image" if len(shape) == 3 else "tensor", shape=shape)
    for build in (
        lambda: R3GAN.build_generator(SMALL, LATENT, sample),
        lambda: R3GAN.build_discriminator(SMALL, sample),
    ):
        with pytest.raises(SettingsError, match="height and width divisible by 8") as caught:
            build()
        assert str(list(shape)) in str(caught.value)
        assert "widths and cardinalities" in caught.value.hint


@pytest.mark.parametrize(
    ("cardinalities", "message"),
    [((4, 3), "3 stages needs as many cardinalities, not 2"), ((4, 5, 4), "12 channels .* of width 6 into 5 groups")],
)
def test_groups_that_do_not_fit_are_one_clear_line(cardinalities: tuple[int, ...], message: str) -> None:
    config = R3GANConfig(widths=(8, 6, 4), cardinalities=cardinalities)
    with pytest.raises(SettingsError, match=message):
        R3GAN.build_generator(config, LATENT, COLOUR)
    with pytest.raises(SettingsError, match=message):
        R3GAN.build_discriminator(config, COLOUR)


def test_a_block_begins_as_the_identity_with_weights_that_shrink_with_depth() -> None:
    generator, discriminator = nets(R3GANConfig(widths=(64, 64, 64), cardinalities=(8, 8, 8), blocks_per_stage=3))
    activation_gain = sqrt(2 / (1 + 0.2**2))
    for net in (generator, discriminator):
        blocks = [module for module in net.modules() if isinstance(module, ResidualBlock)]
        assert len(blocks) == 9
        images = torch.randn(1, 64, 4, 4)
        assert torch.equal(blocks[0](images), images)
        for block in blocks:
            expanding, grouped, contracting = (layer for layer in block.residual if isinstance(layer, nn.Conv2d))
            for layer, fan_in in ((expanding, 64), (grouped, 16 * 9)):
                deviation = activation_gain * 9 ** (-1 / 4) / sqrt(fan_in)
                assert float(layer.weight.detach().std()) == pytest.approx(deviation, rel=0.05)
            assert (grouped.groups, grouped.kernel_size) == (8, (3, 3))
            assert not contracting.weight.any()


def test_activations_have_a_bias_for_each_channel() -> None:
    activation = BiasedActivation(2)
    with torch.no_grad():
        activation.bias.copy_(torch.tensor([1.0, -3.0]))
    output = activation(torch.ones(1, 2, 1, 1))
    torch.testing.assert_close(output.flatten(), torch.tensor([2.0, -0.4]))


def test_resolutions_change_by_the_published_filter() -> None:
    torch.manual_seed(0)
    images = torch.randn(2, 3, 4, 6, dtype=torch.float64)
    line = torch.tensor([1.0, 2.0, 1.0], dtype=torch.float64)
    kernel = torch.outer(line, line).expand(3, 1, 3, 3)
    spaced = torch.zeros(2, 3, 8, 12, dtype=torch.float64)
    spaced[:, :, ::2, ::2] = images
    # With zeros between the pixels and before the first, and four times the filter of mean 1.
    torch.testing.assert_close(Upsampling()(images), conv2d(pad(spaced, (2, 0, 2, 0)), kernel / 4, groups=3))
    expected = conv2d(pad(images, (1, 0, 1, 0)), kernel / 16, stride=2, groups=3)
    torch.testing.assert_close(Downsampling()(images), expected)


def test_a_basis_is_one_image_for_each_channel() -> None:
    torch.manual_seed(0)
    features, images = torch.randn(2, 3), torch.randn(2, 3, 4, 5)
    expanding, contracting = ExpandingBasis(3, 4, 5), ContractingBasis(3, 4, 5)
    torch.testing.assert_close(expanding(features)[1, 2], features[1, 2] * expanding.images[2])
    torch.testing.assert_close(contracting(images)[1, 2], (images[1, 2] * contracting.images[2]).sum())


def test_logits_depend_on_no_other_image_and_on_no_memory_format() -> None:
    assert architectures.get("r3gan").batch_independent
    discriminator = randomised(nets(SMALL)[1])
    images = torch.rand(4, 3, 32, 32) * 2 - 1
    together = discriminator(images)
    torch.testing.assert_close(together, torch.cat([discriminator(image[None]) for image in images]))
    discriminator.to(memory_format=torch.channels_last)
    torch.testing.assert_close(discriminator(images.to(memory_format=torch.channels_last)), together)


TINY: dict[str, Any] = {
    "seed": 0,
    "steps": 5,
    "batch_size": 4,
    "config.widths": [8, 6, 4],
    "config.cardinalities": [4, 2, 2],
    "config.blocks_per_stage": 1,
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
    whole = Training.start("cifar10-r3gan", tmp_path / "whole", layers, photographs)
    assert [record.step for record in whole] == [1, 2, 3, 4, 5]
    samples = ganzoo.load(whole.run.path).sample(64, seed=0)
    assert samples.abs().max() <= 1

    stopped = Training.start("cifar10-r3gan", tmp_path / "stopped", layers, photographs)
    for record in stopped:
        if record.step == 3:
            break
    assert stopped.run.checkpoints.steps() == [2]
    resumed = Training.resume(stopped.run.path)
    list(resumed)
    expected, found = checkpoint(whole), checkpoint(resumed)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_labels_are_refused_in_one_line(photographs: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="'r3gan' does not take labels"):
        ganzoo.train(
            "cifar10-r3gan", out=tmp_path / "run", data_dir=photographs, settings={"conditional": True, "device": "cpu"}
        )
