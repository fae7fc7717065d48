"""`ganzoo neighbours`: what it finds for models whose copies are known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import ganzoo
from ganzoo.data import open_dataset, to_float
from ganzoo.errors import EvaluationError, UnknownNameError
from ganzoo.evaluation.neighbours import neighbours
from ganzoo.model import GAN
from ganzoo.registry import datasets
from ganzoo.specs import ArrayData, SampleSpec
from tests.conftest import TINY_MLP, Ganzoo, assert_two_lines, set_options
from tests.test_model import make_gan

DIGIT = SampleSpec(kind="image", shape=(1, 28, 28))


class Replay(nn.Module):
    """A generator that returns one of some images for each latent, with a little noise."""

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        self.images = nn.Parameter(images)

    def forward(self, latents: Tensor) -> Tensor:
        index = (latents[:, 0].abs() * 1e6).long() % len(self.images)
        return self.images[index] + 0.02 * latents[:, 1, None, None, None]


def replaying(split: str, digits: Path) -> GAN:
    data = open_dataset(datasets.get("mnist"), split, digits).data
    assert isinstance(data, ArrayData)
    return GAN(Replay(to_float(torch.from_numpy(np.array(data.samples)))).eval(), make_gan(DIGIT).config)


@pytest.mark.parametrize("features", ["pixels", "lenet-mnist"])
def test_a_generator_that_replays_training_images_is_told_from_one_of_new_images(digits: Path, features: str) -> None:
    copier = neighbours(replaying("train", digits), 200, features=features, data_dir=digits)
    assert copier.authenticity <= 0.01
    assert copier.is_copying
    assert (copier.num_real, copier.num_split, copier.features) == (256, 256, features)

    honest = neighbours(replaying("test", digits), 200, features=features, data_dir=digits)
    assert honest.authenticity > honest.authenticity_of_real - 0.1
    assert 0.3 < honest.authenticity_of_real < 0.8
    assert not honest.is_copying


def test_the_nearest_image_of_a_copy_is_the_image_that_it_copies(digits: Path) -> None:
    gan = replaying("train", digits)
    found = neighbours(gan, 20, k=2, features="pixels", data_dir=digits, seed=3)
    copies = gan.sample(20, seed=3)
    images = gan.generator.images.detach()  # type: ignore[union-attr, operator]
    for one in found.samples:
        assert torch.allclose(copies[one.index], images[one.rows[0]], atol=0.1)
        assert one.distances[0] < 10 < one.distances[1]  # grey levels
    ratios = [one.ratio for one in found.samples]
    assert ratios == sorted(ratios)
    assert max(ratios) < found.real_ratio


def test_a_run_gets_the_picture_and_the_report(tmp_path: Path, digits: Path, ganzoo: Ganzoo) -> None:
    run = tmp_path / "run"
    settings = {"batch_size": 16, **{f"config.{name}": value for name, value in TINY_MLP.items()}}
    where = ("--out", run, "--data-dir", digits)
    trained = ganzoo("train", "mnist-mlp", "--steps", "1", "--seed", "0", *where, *set_options(settings))
    assert trained.returncode == 0, trained.stderr
    done = ganzoo("neighbours", run, "--num", "30", "--shown", "7", "-k", "3", "--json")  # it knows the folder
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document == json.loads((run / "evaluations" / "neighbours.json").read_text())
    assert document["is_training_data"] is True
    assert document["sheet"] == str(run / "neighbours.png")
    assert (document["num"], len(document["samples"]), len(document["samples"][0]["rows"])) == (30, 30, 3)
    with Image.open(run / "neighbours.png") as picture:
        assert picture.width > 900
        # White paper, dark ink, red labels, and the grey levels of the images.
        assert len(picture.convert("L").getcolors() or []) > 100

    other = ganzoo("neighbours", run, "--split", "test", "--num-real", "50", "--out", tmp_path / "x.png")
    assert "These are not the images that the model was trained on" in other.stdout
    assert "50 of 128 of mnist test" in other.stdout
    assert (tmp_path / "x.png").is_file()


def test_what_has_no_neighbours_is_one_line(tmp_path: Path, digits: Path, ganzoo: Ganzoo) -> None:
    assert_two_lines(ganzoo("neighbours", "quadratic-mlp"), 1, "the samples of quadratic are curves")
    assert_two_lines(ganzoo("neighbours", "mnist-mlp", "--out", "x.jpg"), 2, "not a .png")
    gan = replaying("train", digits)
    with pytest.raises(UnknownNameError, match="no split of mnist named 'tset'"):
        neighbours(gan, split="tset", data_dir=digits)
    with pytest.raises(UnknownNameError, match="no extractor named 'lenet'"):
        neighbours(gan, 2, features="lenet", data_dir=digits)
    drawn = replace(make_gan(DIGIT).config, dataset="words")
    with pytest.raises(EvaluationError, match="words train is drawn without limit"):
        neighbours(GAN(gan.generator, drawn), data_dir=digits)


def test_python_has_it_too() -> None:
    assert ganzoo.neighbours is neighbours
