"""Walks: between given latents, through the classes, along a component; in Python and on the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ganzoo as library
from ganzoo.errors import UsageError, WeightsFormatError
from ganzoo.specs import SampleSpec
from ganzoo.walks import class_walk, component_range, component_walk, morph
from ganzoo.weights.latents import SavedLatents, read_latents, write_latents
from ganzoo.weights.tensors import serialize
from tests.conftest import Ganzoo, assert_two_lines
from tests.test_model import make_gan

CLASSES = SampleSpec(kind="image", shape=(1, 4, 4), classes=("cat", "dog", "owl"))


def test_a_morph_passes_every_latent_with_its_class_and_closes() -> None:
    gan = make_gan(CLASSES)
    latents = gan.latents(2, seed=0)
    frames = torch.cat(list(morph(gan, latents, frames=8, labels=["owl", "cat"])))
    assert torch.allclose(frames[[0, 4]], gan(latents, [2, 0]), atol=1e-6)
    steps = (frames - frames.roll(1, 0)).flatten(1).norm(dim=1)
    assert (steps > 0).all()
    assert float(steps.max()) < 0.6 * float((frames[0] - frames[4]).norm())  # no jump, where a class changes too


def test_a_class_walk_keeps_the_latents_and_mixes_neighbouring_classes() -> None:
    gan = make_gan(CLASSES)
    frames = list(class_walk(gan, 2, frames=6, seed=1))
    for label in range(3):
        assert torch.allclose(frames[2 * label], gan.sample(2, seed=1, labels=label), atol=1e-6)
    embedding = gan.generator.get_submodule("embedding")
    assert isinstance(embedding, torch.nn.Embedding)
    with torch.no_grad():
        embedding.weight[0] = embedding.weight[:2].mean(0)  # half cat, half dog
    assert torch.allclose(frames[1], gan.sample(2, seed=1, labels=0), atol=1e-6)
    assert not embedding._forward_hooks  # nothing stays behind
    with pytest.raises(UsageError, match="not class-conditional"):
        class_walk(make_gan())


def test_a_walk_along_a_component_changes_only_that_one() -> None:
    gan = make_gan()
    low, high = component_walk(gan, 1, [-2.0, 2.0], 3, seed=4)
    latents = gan.latents(3, 4)
    for value, frame in ((-2.0, low), (2.0, high)):
        latents[:, 1] = value
        assert torch.equal(frame, gan(latents))
    for component in (-1, 3):
        with pytest.raises(UsageError, match="no component"):
            component_walk(gan, component, [0.0])
    assert component_range(make_gan(distribution="uniform")) == 1
    with pytest.raises(UsageError, match="category"):
        component_walk(make_gan(distribution="categorical"), 0, [0.0])


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    make_gan(CLASSES).save(tmp_path / "gan")
    latents = make_gan(CLASSES).latents(2, seed=5)
    write_latents(tmp_path / "z.safetensors", SavedLatents(latents, torch.tensor([2, 0])), {})
    np.save(tmp_path / "z.npy", latents.double().numpy())
    return tmp_path


def test_samples_of_a_file_of_latents_have_its_classes(ganzoo: Ganzoo, saved: Path, cwd: Path) -> None:
    gan = library.load(saved / "gan")
    latents = gan.latents(2, seed=5)
    files = ["--latents", saved / "z.safetensors"]
    assert ganzoo("sample", saved / "gan", *files, "--out", "x.npy").returncode == 0
    assert np.array_equal(np.load(cwd / "x.npy"), gan(latents, [2, 0]).numpy())
    both = [*files, "--latents", saved / "z.npy", "--label", "dog"]
    assert ganzoo("sample", saved / "gan", *both, "--out", "y.npy").returncode == 0
    assert np.array_equal(np.load(cwd / "y.npy"), gan(torch.cat([latents, latents]), "dog").numpy())
    result = ganzoo("sample", saved / "gan", *files, "-n", "3", "--out", "z.npy")
    assert_two_lines(result, 2, "given latents have their number")


@pytest.mark.parametrize(
    ("walk", "more", "rows", "columns"), [("latents", True, 2, 9), ("classes", False, 8, 3), ("1", False, 8, 9)]
)
def test_a_walk_is_drawn_side_by_side_or_animated(
    ganzoo: Ganzoo, saved: Path, cwd: Path, walk: str, more: bool, rows: int, columns: int
) -> None:
    files = ["--latents", saved / "z.safetensors"] if more else []
    for name in ("walk.png", "walk.gif"):
        result = ganzoo("sample", saved / "gan", *files, "--walk", walk, "--seed", "0", "--out", name)
        assert (result.returncode, result.stdout) == (0, f"{name}\n"), result.stderr
    with Image.open(cwd / "walk.png") as sheet, Image.open(cwd / "walk.gif") as animation:
        assert sheet.width * (6 * rows + 2) == sheet.height * (6 * columns + 2)  # images of 4 pixels, gaps of 2
        assert animation.n_frames > 20  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--walk", "latents", "--out", "x.gif"], "needs them"),
        (["--walk", "sideways", "--out", "x.gif"], "unknown walk"),
        (["--walk", "99", "--out", "x.gif"], "no component 99"),
        (["--walk", "classes", "--out", "x.npy"], "unknown file type"),
        (["--walk", "classes"], "needs a file"),
        (["--walk", "classes", "--interpolate", "3", "--out", "x.gif"], "either interpolated"),
        (["--walk", "classes", "--latents", "../z.npy", "--out", "x.gif"], "for --walk latents"),
        (["--interpolate", "2", "--latents", "../z.npy", "--out", "x.gif"], "goes through seeds"),
        (["--latents", "../z.npy", "--truncation", "1", "--out", "x.npy"], "given latents have"),
        (["--latents", "absent.npy", "--out", "x.npy"], "cannot read absent.npy"),
        (["--latents", "z.txt", "--out", "x.npy"], "not a file of latents"),
        (["--truncation", "0", "--out", "x.npy"], "truncation is 0"),
    ],
)
def test_what_does_not_go_together_is_refused(
    ganzoo: Ganzoo, saved: Path, cwd: Path, arguments: list[str], words: str
) -> None:
    assert_two_lines(ganzoo("sample", saved / "gan", "--seed", "0", *arguments), 2, words)
    assert list(cwd.iterdir()) == []


def test_files_that_hold_no_latents_are_refused(saved: Path) -> None:
    config = library.load(saved / "gan").config
    (saved / "text.npy").write_text("text")
    np.save(saved / "object.npy", np.array([{}], dtype=object))
    (saved / "other.safetensors").write_bytes(serialize({"weight": torch.zeros(2)}, {}))
    for name in ("text.npy", "object.npy", "other.safetensors"):
        with pytest.raises(WeightsFormatError):
            read_latents(saved / name, config)
    (saved / "wrong.safetensors").write_bytes(serialize({"latents": torch.zeros(2, 4)}, {}))
    (saved / "label.safetensors").write_bytes(
        serialize({"latents": torch.zeros(2, 3), "labels": torch.tensor([0, 3])}, {})
    )
    for name in ("wrong.safetensors", "label.safetensors"):
        with pytest.raises(UsageError):
            read_latents(saved / name, config)
