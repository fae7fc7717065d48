from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, interpolate
from torch.nn.utils.parametrizations import spectral_norm

import ganzoo
from ganzoo.config import Layer
from ganzoo.errors import SettingsError
from ganzoo.registry import regularizers
from ganzoo.specs import Discriminators, LatentSpec, RegularizerInputs, SampleSpec
from ganzoo.spectral import SpectralConv2d
from ganzoo.training import Training
from ganzoo.weights.tensors import deserialize
from ganzoo_fastgan import FASTGAN, FastGANConfig
from ganzoo_fastgan.networks import Discriminator, DoublingConv2d, Excitation, Generator, quarter
from ganzoo_fastgan.reconstruction import laplacian_distance

LATENT = LatentSpec(dim=8)
COLOUR = SampleSpec(kind="image", shape=(3, 64, 64))
SMALL = FastGANConfig(generator_widths=(8, 8, 4, 4, 4), discriminator_widths=(4, 4, 4, 8), decoder_width=4)

TINY = FastGANConfig(generator_widths=(8, 8, 4), discriminator_widths=(4, 4, 8), decoder_width=4)


def nets(config: FastGANConfig = SMALL, sample: SampleSpec = COLOUR) -> tuple[Generator, Discriminator]:
    torch.manual_seed(0)
    return FASTGAN.build_generator(config, LATENT, sample), FASTGAN.build_discriminator(config, sample)  # type: ignore


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 64, 128), (3, 80, 48)])
@pytest.mark.parametrize("classes", [None, ("cat", "dog")])
def test_shapes_and_ranges(shape: tuple[int, int, int], classes: tuple[str, ...] | None) -> None:
    config = SMALL if 48 not in shape else TINY
    generator, discriminator = nets(config, SampleSpec(kind="image", shape=shape, classes=classes))
    labels = () if classes is None else (torch.tensor([0, 1, 1]),)
    images = generator(torch.randn(3, 8), *labels)
    assert images.shape == (3, *shape)
    assert images.abs().max() <= 1
    assert discriminator(images, *labels).shape == (3,)
    for found, expected in discriminator.reconstruct(images, torch.rand(3)):
        assert found.shape == expected.shape == (3, shape[0], shape[1] // 2, shape[2] // 2)


def test_the_first_feature_map_gates_the_channels_of_the_one_of_64_pixels() -> None:
    generator, discriminator = nets()
    # One each, as published for these resolutions: 4 -> 64 pixels, and 64 -> 8 pixels.
    for net in (generator, discriminator):
        assert [isinstance(excitation, Excitation) for excitation in net.excitations][-2:] == [False, True]
        assert sum(isinstance(module, Excitation) for module in net.modules()) == 1
    excitation = generator.excitations[-1]
    assert isinstance(excitation, Excitation)
    factors = excitation(torch.randn(2, 8, 4, 4))
    assert factors.shape == (2, 4, 1, 1)
    assert ((factors > 0) & (factors < 1)).all()
    seen: list[Tensor] = []
    excitation.register_forward_hook(lambda module, inputs, output: torch.zeros_like(output))
    generator.output.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    generator(torch.randn(2, 8))
    assert seen[0].shape == (2, 4, 64, 64)
    assert not seen[0].any()


def test_a_doubling_convolution_is_upsampling_and_a_convolution() -> None:
    torch.manual_seed(0)
    layer, features = DoublingConv2d(3, 5).double(), torch.randn(2, 3, 6, 4, dtype=torch.float64)
    expected = conv2d(interpolate(features, scale_factor=2), layer.weight, padding=1)
    torch.testing.assert_close(layer(features), expected)


def test_spectral_normalisation_is_torchs_own() -> None:
    torch.manual_seed(0)
    ours, theirs = SpectralConv2d(3, 5, kernel_size=3), spectral_norm(nn.Conv2d(3, 5, 3), n_power_iterations=50)
    with torch.no_grad():
        theirs.parametrizations.weight.original.copy_(ours.weight)  # type: ignore[union-attr, operator]
        theirs.bias.copy_(ours.bias)  # type: ignore[union-attr, arg-type]
    images = torch.randn(2, 3, 8, 8)
    for _ in range(50):
        ours(images)
    expected = theirs(images)
    torch.testing.assert_close(ours(images), expected, rtol=1e-3, atol=1e-4)
    u = ours.u.clone()
    ours.eval()(images)
    assert torch.equal(ours.u, u)


def test_each_image_has_a_quarter_of_its_own() -> None:
    images = torch.arange(4.0).view(1, 1, 2, 2).expand(4, 2, 2, 2)
    numbers = torch.tensor([0.0, 0.26, 0.5, 0.9999])
    assert quarter(images, numbers)[:, 0, 0, 0].tolist() == [0, 1, 2, 3]
    large = torch.randn(1, 3, 8, 12)
    assert torch.equal(quarter(large, torch.tensor([0.3])), large[:, :, :4, 6:])


def test_what_is_reconstructed_is_the_image_and_a_quarter_of_it() -> None:
    _, discriminator = nets()
    images, numbers = torch.rand(4, 3, 64, 64) * 2 - 1, torch.tensor([0.1, 0.4, 0.6, 0.8])
    (_, whole), (_, part) = discriminator.reconstruct(images, numbers)
    torch.testing.assert_close(whole, avg_pool2d(images, 2))
    assert torch.equal(part, quarter(images, numbers))


def test_the_distance_is_the_mean_difference_in_each_level() -> None:
    images = torch.zeros(1, 1, 8, 8)
    flat = torch.full((1, 1, 8, 8), 0.5)
    assert laplacian_distance(images, flat).item() == pytest.approx(0.5)  # in the coarsest level only
    checks = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(4, 4).view(1, 1, 8, 8)
    assert laplacian_distance(images, checks).item() == pytest.approx(1)  # in the finest only
    assert laplacian_distance(flat, flat).item() == 0
    assert laplacian_distance(torch.zeros(1, 1, 5, 7), torch.ones(1, 1, 5, 7)).item() == 1


def test_minimising_the_term_teaches_to_reconstruct_real_images() -> None:
    _, discriminator = nets(TINY, SampleSpec(kind="image", shape=(3, 16, 16)))
    source = torch.Generator().manual_seed(0)
    real = interpolate(torch.rand(4, 3, 2, 2, generator=source) * 2 - 1, size=(16, 16), mode="bilinear")
    given = RegularizerInputs(
        discriminators=Discriminators(real=discriminator, fake=discriminator),
        discriminator=discriminator,
        real=real,
        fake=torch.zeros_like(real),
        epsilon=torch.rand(4, generator=source),
        state={},
    )
    optimizer, values = torch.optim.Adam(discriminator.parameters(), lr=1e-2), []
    for _ in range(15):
        optimizer.zero_grad()
        term = regularizers.get("reconstruction").compute(given)
        term.backward()
        optimizer.step()
        values.append(term.item())
    assert values[-1] < values[0] / 2


FASTGAN_TINY: dict[str, Any] = {
    "architecture": "fastgan",
    "config": {"generator_widths": [8, 8, 4, 4], "discriminator_widths": [4, 4, 8], "decoder_width": 4},
    "loss": "hinge",
    "share_fakes": True,
    "augment": ["color", "translation"],
    "regularizers": {"reconstruction": {"weight": 1.0, "every": 2}},
    "seed": 0,
    "steps": 4,
    "batch_size": 4,
    "device": "cpu",
    "log_every": 1,
    "sample_every": 4,
    "checkpoint_every": 2,
}


def checkpoint(job: Training) -> dict[str, Tensor]:
    tensors, _ = deserialize(job.run.checkpoints.path(4).read_bytes(), "")
    return {name: tensor for name, tensor in tensors.items() if not name.endswith("seconds")}


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["eager", "graph"])
def test_a_run_left_in_the_middle_and_resumed_gives_the_same_bytes(
    engine: str, photographs: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    layers = [Layer("test", {**FASTGAN_TINY, "engine": engine})]
    whole = Training.start("cifar10-dcgan", tmp_path / "whole", layers, photographs)
    assert [record.step for record in whole] == [1, 2, 3, 4]
    assert "no gradient" not in caplog.text  # reaches the decoders: the regularizer trains them
    stopped = Training.start("cifar10-dcgan", tmp_path / "stopped", layers, photographs)
    for record in stopped:
        if record.step == 3:
            break
    resumed = Training.resume(stopped.run.path)
    list(resumed)
    expected, found = checkpoint(whole), checkpoint(resumed)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


@pytest.mark.slow
def test_classes_and_parts_of_batches_are_trained(photographs: Path, tmp_path: Path) -> None:
    settings = {**FASTGAN_TINY, "conditional": True, "share_fakes": False, "accumulate": 2}
    run = ganzoo.train("cifar10-dcgan", out=tmp_path / "run", data_dir=photographs, settings=settings)
    gan = ganzoo.load(run.path)
    assert gan.sample(2, seed=0, labels=[1, 1]).shape == (2, 3, 32, 32)


def test_decoders_that_nothing_trains_are_named(
    photographs: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = {**FASTGAN_TINY, "regularizers": {}, "steps": 1}
    ganzoo.train("cifar10-dcgan", out=tmp_path / "run", data_dir=photographs, settings=settings)
    assert "no gradient reaches 'decode_whole.blocks.0.layers.0.weight'" in caplog.text


def test_the_regularizer_is_refused_for_other_architectures(photographs: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="'reconstruction' works with fastgan, not with 'dcgan'") as caught:
        ganzoo.train(
            "cifar10-dcgan", out=tmp_path / "run", data_dir=photographs, settings={"regularizers.reconstruction": 1.0}
        )
    assert "choose that architecture" in caught.value.hint
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("config", "sample", "message"),
    [
        (SMALL, SampleSpec(kind="image", shape=(3, 72, 64)), "height and width divisible by 16, not"),
        (SMALL, SampleSpec(kind="tensor", shape=(64,)), r"\[channels, height, width\]"),
        (
            FastGANConfig(generator_widths=(8, 4), discriminator_widths=(4, 4, 4, 4)),
            SampleSpec(kind="image", shape=(3, 16, 16)),
            r"halves \[16, 16\] 3 times ends with fewer than 4 × 4",
        ),
    ],
)
def test_sizes_that_do_not_fit_are_one_clear_line(config: FastGANConfig, sample: SampleSpec, message: str) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        nets(config, sample)
    assert "widths" in caught.value.hint
