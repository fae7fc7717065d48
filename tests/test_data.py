"""ganzoo.data: packed copies and batches."""

from __future__ import annotations

import dataclasses
import gc
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

import numpy as np
import pytest
import torch
from huggingface_hub import constants

from ganzoo.data import batches as batches_module
from ganzoo.data import open_batches, open_dataset, pack, packed, packing, to_float
from ganzoo.data.batches import Batches, moved
from ganzoo.errors import DatasetError, MissingDatasetError, StoreError, UnknownNameError, hint_for
from ganzoo.registry import datasets
from ganzoo.specs import ArrayData, DatasetSpec, SampleSpec, StreamedData, SyntheticData
from ganzoo.system import memory

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


def streamed(data: ArrayData, broken: frozenset[int] = frozenset()) -> DatasetSpec:
    """The same set, read piece by piece; the items in `broken` cannot be read."""

    def read(start: int, stop: int) -> ArrayData:
        kept = [item for item in range(start, stop) if item not in broken]
        return ArrayData(
            samples=data.samples[kept],
            labels=None if data.labels is None else data.labels[kept],
            texts=None if data.texts is None else data.texts[kept],
            skipped=tuple(f"item {item}: no\nreason" for item in range(start, stop) if item in broken),
        )

    source = StreamedData(num=len(data.samples), read=read, sources=data.sources)
    return dataclasses.replace(spec_of(data), load=lambda root, split, download: source)


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "PIECE", 3)


def numbered(num: int) -> ArrayData:
    """Images whose pixels are all their index, labelled odd or even."""
    samples = np.repeat(np.arange(num, dtype=np.uint8), 4).reshape(num, 1, 2, 2)
    return ArrayData(samples=samples, labels=np.arange(num) % 2)


def captioned(num: int) -> ArrayData:
    return dataclasses.replace(numbered(num), texts=np.array([f"word {index}" for index in range(num)], "S64"))


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


def test_a_packed_copy_is_found_again_without_its_folder_and_its_files(
    digits: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    spec, data = datasets.get("mnist"), tmp_path / "data"
    shutil.copytree(digits, data)
    packed_digest = open_dataset(spec, "train", data).digest
    assert open_dataset(spec, "train").digest == packed_digest
    assert caplog.messages[-1] == (
        f"mnist train (256 of the official 60,000 samples): using the copy that was packed from {data}."
    )
    shutil.rmtree(data)
    assert open_dataset(spec, "train").digest == packed_digest
    assert caplog.messages[-1].endswith("These files are gone.")
    num = len(caplog.messages)
    open_dataset(spec, "train")
    assert len(caplog.messages) == num  # said once


def replace_by_test_digits(digits: Path, folder: Path) -> None:
    for kind in ("images-idx3", "labels-idx1"):
        shutil.copy(digits / f"t10k-{kind}-ubyte.gz", folder / f"train-{kind}-ubyte.gz")


def test_a_copy_that_is_found_again_is_packed_again_when_its_files_changed(digits: Path, tmp_path: Path) -> None:
    spec, data = datasets.get("mnist"), tmp_path / "data"
    shutil.copytree(digits, data)
    before = open_dataset(spec, "train", data)
    replace_by_test_digits(digits, data)
    after = open_dataset(spec, "train")
    assert after.digest != before.digest
    assert after.digest == open_dataset(spec, "train", data).digest


def test_of_several_copies_the_one_that_was_packed_last_is_used_unless_a_folder_is_given(
    digits: Path, tmp_path: Path
) -> None:
    spec, other = datasets.get("mnist"), tmp_path / "other"
    shutil.copytree(digits, other)
    replace_by_test_digits(digits, other)
    first = open_dataset(spec, "train", digits).digest
    last = open_dataset(spec, "train", other).digest
    assert first != last
    assert open_dataset(spec, "train").digest == last
    assert open_dataset(spec, "train", digits).digest == first
    open_dataset(spec, "train", digits, force=True)
    assert open_dataset(spec, "train").digest == first


def test_a_copy_that_changed_and_lost_its_files_gives_way_to_an_older_one(digits: Path, tmp_path: Path) -> None:
    spec, other = datasets.get("mnist"), tmp_path / "other"
    shutil.copytree(digits, other)
    replace_by_test_digits(digits, other)
    first = open_dataset(spec, "train", digits).digest
    open_dataset(spec, "train", other)
    (other / "train-images-idx3-ubyte.gz").write_bytes(b"changed")
    (other / "train-labels-idx1-ubyte.gz").unlink()
    assert open_dataset(spec, "train", download=False).digest == first


def test_one_folder_serves_several_datasets(digits: Path, tmp_path: Path, home: Path) -> None:
    spec = datasets.get("mnist")
    shutil.copytree(digits, tmp_path / "all" / "mnist")
    (tmp_path / "all" / "cifar10").mkdir()
    opened = open_dataset(spec, "train", tmp_path / "all")
    assert open_dataset(spec, "train", tmp_path / "all" / "mnist").digest == opened.digest
    assert len(list((home / "datasets" / "mnist" / "packed").iterdir())) == 1


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
        ArrayData(samples=np.zeros((3, 1, 2, 2), np.uint8), texts=np.array([b"a", b"b"], "S64")),
        ArrayData(samples=np.zeros((3, 1, 2, 2), np.uint8), texts=np.array([b"a", b"b", b"c"], "S9")),
    ],
    ids=["shape", "dtype", "empty", "few labels", "label too large", "negative label", "few texts", "short texts"],
)
def test_what_does_not_fit_the_spec_is_refused(data: ArrayData) -> None:
    with pytest.raises(DatasetError, match="tiny"):
        open_dataset(spec_of(data), "train")


def the_pack(home: Path) -> Path:
    (found,) = (home / "datasets" / "tiny" / "packed").iterdir()
    return found


def test_texts_are_packed_beside_their_samples_and_count_for_the_digest(home: Path) -> None:
    plain = open_dataset(spec_of(numbered(5)), "train")
    shutil.rmtree(the_pack(home))
    opened = open_dataset(spec_of(captioned(5)), "train")
    assert isinstance(opened.data, ArrayData)
    assert opened.data.texts is not None
    assert opened.data.texts.tolist() == [b"word 0", b"word 1", b"word 2", b"word 3", b"word 4"]
    assert opened.digest != plain.digest


def test_opening_a_packed_copy_reads_nothing_of_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = spec_of(numbered(5))
    open_dataset(spec, "train")
    monkeypatch.setattr(packed, "digest_of_pack", lambda *_: pytest.fail("hashed"))
    open_dataset(spec, "train")


def test_a_packed_copy_with_another_time_is_hashed_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = spec_of(captioned(5))
    before = open_dataset(spec, "train")
    os.utime(the_pack(home) / "texts.npy", ns=(0, 0))
    monkeypatch.setattr(packed, "write_pack", lambda *_: pytest.fail("packed again"))
    assert open_dataset(spec, "train").digest == before.digest
    monkeypatch.setattr(packed, "digest_of_pack", lambda *_: pytest.fail("hashed again"))
    assert open_dataset(spec, "train").digest == before.digest


def test_a_packed_copy_of_many_files_is_not_packed_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = spec_of(captioned(5))
    before = open_dataset(spec, "train")
    record = the_pack(home) / "pack.json"
    record.write_text(record.read_text() + " " * (9 << 20))  # as long as one that lists 60,000 files
    monkeypatch.setattr(packed, "write_pack", lambda *_, **__: pytest.fail("packed again"))
    assert open_dataset(spec, "train").digest == before.digest


# --- sets that are packed piece by piece ---


@pytest.mark.parametrize("num", [1, 3, 10])
def test_a_streamed_set_is_packed_to_the_bytes_of_a_whole_one(home: Path, small_pieces: None, num: int) -> None:
    whole = open_dataset(spec_of(captioned(num)), "train")
    files = {path.name: path.read_bytes() for path in the_pack(home).glob("*.npy")}
    shutil.rmtree(the_pack(home))
    seen: list[tuple[int, int]] = []
    again = open_dataset(streamed(captioned(num)), "train", progress=lambda *step: seen.append(step))
    assert again.digest == whole.digest
    assert {path.name: path.read_bytes() for path in the_pack(home).glob("*.npy")} == files
    assert sorted(path.name for path in the_pack(home).iterdir()) == [*sorted([*files, "pack.json"])]
    assert seen == [(done, num) for done in [*range(3, num, 3), num]]


def test_skipped_items_are_counted_and_listed(home: Path, small_pieces: None) -> None:
    opened = open_dataset(streamed(captioned(10), broken=frozenset({0, 3, 4, 5, 9})), "train")
    assert isinstance(opened.data, ArrayData)
    assert opened.data.samples[:, 0, 0, 0].tolist() == [1, 2, 6, 7, 8]
    assert opened.num_skipped == 5
    assert opened.skipped_file is not None
    assert opened.skipped_file.read_text().splitlines() == [f"item {item}: no reason" for item in (0, 3, 4, 5, 9)]


@pytest.mark.parametrize("pieces", [1, 2, 3])
def test_a_packing_goes_on_where_it_stopped(home: Path, small_pieces: None, pieces: int) -> None:
    data, broken = captioned(11), frozenset({2, 7})
    whole = open_dataset(streamed(data, broken), "train")
    shutil.rmtree(the_pack(home))

    def stop(done: int, total: int) -> None:
        if done == 3 * pieces:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_dataset(streamed(data, broken), "train", progress=stop)
    (folder,) = (home / "datasets" / "tiny" / "packed").iterdir()
    for path in folder.glob("*.npy"):
        path.write_bytes(path.read_bytes() + b"half of a piece that never reached the journal")
    with (folder / "skipped.txt").open("a") as file:
        file.write("half a li")
    seen: list[int] = []
    again = open_dataset(streamed(data, broken), "train", progress=lambda done, _: seen.append(done))
    assert seen[0] == min(3 * pieces + 3, 11)
    assert (again.digest, again.num_skipped) == (whole.digest, 2)
    assert again.skipped_file is not None
    assert len(again.skipped_file.read_text().splitlines()) == 2


LAST_STEPS = {
    "heads": (packing._Files, "finish"),
    "record": (packing, "write_record"),
    "move": (Path, "rename"),
    "tidying": (Path, "unlink"),
}


@pytest.mark.parametrize("broken", [frozenset[int](), frozenset({2, 7})], ids=["whole", "skipped"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", LAST_STEPS)
def test_a_stop_in_the_last_steps_of_a_packing_loses_nothing(
    home: Path, small_pieces: None, monkeypatch: pytest.MonkeyPatch, step: str, after: bool, broken: frozenset[int]
) -> None:
    whole = open_dataset(streamed(captioned(11), broken), "train")
    files = {path.name: path.read_bytes() for path in the_pack(home).iterdir() if path.name != "pack.json"}
    shutil.rmtree(the_pack(home))
    owner, name = LAST_STEPS[step]
    real = getattr(owner, name)

    def stop(*arguments: Any, **options: Any) -> None:
        if after:
            real(*arguments, **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, stop)
        with pytest.raises(KeyboardInterrupt):
            open_dataset(streamed(captioned(11), broken), "train")
    seen: list[int] = []
    again = open_dataset(streamed(captioned(11), broken), "train", progress=lambda done, _: seen.append(done))
    assert seen == []  # every item was safe already
    assert (again.digest, again.num_skipped) == (whole.digest, len(broken))
    assert files.items() <= {path.name: path.read_bytes() for path in the_pack(home).iterdir()}.items()


def test_a_packing_of_other_files_starts_anew(home: Path, tmp_path: Path, small_pieces: None) -> None:
    (tmp_path / "list").write_text("old")
    data = dataclasses.replace(numbered(9), sources=(tmp_path / "list",))

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_dataset(streamed(data), "train", progress=stop)
    (tmp_path / "list").write_text("new list")
    seen: list[int] = []
    open_dataset(streamed(data), "train", progress=lambda done, _: seen.append(done))
    assert seen == [3, 6, 9]


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_repaired_files_are_read_again_with_force(home: Path, small_pieces: None) -> None:
    assert open_dataset(streamed(numbered(9), frozenset({1})), "train").num_skipped == 1
    repaired = streamed(numbered(9))
    assert open_dataset(repaired, "train").num_skipped == 1  # nothing that is watched has changed
    assert open_dataset(repaired, "train", force=True).num_skipped == 0


def test_forced_packing_resumes_only_from_forced_packing(home: Path, small_pieces: None) -> None:
    with pytest.raises(KeyboardInterrupt):
        open_dataset(streamed(numbered(9), frozenset({1})), "train", progress=interrupt)
    with pytest.raises(KeyboardInterrupt):
        open_dataset(streamed(numbered(9)), "train", progress=interrupt, force=True)
    seen: list[int] = []
    opened = open_dataset(streamed(numbered(9)), "train", progress=lambda done, _: seen.append(done), force=True)
    assert seen == [6, 9]
    assert opened.num_skipped == 0


def test_another_split_does_not_wait_for_a_packing(home: Path, small_pieces: None) -> None:
    spec = dataclasses.replace(streamed(numbered(9)), splits={"train": 9, "test": 9})
    opened = []

    def open_other(done: int, total: int) -> None:
        opened.append(open_dataset(spec, "test", waiting=lambda _: pytest.fail("it waits")))

    open_dataset(spec, "train", progress=open_other)
    assert [found.split for found in opened] == ["test", "test", "test"]


def test_whoever_needs_what_another_packs_says_once_that_it_waits(home: Path, small_pieces: None) -> None:
    spec, waits, said = streamed(numbered(9)), threading.Event(), []

    def wait(who: str) -> None:
        said.append("waiting")
        waits.set()

    def open_too() -> None:
        open_dataset(spec, "train", progress=lambda *_: said.append("packing"), waiting=wait)

    other = threading.Thread(target=open_too)

    def start_other(done: int, total: int) -> None:
        if done == 3:
            other.start()
            assert waits.wait(10)

    open_dataset(spec, "train", progress=start_other)
    other.join(10)
    assert said == ["waiting"]


@pytest.mark.parametrize("place", ["load", "read", "sources"])
def test_a_source_that_cannot_be_read_is_not_called_a_problem_of_the_store(
    home: Path, tmp_path: Path, place: str
) -> None:
    def fail(*_: object) -> ArrayData:
        raise OSError(5, "Input/output error", "shard-3.tar")

    source = {
        "load": fail,
        "read": lambda *_: StreamedData(num=4, read=fail),
        "sources": lambda *_: dataclasses.replace(numbered(4), sources=(tmp_path / "gone",)),
    }[place]
    spec = dataclasses.replace(spec_of(numbered(4)), load=source)
    what = (
        f"{tmp_path / 'gone'}: No such file or directory" if place == "sources" else "shard-3.tar: Input/output error"
    )
    with pytest.raises(DatasetError, match=re.escape(f"tiny: cannot read {what}.")) as caught:
        open_dataset(spec, "train")
    assert caught.value.hint == ("Check the path." if place == "sources" else hint_for(OSError(5, "")))


def test_a_download_that_cannot_be_written_is_a_problem_of_the_store(home: Path) -> None:
    def load(root: Path, split: str, download: bool) -> ArrayData:
        if download:
            raise OSError(28, "No space left on device")
        raise MissingDatasetError("no files.", hint="Get them.")

    spec = dataclasses.replace(spec_of(numbered(4)), load=load)
    with pytest.raises(StoreError, match="No space left"):
        open_dataset(spec, "train")
    with pytest.raises(MissingDatasetError):
        open_dataset(spec, "train", download=False)


@pytest.mark.parametrize(
    "error", [ConnectionRefusedError(111, "Connection refused"), URLError("no route"), FileNotFoundError(2, "x", "/y")]
)
def test_a_download_that_fails_is_not_a_problem_of_the_store(home: Path, error: OSError) -> None:
    def load(root: Path, split: str, download: bool) -> ArrayData:
        raise error if download else MissingDatasetError("no files.", hint="Get them.")

    spec = dataclasses.replace(spec_of(numbered(4)), load=load)
    with pytest.raises(MissingDatasetError, match="tiny: the download failed: ") as caught:
        open_dataset(spec, "train")
    assert "--data-dir" in caught.value.hint


def test_offline_nothing_is_downloaded(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(root: Path, split: str, download: bool) -> ArrayData:
        assert not download
        raise MissingDatasetError("no files.", hint="Get them.")

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    spec = dataclasses.replace(spec_of(numbered(4)), load=load)
    with pytest.raises(MissingDatasetError, match="has to be downloaded, but HF_HUB_OFFLINE forbids it") as caught:
        open_dataset(spec, "train")
    assert "--data-dir" in caught.value.hint


def test_offline_a_synthetic_set_downloads_nothing_either(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []

    def load(root: Path, split: str, download: bool) -> SyntheticData:
        seen.append(download)
        return SyntheticData(draw=lambda num, generator: torch.rand(num, 1, 2, 2, generator=generator))

    spec = dataclasses.replace(spec_of(numbered(4)), splits={"train": None}, load=load)
    open_dataset(spec, "train")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    open_dataset(spec, "train")
    assert seen == [True, False]


def test_a_set_of_which_nothing_can_be_read_is_refused_and_tried_again(home: Path, small_pieces: None) -> None:
    with pytest.raises(DatasetError, match="not one sample; 5 cannot be read, the first of them item 0: no reason"):
        open_dataset(streamed(numbered(5), frozenset(range(5))), "train")
    assert isinstance(open_dataset(streamed(numbered(5)), "train").data, ArrayData)


def test_a_piece_that_is_not_what_was_asked_for_is_refused() -> None:
    source = StreamedData(num=4, read=lambda start, stop: numbered(3))
    spec = dataclasses.replace(spec_of(numbered(4)), load=lambda root, split, download: source)
    with pytest.raises(DatasetError, match="3 samples and 0 skipped are not 4 items"):
        open_dataset(spec, "train")


def test_a_disk_that_is_too_small_is_named_before_anything_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10})())
    with pytest.raises(StoreError, match=r"tiny needs .* GB more in the store"):
        open_dataset(streamed(numbered(4)), "train")


def test_packing_loads_no_torch() -> None:
    code = "import sys, ganzoo.data, ganzoo.data.packed, ganzoo_mjsynth.layouts; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


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


# --- batches from the disk ---


def both(num: int, batch_size: int) -> tuple[Batches, Batches]:
    dataset = open_dataset(spec_of(numbered(num)), "train")
    resident, from_disk = (
        open_batches(dataset, batch_size, 3, CPU, place)
        for place in ("resident", "streamed")  # type: ignore[arg-type]
    )
    return resident, from_disk


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "ganzoo-data"]


def test_streamed_batches_are_the_resident_ones() -> None:
    resident, from_disk = both(50, 4)
    for number in range(30):  # two epochs and a half
        one, other = resident.next(), from_disk.next()
        assert torch.equal(one.samples, other.samples)
        assert one.labels is not None
        assert other.labels is not None
        assert torch.equal(one.labels, other.labels)
        if number in (5, 20):  # as a run that is stopped here and resumed with the other kind
            state = resident.state_dict()
            assert state == from_disk.state_dict()
            resident.next()
            from_disk.load_state_dict(state)
            resident.load_state_dict(state)
    from_disk.close()


@pytest.mark.parametrize(
    ("device", "calls"),
    [("cpu", [("to", False)]), ("mps", [("to", False)]), ("cuda", [("pin_memory", None), ("to", True)])],
)
def test_only_pinned_memory_is_copied_without_waiting(
    monkeypatch: pytest.MonkeyPatch, device: str, calls: list[tuple[str, bool | None]]
) -> None:
    seen: list[tuple[str, bool | None]] = []

    def to(tensor: torch.Tensor, device: torch.device, non_blocking: bool = False) -> torch.Tensor:
        seen.append(("to", non_blocking))
        return tensor

    def pin_memory(tensor: torch.Tensor) -> torch.Tensor:
        seen.append(("pin_memory", None))
        return tensor

    monkeypatch.setattr(torch.Tensor, "to", to)
    monkeypatch.setattr(torch.Tensor, "pin_memory", pin_memory)
    moved(torch.arange(3), torch.device(device))
    assert seen == calls


def test_the_reading_thread_ends_when_it_is_closed_or_forgotten() -> None:
    _, from_disk = both(50, 4)
    from_disk.next()
    assert len(threads()) == 1
    from_disk.close()
    assert threads() == []
    from_disk.next()
    del from_disk, _
    gc.collect()
    deadline = time.monotonic() + 10
    while threads():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(("harm", "reason"), [("gone", "No such file"), ("cut", "it ends before row")])
def test_a_packed_copy_that_fails_while_training_is_one_clear_line(home: Path, harm: str, reason: str) -> None:
    _, from_disk = both(50, 4)
    path = the_pack(home) / "samples.npy"
    if harm == "gone":
        path.unlink()
    else:
        os.truncate(path, 200)
    for _ in range(2):
        with pytest.raises(DatasetError, match=reason) as caught:
            [from_disk.next() for _ in range(60)]
        assert str(path) in str(caught.value)
        assert caught.value.hint
    assert threads() == []


@pytest.mark.parametrize(("free", "place"), [(10_000, "resident"), (500, "resident"), (499, "streamed from disk")])
def test_what_takes_more_than_two_fifths_of_the_memory_is_streamed(
    monkeypatch: pytest.MonkeyPatch, free: int, place: str
) -> None:
    monkeypatch.setattr(batches_module, "free_memory", lambda _: free)
    assert open_batches(open_dataset(spec_of(numbered(50)), "train"), 4, seed=0, device=CPU).place == place


def test_free_memory_is_bound_by_the_control_groups_around_this_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = memory.free_memory(CPU)
    assert machine > 0
    own = tmp_path / "own"
    monkeypatch.setattr(memory, "_OWN_CGROUPS", own)
    monkeypatch.setattr(memory, "_CGROUPS", tmp_path)
    (tmp_path / "outer" / "inner").mkdir(parents=True)
    for folder, limit in (("outer", "100000"), ("outer/inner", "max")):
        (tmp_path / folder / "memory.max").write_text(f"{limit}\n")
        (tmp_path / folder / "memory.current").write_text("30000\n")
        (tmp_path / folder / "memory.stat").write_text("anon 9000\nactive_file 4000\ninactive_file 1000\n")
    own.write_text("0::/outer/inner\n")
    assert memory.free_memory(CPU) == 75_000
    (tmp_path / "memory" / "job").mkdir(parents=True)
    (tmp_path / "memory" / "job" / "memory.limit_in_bytes").write_text("50000\n")
    (tmp_path / "memory" / "job" / "memory.usage_in_bytes").write_text("20000\n")
    (tmp_path / "memory" / "job" / "memory.stat").write_text("total_cache 1\ntotal_inactive_file 700\n")
    own.write_text("9:name=systemd:/\n4:memory,cpu:/job\n0::/outer\n")
    assert memory.free_memory(CPU) == 30_700
    own.unlink()
    assert memory.free_memory(CPU) >= machine // 2


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


def test_a_download_from_a_silent_server_ends(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pack, "SERVER_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:  # accepts, and never answers
        url = f"http://127.0.0.1:{server.getsockname()[1]}"

        def load(root: Path, split: str, download: bool) -> ArrayData:
            if download:
                build_opener(ProxyHandler({})).open(url)
            raise MissingDatasetError("no files")

        spec = dataclasses.replace(streamed(numbered(9)), load=load)
        with pytest.raises(MissingDatasetError, match=r"the download failed: .*timed out"):
            open_dataset(spec, "train")
    assert socket.getdefaulttimeout() is None


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux only")
def test_a_folder_whose_name_is_not_utf_8_is_packed(home: Path, tmp_path: Path, digits: Path) -> None:
    folder = tmp_path / os.fsdecode(b"\xff\xfe")
    shutil.copytree(digits, folder)
    opened = open_dataset(datasets.get("mnist"), "test", folder)
    assert opened.digest == open_dataset(datasets.get("mnist"), "test", folder).digest


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_a_folder_that_links_to_itself_is_no_bug(home: Path, tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(DatasetError):
        open_dataset(datasets.get("mnist"), "test", loop)
