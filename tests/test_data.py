"""ganzoo.data: packed copies and batches."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from ganzoo.data import open_batches, open_dataset, to_float
from ganzoo.errors import DatasetError, MissingDatasetError, StoreError, UnknownNameError
from ganzoo.registry import datasets
from ganzoo.specs import ArrayData, DatasetSpec, SampleSpec

CPU = torch.device("cpu")


def spec_of(data: ArrayData, sample: SampleSpec | None = None) -> DatasetSpec:
    sample = sample or SampleSpec(kind="image", shape=(1, 2, 2), classes=("a", "b"))
    return DatasetSpec(
        name="tiny",
        summary="",
        homepage="",
        license="",
        sample=sample,
        splits={"train": len(data.samples)},
        load=lambda root, split, download: data,
    )


def numbered(num: int) -> ArrayData:
    """Images whose pixels are all their index, labelled odd or even."""
    samples = np.repeat(np.arange(num, dtype=np.uint8), 4).reshape(num, 1, 2, 2)
    return ArrayData(samples=samples, labels=np.arange(num) % 2)


def test_the_first_opening_packs_and_the_next_ones_map(digits: Path, home: Path) -> None:
    spec = datasets.get("mnist")
    first = open_dataset(spec, "train", digits)
    again = open_dataset(spec, "train", digits)
    assert isinstance(again.data, ArrayData)
    assert isinstance(again.data.samples, np.memmap)
    assert again.data.samples.shape == (256, 1, 28, 28)
    assert first.digest == again.digest
    (packed,) = (home / "datasets" / "mnist" / "packed").iterdir()
    assert sorted(path.name for path in packed.iterdir()) == ["labels.npy", "pack.json", "samples.npy"]


def test_a_current_packed_copy_is_not_read_again_from_its_sources(
    digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = datasets.get("mnist")
    open_dataset(spec, "train", digits)
    monkeypatch.setattr("ganzoo_mnist.files.load", lambda *_: pytest.fail("read again"))
    open_dataset(spec, "train", digits)


def test_a_changed_source_is_packed_again(digits: Path, tmp_path: Path) -> None:
    spec = datasets.get("mnist")
    shutil.copytree(digits, tmp_path / "data")
    before = open_dataset(spec, "train", tmp_path / "data")
    for kind in ("images-idx3", "labels-idx1"):
        shutil.copy(digits / f"t10k-{kind}-ubyte.gz", tmp_path / "data" / f"train-{kind}-ubyte.gz")
    after = open_dataset(spec, "train", tmp_path / "data")
    assert isinstance(after.data, ArrayData)
    assert len(after.data.samples) == 128
    assert after.digest != before.digest


def test_the_digest_is_of_the_content_not_of_the_place(digits: Path, tmp_path: Path) -> None:
    spec = datasets.get("mnist")
    shutil.copytree(digits, tmp_path / "copy")
    assert open_dataset(spec, "test", digits).digest == open_dataset(spec, "test", tmp_path / "copy").digest


def test_given_files_that_are_gone_are_missed_although_packed(digits: Path, tmp_path: Path) -> None:
    spec = datasets.get("mnist")
    shutil.copytree(digits, tmp_path / "data")
    open_dataset(spec, "train", tmp_path / "data")
    shutil.rmtree(tmp_path / "data")
    with pytest.raises(MissingDatasetError):
        open_dataset(spec, "train", tmp_path / "data")


def test_the_stores_own_files_may_go_once_packed(digits: Path, home: Path) -> None:
    spec = datasets.get("mnist")
    files = home / "datasets" / "mnist" / "files"
    shutil.copytree(digits, files)
    open_dataset(spec, "train")
    shutil.rmtree(files)
    assert isinstance(open_dataset(spec, "train", download=False).data, ArrayData)


def test_a_changed_byte_of_a_packed_copy_is_noticed(digits: Path, home: Path) -> None:
    before = open_dataset(datasets.get("mnist"), "train", digits)
    (path,) = (home / "datasets" / "mnist" / "packed").glob("*/samples.npy")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    after = open_dataset(datasets.get("mnist"), "train", digits)
    assert isinstance(after.data, ArrayData)
    assert isinstance(before.data, ArrayData)
    assert after.data.samples[-1, 0, -1, -1] == 0


def test_a_law_needs_no_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GANZOO_HOME", str(tmp_path / "file" / "home"))
    assert open_dataset(datasets.get("quadratic"), "train").digest == "synthetic:quadratic"


@pytest.mark.parametrize("name", ["samples.npy", "labels.npy", "pack.json"])
def test_a_damaged_packed_copy_is_made_again(digits: Path, home: Path, name: str) -> None:
    spec = datasets.get("mnist")
    before = open_dataset(spec, "train", digits)
    (path,) = (home / "datasets" / "mnist" / "packed").glob(f"*/{name}")
    path.write_bytes(path.read_bytes()[:50])
    after = open_dataset(spec, "train", digits)
    assert after.digest == before.digest
    assert isinstance(after.data, ArrayData)
    assert after.data.samples.shape == (256, 1, 28, 28)


def test_a_packed_copy_is_never_half_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StoreError, match="No space left"):
        open_dataset(spec_of(numbered(4)), "train")
    assert list((home / "datasets" / "tiny" / "packed").iterdir()) == []


@pytest.mark.parametrize(
    "data",
    [
        ArrayData(samples=np.zeros((3, 1, 2, 3), np.uint8)),
        ArrayData(samples=np.zeros((3, 1, 2, 2), np.float32)),
        ArrayData(samples=np.zeros((0, 1, 2, 2), np.uint8)),
        ArrayData(samples=np.zeros((3, 1, 2, 2), np.uint8), labels=np.zeros(2, np.int64)),
        ArrayData(samples=np.zeros((3, 1, 2, 2), np.uint8), labels=np.array([0, 1, 2])),
        ArrayData(samples=np.zeros((3, 1, 2, 2), np.uint8), labels=np.array([0, 1, -1])),
    ],
    ids=["shape", "dtype", "empty", "too few labels", "label too large", "negative label"],
)
def test_what_does_not_fit_the_spec_is_refused(data: ArrayData) -> None:
    with pytest.raises(DatasetError, match="tiny"):
        open_dataset(spec_of(data), "train")


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'train'"):
        open_dataset(spec_of(numbered(4)), "trian")


def test_bytes_become_the_range_of_nets() -> None:
    scaled = to_float(torch.tensor([0, 255, 51], dtype=torch.uint8))
    assert scaled.dtype == torch.float32
    assert scaled.tolist() == pytest.approx([-1, 1, -0.6])
    assert to_float(torch.tensor([2.5])).tolist() == [2.5]


def values(batch_samples: torch.Tensor) -> list[int]:
    return ((batch_samples[:, 0, 0, 0] + 1) * 127.5).round().int().tolist()


def test_an_epoch_shows_every_sample_once_and_the_next_in_another_order() -> None:
    batches = open_batches(open_dataset(spec_of(numbered(12)), "train"), 4, seed=0, device=CPU)
    epochs = [[value for _ in range(3) for value in values(batches.next().samples)] for _ in range(2)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(12))
    assert epochs[0] != epochs[1]


def test_labels_stay_with_their_samples() -> None:
    batches = open_batches(open_dataset(spec_of(numbered(12)), "train"), 5, seed=0, device=CPU)
    for _ in range(6):
        batch = batches.next()
        assert batch.labels is not None
        assert [value % 2 for value in values(batch.samples)] == batch.labels.tolist()


@pytest.mark.parametrize("name", ["tiny", "quadratic"])
def test_batches_go_on_where_they_stood(name: str) -> None:
    spec = spec_of(numbered(12)) if name == "tiny" else datasets.get(name)
    dataset = open_dataset(spec, "train")
    one, other = (open_batches(dataset, 5, seed=3, device=CPU) for _ in range(2))
    for _ in range(7):
        one.next()
    other.load_state_dict(one.state_dict())
    for _ in range(7):
        assert torch.equal(one.next().samples, other.next().samples)


def test_seeds_give_different_orders() -> None:
    dataset = open_dataset(spec_of(numbered(64)), "train")
    first, second = (values(open_batches(dataset, 64, seed=seed, device=CPU).next().samples) for seed in (0, 1))
    assert first != second


def test_less_than_a_batch_is_refused() -> None:
    with pytest.raises(DatasetError, match="fewer than one batch of 5"):
        open_batches(open_dataset(spec_of(numbered(4)), "train"), 5, seed=0, device=CPU)


def test_two_processes_may_pack_at_once(digits: Path, home: Path) -> None:
    children = []
    for _ in range(4):
        child = os.fork()
        if child == 0:
            try:
                open_dataset(datasets.get("mnist"), "train", digits)
                os._exit(0)
            finally:
                os._exit(1)
        children.append(child)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 4
    (packed,) = (home / "datasets" / "mnist" / "packed").iterdir()
    assert not packed.name.startswith(".")
