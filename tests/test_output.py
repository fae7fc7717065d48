"""Samples into files: every form, as they come, whole or not at all."""

from __future__ import annotations

import gc
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import webdataset
from PIL import Image
from safetensors.torch import load_file, save

from ganzoo.errors import GanzooError, UsageError
from ganzoo.rendering import Written, parse_target, write_samples
from ganzoo.rendering.picture import to_pixels
from ganzoo.specs import SampleSpec
from ganzoo_quadratic import QUADRATIC

GREY = SampleSpec(kind="image", shape=(1, 4, 4))
COLOUR = SampleSpec(kind="image", shape=(3, 4, 6))


def some(spec: SampleSpec, num: int) -> torch.Tensor:
    return torch.rand(num, *spec.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


def written(
    samples: torch.Tensor, spec: SampleSpec, name: Path | str, shard_size: int | None = None, workers: int = 1
) -> Written:
    """Write samples in batches of 3, whose labels are 0, 1, 2, ..."""
    labels = torch.arange(len(samples)).split(3)
    target = parse_target(str(name), shard_size)
    return write_samples(samples.split(3), len(samples), spec, target, labels=labels, workers=workers)


def pixels(content: bytes | Path) -> np.ndarray:
    with Image.open(io.BytesIO(content) if isinstance(content, bytes) else content) as image:
        return np.asarray(image).reshape(image.height, image.width, -1)


def test_a_picture_is_one_png(tmp_path: Path) -> None:
    done = written(some(GREY, 9), GREY, tmp_path / "grid.png")
    with Image.open(done.path) as image:
        assert image.format == "PNG"
    assert [entry.name for entry in tmp_path.iterdir()] == ["grid.png"]
    assert (done.num_files, done.size) == (1, done.path.stat().st_size)


@pytest.mark.parametrize("spec", [GREY, COLOUR], ids=["grey", "colour"])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_folder_gets_each_image_pixel_by_pixel(tmp_path: Path, spec: SampleSpec, workers: int) -> None:
    samples = some(spec, 8)
    done = written(samples, spec, tmp_path / "single", workers=workers)  # no suffix: a folder
    files = sorted((tmp_path / "single").iterdir())
    assert [file.name for file in files] == [f"{index:06d}.png" for index in range(8)]
    assert np.array_equal(np.stack([pixels(file) for file in files]), to_pixels(samples))
    assert (done.num_files, done.size) == (8, sum(file.stat().st_size for file in files))
    assert [entry.name for entry in tmp_path.iterdir()] == ["single"]


def test_a_folder_of_curves_gets_their_plots(tmp_path: Path) -> None:
    written(torch.zeros(2, *QUADRATIC.sample.shape), QUADRATIC.sample, f"{tmp_path}/curves/")
    assert pixels(tmp_path / "curves" / "000001.png").shape == (560, 800, 3)


def test_an_empty_folder_is_filled_and_stays_the_same_folder(tmp_path: Path) -> None:
    before = tmp_path.stat().st_ino
    written(some(GREY, 2), GREY, tmp_path)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["000000.png", "000001.png"]
    assert tmp_path.stat().st_ino == before


def test_what_is_there_is_never_mixed_with_what_is_new(tmp_path: Path) -> None:
    (tmp_path / "old.png").write_text("mine")
    for name in (str(tmp_path), f"{tmp_path}/old.png/"):
        with pytest.raises(UsageError, match="already exists"):
            parse_target(name)


@pytest.mark.parametrize("workers", [1, 2])
def test_shards_hold_every_sample_with_its_class(tmp_path: Path, workers: int) -> None:
    samples = some(COLOUR, 11)
    done = written(samples, COLOUR, tmp_path / "shards", shard_size=4, workers=workers)
    paths = sorted((tmp_path / "shards").iterdir())
    assert [path.name for path in paths] == ["shard-000000.tar", "shard-000001.tar", "shard-000002.tar"]
    assert (done.num_files, done.size) == (3, sum(path.stat().st_size for path in paths))
    members = {}
    for path in paths:
        with tarfile.open(path) as tar:
            members.update({info.name: tar.extractfile(info).read() for info in tar})  # type: ignore[union-attr]
    assert list(members) == [f"{index:09d}.{suffix}" for index in range(11) for suffix in ("png", "cls")]
    assert members["000000010.cls"] == b"10"
    assert np.array_equal(np.stack([pixels(members[f"{index:09d}.png"]) for index in range(11)]), to_pixels(samples))


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # webdataset's own
def test_webdataset_reads_the_shards(tmp_path: Path) -> None:
    samples = some(COLOUR, 11)
    written(samples, COLOUR, tmp_path / "shards", shard_size=4)
    shards = sorted(str(path) for path in (tmp_path / "shards").iterdir())
    dataset = webdataset.WebDataset(shards, shardshuffle=False, empty_check=False).decode("rgb8")
    rows = list(dataset.to_tuple("png", "cls", "__key__"))
    del dataset
    gc.collect()
    assert np.array_equal(np.stack([image for image, _, _ in rows]), to_pixels(samples))
    assert [(label, int(key)) for _, label, key in rows] == [(index, index) for index in range(11)]


def test_shards_of_curves_hold_their_numbers(tmp_path: Path) -> None:
    curves = torch.randn(3, *QUADRATIC.sample.shape)
    target = parse_target(f"{tmp_path}/shards", 100)
    write_samples([curves], 3, QUADRATIC.sample, target)
    with tarfile.open(tmp_path / "shards" / "shard-000000.tar") as tar:
        assert tar.getnames() == ["000000000.npy", "000000001.npy", "000000002.npy"]
        content = tar.extractfile("000000002.npy").read()  # type: ignore[union-attr]
    assert np.array_equal(np.load(io.BytesIO(content)), curves[2].numpy())


def test_arrays_are_the_files_that_the_libraries_write(tmp_path: Path) -> None:
    samples = some(COLOUR, 8)
    whole = io.BytesIO()
    np.save(whole, samples.numpy())
    assert written(samples, COLOUR, tmp_path / "x.npy").path.read_bytes() == whole.getvalue()
    path = written(samples, COLOUR, tmp_path / "x.safetensors").path
    assert path.read_bytes() == save({"samples": samples})
    assert torch.equal(load_file(path)["samples"], samples)


@pytest.mark.parametrize("name", ["x.tiff", "x.pt"])
def test_unknown_forms_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="unknown file type"):
        parse_target(name)


def test_shards_need_a_folder() -> None:
    with pytest.raises(UsageError, match="shards need a folder") as caught:
        parse_target("x.npy", shard_size=10)
    assert "x.npy/" in caught.value.hint


def interrupted() -> Iterator[torch.Tensor]:
    yield from some(GREY, 6).split(3)
    raise KeyboardInterrupt


@pytest.mark.parametrize(("name", "shard_size"), [("x/", None), ("x/", 4), ("x.npy", None), ("x.png", None)])
@pytest.mark.parametrize("exists", [False, True])
def test_what_is_interrupted_leaves_nothing(tmp_path: Path, name: str, shard_size: int | None, exists: bool) -> None:
    if exists and name == "x/":
        (tmp_path / "x").mkdir()
    with pytest.raises(KeyboardInterrupt):
        write_samples(interrupted(), 9, GREY, parse_target(f"{tmp_path}/{name}", shard_size))
    assert [path for path in tmp_path.rglob("*") if path.is_file() or path.name != "x"] == []


def test_the_home_of_an_unknown_user_is_a_plain_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert written(some(GREY, 1), GREY, "~nosuchuser/x.npy").path == Path("~nosuchuser/x.npy")


def test_what_a_killed_process_left_does_not_block_a_folder(tmp_path: Path) -> None:
    (tmp_path / "x" / ".all.0123456789abcdef.partial").mkdir(parents=True)
    written(some(GREY, 2), GREY, tmp_path / "x")
    assert (tmp_path / "x" / "000001.png").is_file()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(GanzooError, match="cannot write"):
        written(some(GREY, 2), GREY, tmp_path / "file" / "x" / "y.npy")


def test_progress_ends_where_all_is_written(tmp_path: Path) -> None:
    for name, size in (("a/", None), ("b/", 4), ("c.npy", None)):
        told: list[tuple[int, int]] = []
        target = parse_target(f"{tmp_path}/{name}", size)
        write_samples(some(GREY, 8).split(3), 8, GREY, target, progress=lambda *now: told.append(now))  # noqa: B023
        assert told[-1] == (8, 8)
        assert told == sorted(told)
