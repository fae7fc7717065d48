"""Pictures of samples: file types, seeds and rows, and what they say about themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import ganzoo as library
from ganzoo.errors import UsageError
from ganzoo.rendering import image_grid
from ganzoo.rendering.facts import command, read_facts
from ganzoo.specs import LatentSpec, SampleSpec
from ganzoo.training import Training
from tests.conftest import Ganzoo, assert_two_lines
from tests.test_model import make_gan

CLASSES = SampleSpec(kind="image", shape=(1, 4, 4), classes=("cat", "dog", "größer"))


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("L")).astype(int)


@pytest.mark.parametrize(("name", "kind", "most"), [("x.png", "PNG", 0), ("x.webp", "WEBP", 0), ("x.JPG", "JPEG", 12)])
def test_a_still_is_of_its_file_type(tmp_path: Path, name: str, kind: str, most: int) -> None:
    library.sample(make_gan(), 9, out=tmp_path / name, seed=0)
    with Image.open(tmp_path / name) as image:
        assert image.format == kind
    expected = np.asarray(image_grid(make_gan().sample(9, seed=0))).astype(int)
    assert np.abs(pixels(tmp_path / name) - expected).max() <= most


def test_a_picture_that_its_file_type_cannot_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="too many for"):
        library.sample(make_gan(), grid=(1, 3000), out=tmp_path / "x.webp", seed=0)
    assert list(tmp_path.iterdir()) == []


def test_each_seed_is_the_only_sample_of_that_seed(tmp_path: Path) -> None:
    gan = make_gan(CLASSES)
    done = library.sample(gan, seeds=[5, 0, 5], out=tmp_path / "x.npy")
    expected = [gan.sample(1, seed=seed, labels=label) for seed, label in [(5, "cat"), (0, "dog"), (5, "größer")]]
    assert np.array_equal(np.load(tmp_path / "x.npy"), torch.cat(expected).numpy())
    assert (done.num, done.seed) == (3, None)
    for wrong in ({"num": 3}, {"seed": 1}, {"seeds": []}, {"seeds": [-1]}, {"seeds": range(10_001)}):
        with pytest.raises(UsageError):
            library.sample(gan, **{"seeds": [1], **wrong}, out=tmp_path / "y.npy")  # type: ignore[arg-type]


def test_a_grid_has_a_row_for_each_class(tmp_path: Path) -> None:
    gan = make_gan(CLASSES)
    library.sample(gan, grid=(4, 2), out=tmp_path / "x.png", seed=3)
    expected = image_grid(gan.sample(8, seed=3, labels=[0, 0, 1, 1, 2, 2, 0, 0]), columns=2)
    assert np.array_equal(pixels(tmp_path / "x.png"), np.asarray(expected))
    library.sample(gan, grid=(4, 2), label="dog", out=tmp_path / "dogs.png", seed=3)
    expected = image_grid(gan.sample(8, seed=3, labels="dog"), columns=2)
    assert np.array_equal(pixels(tmp_path / "dogs.png"), np.asarray(expected))


def test_a_folder_of_pictures_says_index_and_class_of_each(tmp_path: Path) -> None:
    library.sample(make_gan(CLASSES), 4, out=f"{tmp_path}/x/", seed=7)
    facts = read_facts(tmp_path / "x" / "000002.png")
    assert facts == {
        "recipe": "tiny",
        "num": "4",
        "seed": "7",
        "index": "2",
        "class": "größer",
        "version": library.__version__,
    }


def test_show_prints_the_command_that_draws_the_picture_again(ganzoo: Ganzoo, cwd: Path) -> None:
    options = ["--grid", "2x3", "--seed", "4", "--label", "7", "--truncation", "1.5"]
    assert ganzoo("sample", "mnist-cgan", *options, "--out", "x.png").returncode == 0
    shown = ganzoo("show", "x.png")
    assert shown.returncode == 0
    line = shown.stderr.splitlines()[-1]
    assert line == "Again: ganzoo sample mnist-cgan@v1 --grid 2x3 --seed 4 --label 7 --truncation 1.5 --out samples.png"
    assert ganzoo(*line.split()[2:]).returncode == 0
    assert (cwd / "samples.png").read_bytes() == (cwd / "x.png").read_bytes()
    facts = json.loads(ganzoo("show", "x.png", "--json").stdout)["picture"]
    assert (facts["model"], facts["label"]) == ("mnist-cgan@v1", "7")
    assert len(facts["weights_sha256"]) == 64


def test_pictures_of_others_say_nothing_or_are_refused(ganzoo: Ganzoo, cwd: Path) -> None:
    Image.new("L", (4, 4)).save(cwd / "plain.png")
    assert_two_lines(ganzoo("show", "plain.png"), 2, "does not say where it is from")
    (cwd / "text.png").write_text("hello")
    assert_two_lines(ganzoo("show", "text.png"), 1, "is not a readable PNG")


def test_what_a_picture_says_cannot_steer_the_terminal_or_the_shell(ganzoo: Ganzoo, cwd: Path) -> None:
    info = PngInfo()
    info.add_text("ganzoo.model", "x; rm -rf ~ \x1b[2J")
    info.add_text("ganzoo.seed", "$(id)")
    info.add_text("ganzoo.texts", "[1")
    Image.new("L", (4, 4)).save(cwd / "evil.png", pnginfo=info)
    shown = ganzoo("show", "evil.png")
    assert (shown.returncode, "\x1b" in shown.stdout + shown.stderr) == (0, False)
    assert "Again" not in shown.stderr  # the texts are cut off
    assert command({"model": "x; id", "seed": "$(id)"}) == "ganzoo sample 'x; id' --seed '$(id)'"


def test_the_sheets_of_a_run_say_seed_and_step_and_its_checkpoints_are_sampled(
    ganzoo: Ganzoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ganzoo.config import Layer

    monkeypatch.setenv("GANZOO_HOME", str(tmp_path / "home"))
    settings: dict[str, Any] = {
        "seed": 1,
        "steps": 9,
        "batch_size": 4,
        "ema_decay": 0.9,
        "checkpoint_every": 3,
        "sample_every": 3,
        "log_every": 3,
    }
    training = Training.start("quadratic-mlp", tmp_path / "run", [Layer("test", settings)])
    expected = {}
    for record in training:
        net = training.state.trained_generator
        latents = torch.ones(2, *LATENT.shape)
        with torch.no_grad():
            expected[record.step] = net.eval()(latents)
        net.train()
    run = tmp_path / "run"
    facts = read_facts(run / "samples" / "step-00000006.png")
    assert (facts["recipe"], facts["seed"], facts["step"]) == ("quadratic-mlp", "1", "6")
    for step in (6, 9):
        gan = library.load(run, step=step)
        assert torch.equal(gan(torch.ones(2, *LATENT.shape)), expected[step])
    assert gan.discriminator(gan.sample(2, seed=0)).shape == (2,)
    assert torch.equal(gan.sample(2, seed=0), library.load(run).sample(2, seed=0))
    assert not torch.equal(expected[6], expected[9])
    result = ganzoo("sample", str(run), "--step", "3", "--out", "x.png")
    assert_two_lines(result, 2, "no checkpoint of step 3", "Kept are 6, 9")
    assert ganzoo("sample", str(run), "--step", "6", "-n", "2", "--out", "x.png").returncode == 0


LATENT = LatentSpec(dim=5)
