"""Projection: pictures -> latents."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ganzoo as library
from ganzoo.errors import UsageError
from ganzoo.model import GAN
from ganzoo.projection import project
from ganzoo.registry import extractors
from ganzoo.specs import SampleSpec
from tests.conftest import Ganzoo, assert_two_lines
from tests.test_model import make_gan

CLASSES = SampleSpec(kind="image", shape=(1, 4, 4), classes=("cat", "dog", "owl"))


@pytest.fixture
def gan() -> GAN:
    """A model whose samples tell its latents: the net is linear in all but the last layer's tanh."""
    return make_gan()


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
def test_samples_of_the_model_are_found_again(distribution: str) -> None:
    gan = make_gan(distribution=distribution)
    targets = gan.sample(3, seed=7)
    found = project(gan, targets, starts=4, steps=120)
    assert max(found.distances) < 0.03 < float(targets.std())
    assert torch.allclose(found.samples, gan(found.latents), atol=1e-5)
    if distribution == "uniform":
        assert found.latents.abs().max() <= 1


def test_the_class_that_fits_is_found_or_the_given_one_kept() -> None:
    gan = make_gan(CLASSES)
    targets = gan.sample(3, seed=7, labels=["owl", "cat", "dog"])
    found = project(gan, targets, starts=8, steps=120)
    assert torch.allclose(found.samples, gan(found.latents, found.labels), atol=1e-5)  # type: ignore[arg-type]
    assert max(found.distances) < 0.1
    assert project(gan, targets, starts=2, steps=2, labels="owl").labels.tolist() == [2, 2, 2]  # type: ignore[union-attr]


@pytest.mark.gpu
def test_on_a_gpu_classes_are_found_too() -> None:
    gan = make_gan(CLASSES).to("cuda")
    found = project(gan, gan.sample(3, seed=7, labels=["owl", "cat", "dog"]), starts=8, steps=20)
    assert found.labels is not None
    assert {found.labels.device.type, found.latents.device.type, found.samples.device.type} == {"cpu"}


def test_the_same_request_gives_the_same_latents_alone_or_with_others() -> None:
    gan = make_gan()
    targets = gan.sample(2, seed=7)
    both = project(gan, targets, starts=3, steps=20)
    assert torch.equal(project(gan, targets, starts=3, steps=20).latents, both.latents)
    assert torch.allclose(project(gan, targets[1:], starts=3, steps=20).latents[0], both.latents[1], atol=1e-4)
    assert not torch.equal(project(gan, targets, starts=3, steps=20, seed=1).latents, both.latents)


def test_a_real_digit_is_projected_closer_than_any_drawn_sample(digits: Path) -> None:
    from ganzoo.registry import datasets

    gan = library.load("mnist-mlp")
    real = datasets.get("mnist").load(digits, "test", False).samples[:1]  # type: ignore[union-attr, index]
    target = torch.from_numpy(np.array(real)).float() / 127.5 - 1
    nearest = float((gan.sample(256, seed=1) - target).square().flatten(1).mean(1).sqrt().min())
    found = project(gan, target, starts=2, steps=60)
    assert found.distances[0] < 0.6 * nearest


def test_features_of_a_differentiable_extractor_count(digits: Path) -> None:
    gan = library.load("mnist-mlp-small")
    target = gan.sample(1, seed=3)
    pixels = project(gan, target, starts=1, steps=3)
    both = project(gan, target, starts=1, steps=3, features="lenet-mnist")
    assert not torch.equal(both.latents, pixels.latents)
    images = torch.randint(0, 256, (2, 1, 28, 28), dtype=torch.uint8)
    extractor = extractors.get("lenet-mnist").load(torch.device("cpu"), Path())
    smooth = images.float().requires_grad_()
    values = extractor.outputs(smooth)["values"]
    assert torch.equal(values, extractor.outputs(images)["values"])
    values.sum().backward()
    assert smooth.grad is not None
    assert smooth.grad.abs().sum() > 0


def test_pictures_of_any_mode_and_shape_are_fitted(tmp_path: Path) -> None:
    gan = make_gan()
    wide = Image.new("RGBA", (80, 20), (255, 0, 0, 0))  # nothing but transparency: white
    grey = np.zeros((40, 60), np.uint8)
    grey[:, 30:] = 255
    turned = Image.fromarray(grey)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: to be turned clockwise
    turned.save(tmp_path / "turned.jpg", exif=exif)
    targets = project(gan, [wide, tmp_path / "turned.jpg"], starts=1, steps=1).targets
    assert torch.equal(targets[0], torch.ones(1, 4, 4))
    assert targets[1, 0, 0].max() < -0.5  # the dark left half is above now
    assert targets[1, 0, 3].min() > 0.5


def test_what_cannot_be_projected_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("text")
    gan = make_gan()
    for pictures, words in (
        ([tmp_path / "text.png"], "not a picture"),
        ([tmp_path / "absent.png"], "No such file"),
        (str(tmp_path / "text.png"), "a list"),
        ([], "a list"),
        (torch.zeros(1, 1, 5, 5), "pictures must be"),
    ):
        with pytest.raises(UsageError, match=words):
            project(gan, pictures)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="cannot be projected"):
        project(library.load("quadratic-mlp"), torch.zeros(1, 15))
    with pytest.raises(UsageError, match="cannot be projected"):
        project(make_gan(distribution="categorical"), torch.zeros(1, 1, 4, 4))
    for numbers in ({"starts": 0}, {"starts": 2000}, {"steps": 0}):
        with pytest.raises(UsageError, match="cannot take"):
            project(gan, torch.zeros(1, 1, 4, 4), **numbers)


def test_the_command_writes_latents_that_sample_takes(ganzoo: Ganzoo, tmp_path: Path, cwd: Path) -> None:
    gan = make_gan(CLASSES)
    gan.save(tmp_path / "gan")
    gan.images(1, seed=0, labels="dog")[0].save(tmp_path / "dog.png")
    arguments = ["--starts", "2", "--steps", "5", "--label", "dog", "--json"]
    result = ganzoo("project", tmp_path / "gan", tmp_path / "dog.png", tmp_path / "dog.png", *arguments)
    assert result.returncode == 0, result.stderr
    document = json.loads(result.stdout)
    assert (document["path"], document["comparison"]) == ("projected.safetensors", "projected.png")
    assert [row["class"] for row in document["pictures"]] == ["dog", "dog"]
    with Image.open(cwd / "projected.png") as comparison:
        assert comparison.width == comparison.height  # two rows of two
    result = ganzoo("sample", tmp_path / "gan", "--latents", "projected.safetensors", "--out", "x.npy")
    assert result.returncode == 0, result.stderr
    expected = project(gan, [tmp_path / "dog.png"] * 2, labels="dog", starts=2, steps=5).samples
    assert np.allclose(np.load(cwd / "x.npy"), expected.numpy(), atol=1e-5)
    assert_two_lines(ganzoo("project", tmp_path / "gan", "x.png", "--out", "x.pt"), 2, "not a .safetensors file")
