"""`ganzoo.sample`, the twin of the command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ganzoo
from ganzoo.errors import UsageError
from ganzoo.specs import SampleSpec
from tests.test_model import make_gan

CLASSES = SampleSpec(kind="image", shape=(1, 4, 4), classes=("cat", "dog"))


def test_an_array_holds_the_samples_of_the_seed(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    done = ganzoo.sample(make_gan(), 100, out=tmp_path / "x.npy", seed=3, progress=lambda *state: seen.append(state))
    assert np.array_equal(np.load(tmp_path / "x.npy"), make_gan().sample(100, seed=3).numpy())
    assert (done.path, done.num, done.seed, done.num_files) == (tmp_path / "x.npy", 100, 3, 1)
    assert done.size == (tmp_path / "x.npy").stat().st_size
    assert seen == [(64, 100), (100, 100)]


def test_the_seed_of_none_is_reported(tmp_path: Path) -> None:
    done = ganzoo.sample(make_gan(), 2, out=tmp_path / "x.npy")
    assert np.array_equal(np.load(tmp_path / "x.npy"), make_gan().sample(2, seed=done.seed).numpy())


def test_pictures_shards_and_loops_are_written(tmp_path: Path) -> None:
    folder = make_gan().save(tmp_path / "gan")
    assert ganzoo.sample(folder, 5, out=f"{tmp_path}/single/", seed=0).num_files == 5
    assert ganzoo.sample(folder, 5, out=tmp_path / "shards", shard_size=3, seed=0).num_files == 2
    ganzoo.sample(folder, 4, out=tmp_path / "loop.gif", interpolate=2, seed=0)
    with Image.open(tmp_path / "loop.gif") as loop:
        assert loop.n_frames > 10  # type: ignore[attr-defined]


@pytest.mark.parametrize("label", ["dog", 1])
def test_a_class_is_chosen_by_name_or_number(tmp_path: Path, label: str | int) -> None:
    gan = make_gan(CLASSES)
    ganzoo.sample(gan, 3, out=tmp_path / "x.npy", seed=0, label=label)
    assert np.array_equal(np.load(tmp_path / "x.npy"), gan.sample(3, seed=0, labels=1).numpy())


@pytest.mark.parametrize("label", ["bird", 2, 1.5])
def test_a_class_that_does_not_exist_is_refused(tmp_path: Path, label: str | int) -> None:
    with pytest.raises(UsageError) as caught:
        ganzoo.sample(make_gan(CLASSES), 3, out=tmp_path / "x.npy", label=label)
    assert "cat, dog" in caught.value.hint
    with pytest.raises(UsageError, match="not class-conditional"):
        ganzoo.sample(make_gan(), 3, out=tmp_path / "x.npy", label=label)


def test_a_place_that_does_not_fit_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    for options in (
        {"out": "x.doc"},
        {"out": "x.npy", "shard_size": 2},
        {"out": "x.gif", "interpolate": 2, "shard_size": 2},
    ):
        with pytest.raises(UsageError):  # and not MissingWeightsError
            ganzoo.sample(tmp_path / "nothing", **options)  # type: ignore[arg-type]
