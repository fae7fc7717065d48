"""ganzoo.cache: what is in the store, what nothing needs, and damage."""

from __future__ import annotations

import json
import os
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from ganzoo.cache.contents import Item, contents
from ganzoo.cache.removal import delete_item, prune
from ganzoo.cache.verification import verify_store
from ganzoo.data import open_dataset
from ganzoo.evaluation.features import ExtractedFeatures, write_stored
from ganzoo.registry import datasets
from ganzoo.sources import pull, stored
from ganzoo.weights.store import Store
from tests.conftest import Ganzoo, assert_two_lines

NAME = "quadratic-mlp"
DIGEST = "0" * 64
"""Of an unknown blob."""


@pytest.fixture
def data(digits: Path, tmp_path: Path) -> Path:
    """A folder of digits that a test may change."""
    return Path(shutil.copytree(digits, tmp_path / "digits"))


def items() -> dict[str, Item]:
    """What is in the store, by name without the digest of a folder."""
    return {re.sub("-[0-9a-f]{6}$", "", item.name): item for item in contents().items}


def unneeded() -> dict[str, str]:
    return {name: item.unneeded for name, item in items().items() if item.unneeded is not None}


def store_features(home: Path, real_digest: str, *, dataset: str = "mnist", split: str = "test") -> Path:
    folder = home / "statistics" / dataset / (real_digest[:4] * 8)
    facts = {"dataset": dataset, "split": split, "extractor": "lenet", "digest": real_digest, "num": 8}
    return write_stored(folder, ExtractedFeatures("lenet", torch.rand(8, 2), None), facts).folder


def flip_last_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def test_an_empty_store_is_listed_and_stays_untouched(ganzoo: Ganzoo, home: Path) -> None:
    listed = ganzoo("cache", "ls")
    assert listed.stdout == f"0 B in {home}\n", listed.stderr
    assert ganzoo("cache", "verify").returncode == 0
    assert ganzoo("cache", "prune").returncode == 0
    assert not home.exists()


def test_everything_in_the_store_is_listed_with_size_date_and_origin(ganzoo: Ganzoo, home: Path, data: Path) -> None:
    pull(NAME)
    opened = open_dataset(datasets.get("mnist"), "test", data)
    store_features(home, opened.digest)
    (home / "extractors" / "inception").mkdir(parents=True)
    (home / "extractors" / "inception" / "weights").write_bytes(bytes(10))
    document = json.loads(ganzoo("cache", "ls", "--json").stdout)
    found = {row["kind"]: row for row in document["items"]}
    assert list(found) == ["weights", "data", "features", "extractors"]
    assert found["weights"]["name"] == f"{NAME}@v1"
    assert found["weights"]["origin"].startswith("bundled with ganzoo")
    assert found["data"]["origin"] == str(data)
    assert found["features"]["origin"] == "lenet, test (8)"
    assert found["extractors"]["size"] == 10
    assert all(row["unneeded"] is None for row in document["items"])
    assert datetime.fromisoformat(found["data"]["time"]) <= datetime.now(UTC)
    assert document["size"] == sum(row["size"] for row in document["items"])
    shown = ganzoo("cache", "ls").stdout
    assert all(row["name"] in shown for row in document["items"])


def test_a_file_that_weights_share_counts_once(home: Path) -> None:
    pull(NAME)
    item = items()[f"{NAME}@v1"]
    twin = home / "hub" / "you--twin.json"
    twin.parent.mkdir()
    files = [vars(file) for file in item.files]
    twin.write_text(json.dumps({"revisions": {"main": "a" * 40}, "commits": {"a" * 40: files}}))
    assert {f"{NAME}@v1", "hf:you/twin"} == set(items())
    assert contents().size == item.size


# --- prune ---


def test_prune_deletes_what_nothing_needs_and_nothing_else(ganzoo: Ganzoo, home: Path, data: Path) -> None:
    pull(NAME)
    mnist = datasets.get("mnist")
    changed, kept = open_dataset(mnist, "train", data), open_dataset(mnist, "test", data)
    store_features(home, kept.digest)
    store_features(home, "f" * 64)
    store_features(home, "e" * 64, dataset="quadratic", split="train")  # drawn, so no copy is packed
    (home / "blobs" / DIGEST).write_bytes(bytes(100))
    (home / "staging" / "me--gan").mkdir(parents=True)
    (home / "notes.txt").write_text("not ours")
    with (data / "train-images-idx3-ubyte.gz").open("ab") as file:
        file.write(b"\0")
    expected = {
        "data:mnist/train": "its files have changed since",
        "features:mnist/ffffffffffff": "no packed copy has these samples",
        f"blobs/{DIGEST[:12]}": "no weights need it",
        "staging/me--gan": "left by an interrupted download",
    }
    assert unneeded() == expected
    before = items()
    listed = json.loads(ganzoo("cache", "prune", "--dry-run", "--json").stdout)["items"]
    assert {row["unneeded"] for row in listed} == set(expected.values())
    assert_two_lines(ganzoo("cache", "prune", "--json"), 2, "without confirmation")
    assert items() == before
    result = ganzoo("cache", "prune", "--yes")
    assert result.returncode == 0
    assert "Freed " in result.stderr
    assert set(items()) == set(before) - set(expected)
    assert (home / "notes.txt").is_file()
    assert changed.digest != open_dataset(mnist, "test").digest == kept.digest


def test_prune_leaves_what_another_process_is_writing(home: Path, data: Path) -> None:
    staging, pack = home / "staging" / "me--gan", home / "datasets" / "mnist" / "packed" / ".train.0123.partial"
    for folder in (staging, pack, home / "hub", home / "blobs"):
        folder.mkdir(parents=True)
    (home / "blobs" / DIGEST).write_bytes(bytes(100))  # placed, and not recorded yet
    with FileLock(home / "hub" / "me--gan.lock"), FileLock(home / "datasets" / "mnist" / ".train.lock"):
        kept = {one.item.path: one.kept for one in prune()}
    assert kept == {
        home / "blobs" / DIGEST: "a download is under way",
        staging: "another process is using it",
        pack: "another process is using it",
    }
    assert all(path.exists() for path in kept)
    assert {one.kept for one in prune()} == {None}
    assert not any(path.exists() for path in kept)


def test_a_copy_that_was_packed_again_since_it_was_listed_stays(home: Path, data: Path) -> None:
    open_dataset(datasets.get("mnist"), "test", data)
    listed = items()["data:mnist/test"]
    open_dataset(datasets.get("mnist"), "test", data, force=True)
    assert delete_item(listed).kept == "it has just been packed again"
    assert delete_item(items()["data:mnist/test"]).kept is None


def test_blobs_of_plugins_that_are_switched_off_stay(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pull(NAME)
    monkeypatch.setenv("GANZOO_PLUGINS", "other")
    assert unneeded() == {}
    assert prune() == []


def test_temporary_files_are_leftovers_when_they_are_old(home: Path) -> None:
    (home / "blobs").mkdir(parents=True)
    new, old = home / "blobs" / ".a.0.partial", home / "blobs" / ".b.0.partial"
    for path in (new, old):
        path.write_bytes(bytes(5))
    os.utime(old, (0, 0))
    assert unneeded() == {"blobs/.b.0.partial": "left by an interrupted write"}
    prune()
    assert [path.name for path in (home / "blobs").iterdir()] == [new.name]


def test_an_interrupted_packing_is_kept_until_the_copy_is_complete(home: Path, data: Path) -> None:
    copy = open_dataset(datasets.get("mnist"), "test", data)
    (complete,) = (home / "datasets" / "mnist" / "packed").iterdir()
    other = complete.with_name(".train-0123456789ab.packing")
    for folder in (complete.with_name(f".{complete.name}.packing"), other):
        folder.mkdir()
    assert [one.item.unneeded for one in prune()] == ["the copy is complete"]
    assert other.is_dir()
    assert open_dataset(datasets.get("mnist"), "test").digest == copy.digest


def test_of_two_copies_with_the_same_samples_the_older_goes_when_its_files_are_gone(
    digits: Path, data: Path, home: Path
) -> None:
    mnist = datasets.get("mnist")
    open_dataset(mnist, "test", data)
    open_dataset(mnist, "test", digits)
    assert unneeded() == {}
    shutil.rmtree(data)
    (gone,) = prune()
    assert gone.item.unneeded == "its files are gone, and another copy holds the same samples"
    assert len(list((home / "datasets" / "mnist" / "packed").iterdir())) == 1
    assert open_dataset(mnist, "test")


def test_a_blob_is_kept_while_a_record_that_may_name_it_is_damaged(home: Path) -> None:
    for name, content in (("blobs", b"x"), ("hub", b"{")):
        (home / name).mkdir(parents=True)
        (home / name / (DIGEST if name == "blobs" else "you--gan.json")).write_bytes(content)
    assert prune() == []
    (home / "hub" / "you--gan.json").unlink()
    assert len(prune()) == 1


# --- rm ---


def test_rm_takes_names_of_everything_and_their_beginnings(ganzoo: Ganzoo, home: Path, data: Path) -> None:
    pull(NAME)
    for split in ("train", "test"):
        opened = open_dataset(datasets.get("mnist"), split, data)
    store_features(home, opened.digest)
    assert_two_lines(ganzoo("cache", "rm", "data:cifar10", "--yes"), 2, "nothing in the store is named")
    assert_two_lines(ganzoo("cache", "rm", "nothing", "--yes"), 2, "no weights named 'nothing'")
    assert_two_lines(ganzoo("cache", "rm", "data:mnist"), 2, "without confirmation")
    removed = ganzoo("cache", "rm", NAME, "data:mnist/test", "data", "--yes", "--json")
    rows = json.loads(removed.stdout)["items"]
    assert [row["name"].partition("-")[0] for row in rows] == ["quadratic", "data:mnist/test", "data:mnist/train"]
    assert all(row["freed"] > 0 and row["kept"] is None for row in rows)
    assert set(items()) == {"features:mnist/" + opened.digest[:4] * 3}
    assert ganzoo("cache", "rm", "features", "--yes").returncode == 0
    assert items() == {}


def test_rm_says_how_to_free_files_that_weights_share(ganzoo: Ganzoo, home: Path) -> None:
    pull(NAME)
    record = home / "hub" / "you--twin.json"
    record.parent.mkdir()
    files = [vars(file) for file in stored(NAME).files]
    record.write_text(json.dumps({"revisions": {"main": "a" * 40}, "commits": {"a" * 40: files}}))
    alone = ganzoo("rm", NAME, "--yes")
    twin = f"hf:you/twin@{'a' * 40}"
    assert f"kept: shared with {twin}. To free them: ganzoo rm {NAME}@v1 {twin}" in alone.stderr
    document = json.loads(ganzoo("rm", NAME, "--yes", "--json").stdout)["weights"][0]
    size = sum(file.size for file in stored(NAME).files)
    assert document == {"reference": f"{NAME}@v1", "freed": 0, "kept": size, "shared_with": [twin]}
    both = ganzoo("rm", f"{NAME}@v1", twin, "--yes")
    assert "kept" not in both.stderr
    assert f"{twin}: its files were freed with those of the others" in both.stderr
    assert items() == {}


# --- verify ---


def test_verify_names_each_damage_and_repair_heals_it(ganzoo: Ganzoo, home: Path, data: Path) -> None:
    pull(NAME)
    before = open_dataset(datasets.get("mnist"), "test", data).digest
    features = store_features(home, before)
    (home / "blobs" / DIGEST).write_bytes(bytes(100))
    assert [damage.name for damage in verify_store()] == [f"blobs/{DIGEST[:12]}"]
    generator = Store().path(stored(NAME).file("generator"))
    flip_last_byte(generator)
    (pack,) = (home / "datasets" / "mnist" / "packed").iterdir()
    times = (pack / "samples.npy").stat()
    flip_last_byte(pack / "samples.npy")
    os.utime(pack / "samples.npy", ns=(times.st_atime_ns, times.st_mtime_ns))  # bits rot without a new time
    flip_last_byte(features / "mean.npy")

    found = ganzoo("cache", "verify", "--json")
    assert found.returncode == 1
    damages = json.loads(found.stdout)["damages"]
    assert [re.sub("-[0-9a-f]{6}$", "", row["name"]) for row in damages] == [
        f"{NAME}@v1",
        "data:mnist/test",
        f"features:mnist/{before[:4] * 3}",
        f"blobs/{DIGEST[:12]}",
    ]
    assert all(row["hint"] and row["repaired"] is None for row in damages)
    assert damages[0]["hint"] == f"ganzoo pull {NAME}@v1"
    said = ganzoo("cache", "verify")
    assert said.returncode == 1
    assert said.stderr.count("Hint:") == 4
    assert "ganzoo cache verify --repair" in said.stderr

    repaired = ganzoo("cache", "verify", "--repair", "--json")
    assert repaired.returncode == 0
    done = [row["repaired"] for row in json.loads(repaired.stdout)["damages"]]
    again = "deleted; it is made again when it is needed"
    assert done == ["pulled again", "packed again", again, again]
    assert list(verify_store()) == []
    assert open_dataset(datasets.get("mnist"), "test").digest == before


def test_damaged_data_without_its_files_is_left_to_the_user(data: Path, home: Path) -> None:
    open_dataset(datasets.get("mnist"), "test", data)
    (pack,) = (home / "datasets" / "mnist" / "packed").iterdir()
    flip_last_byte(pack / "samples.npy")
    shutil.rmtree(data)
    (damage,) = verify_store(repair=True)
    assert damage.repaired is None
    assert str(data) in damage.hint
    assert pack.is_dir()


@pytest.mark.parametrize("kind", ["folder", "link", "fifo"])
def test_what_is_not_a_file_in_the_place_of_a_blob_is_replaced(home: Path, kind: str) -> None:
    pull(NAME)
    path = Store().path(stored(NAME).file("generator"))
    content = path.read_bytes()
    path.unlink()
    if kind == "folder":
        (path / "inside").mkdir(parents=True)
    elif kind == "link":
        (home / "elsewhere").write_bytes(content)
        path.symlink_to(home / "elsewhere")
    else:
        os.mkfifo(path)
    (damage,) = verify_store(repair=True)
    assert damage.repaired == "pulled again"
    assert path.read_bytes() == content
    assert not path.is_symlink()


@pytest.mark.parametrize("record", [b"", b"[" * 100_000, b'{"files": 3}', b'{"files": {"values": 3}}'], ids=len)
def test_damaged_records_of_features_and_packs_are_named(home: Path, data: Path, record: bytes) -> None:
    opened = open_dataset(datasets.get("mnist"), "test", data)
    (pack,) = (home / "datasets" / "mnist" / "packed").iterdir()
    (pack / "pack.json").write_bytes(record)
    (store_features(home, opened.digest) / "record.json").write_bytes(record)
    assert {damage.name.partition(":")[0] for damage in verify_store()} == {"data", "features"}
    assert all(damage.repaired for damage in verify_store(repair=True))
    assert items() == {}
