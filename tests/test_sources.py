"""Weights in: pull, load, verify, rm, and what happens when a byte is wrong."""

from __future__ import annotations

import dataclasses
import json
import os
import resource
import shutil
import socket
from pathlib import Path

import pytest
import torch

import ganzoo
from ganzoo.errors import (
    DigestMismatchError,
    GanzooError,
    MissingWeightsError,
    StoreError,
    UsageError,
    WeightsError,
    WeightsFormatError,
)
from ganzoo.sources import Removed, location, pull, remove, stored, verify
from ganzoo.weights.layout import PREVIEW_NAME
from ganzoo.weights.manifest import WeightsEntry, write_manifest
from ganzoo.weights.store import Store
from tests.conftest import InstallPlugin
from tests.weights.test_manifest import MANIFEST

ALL = ("mnist-mlp", "quadratic-mlp")
NAME = "quadratic-mlp"


@pytest.fixture
def entry() -> WeightsEntry:
    entry = stored("quadratic-mlp").entry
    assert entry is not None
    return entry


@pytest.fixture
def bundled(entry: WeightsEntry, install_plugin: InstallPlugin) -> Path:
    """The folder of weights named `curves`, bundled in an installed package that a test may damage."""
    source = entry.bundled_folder()
    assert source is not None
    (record,) = (record for record in json.loads(MANIFEST.read_text())["entries"] if record["name"] == entry.name)
    document = {"schema": 1, "entries": [{**record, "name": "curves", "bundled": "their_curves:weights/v1"}]}
    modules = {"their_curves/__init__.py": "", "their_curves/weights_manifest.json": json.dumps(document)}
    site = install_plugin("their-curves", {"ganzoo.weights": {"theirs": "their_curves"}}, modules)
    target = site / "their_curves" / "weights" / "v1"
    shutil.copytree(source, target)
    return target


@pytest.mark.parametrize("name", ALL)
def test_every_bundled_model_loads_samples_and_verifies(name: str) -> None:
    gan = ganzoo.load(name)
    samples = gan.sample(4, seed=0)
    assert list(samples.shape[1:]) == list(gan.config.sample.shape)
    assert samples.isfinite().all()
    assert gan.entry is not None
    assert str(gan.entry.reference) == f"{name}@v1"
    assert {file.path for file in verify(name)} >= {"config.json", "model.safetensors"}
    assert name in repr(gan)


def test_models_are_listed_by_pattern() -> None:
    assert set(ALL) <= set(ganzoo.list_models())
    assert ganzoo.list_models("quadratic-*") == ["quadratic-mlp", "quadratic-relativistic"]
    assert ganzoo.list_models("nothing-*") == []


def test_a_pulled_model_is_the_bundled_one(entry: WeightsEntry) -> None:
    before = ganzoo.load("quadratic-mlp").sample(3, seed=0)
    assert location(entry) == "bundled"
    result = pull(NAME)
    assert result.written == len(entry.files)
    assert location(entry) == "store"
    assert pull(NAME).written == 0
    assert torch.equal(ganzoo.load("quadratic-mlp@v1").sample(3, seed=0), before)


def test_the_store_comes_before_the_bundled_copy(bundled: Path) -> None:
    pull("curves")
    shutil.rmtree(bundled)
    assert ganzoo.load("curves")


def test_a_removed_model_is_loaded_from_the_bundled_copy_again(entry: WeightsEntry) -> None:
    pull(NAME)
    (removed,) = remove([stored(NAME)])
    assert removed == Removed(f"{NAME}@v1", was_stored=True, freed=entry.size, shared_with=(), is_bundled=True)
    (again,) = remove([stored(NAME)])
    assert (again.was_stored, again.freed) == (False, 0)
    assert location(entry) == "bundled"
    assert ganzoo.load("quadratic-mlp")


def test_files_that_another_entry_shares_stay(entry: WeightsEntry, install_plugin: InstallPlugin) -> None:
    pull(NAME)
    twin = dataclasses.replace(entry, name="twin", files=entry.files[:2])
    manifest = install_plugin(
        "their-twin",
        {"ganzoo.weights": {"theirs": "their_twin"}},
        {"their_twin/__init__.py": "", "their_twin/weights_manifest.json": ""},
    )
    write_manifest(manifest / "their_twin" / "weights_manifest.json", [twin])
    (removed,) = remove([stored(NAME)])
    assert removed.freed == entry.size - twin.size
    assert removed.shared_with == ("twin@v1",)


def test_weights_that_share_all_files_are_removed_together(bundled: Path, entry: WeightsEntry) -> None:
    pull(NAME)
    alone, together = remove([stored(NAME)]), remove([stored(NAME), stored("curves")])
    assert [(one.freed, one.shared_with) for one in alone] == [(0, ("curves@v1",))]
    assert [(one.freed, one.shared_with) for one in together] == [(entry.size, ()), (0, ())]
    assert location(entry) == "bundled"


@pytest.mark.parametrize("role", ["config", "generator"])
def test_a_wrong_byte_in_the_store_gives_no_tensor_and_pull_mends_it(entry: WeightsEntry, role: str) -> None:
    pull(NAME)
    file = entry.file(role)
    path = Store().path(file)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DigestMismatchError, match="damaged or was edited") as caught:
        ganzoo.load("quadratic-mlp")
    assert caught.value.hint == "ganzoo pull quadratic-mlp@v1"
    with pytest.raises(DigestMismatchError):
        verify("quadratic-mlp")
    assert pull(NAME).written == 1
    assert ganzoo.load("quadratic-mlp")


@pytest.mark.parametrize("position", [0, 8, 100, 1000, -1])
@pytest.mark.parametrize("action", ["flip", "cut", "append"])
def test_a_wrong_byte_in_the_bundled_copy_gives_no_tensor(bundled: Path, position: int, action: str) -> None:
    path = bundled / "model.safetensors"
    content = bytearray(path.read_bytes())
    if action == "flip":
        content[position] ^= 1
    elif action == "cut":
        content = content[:position]
    else:
        content += b"\0"
    path.write_bytes(content)
    with pytest.raises(DigestMismatchError):
        ganzoo.load("curves")


def test_nothing_is_stored_when_one_of_the_files_is_wrong(bundled: Path, home: Path) -> None:
    (bundled / "training.json").write_text("{}")
    with pytest.raises(DigestMismatchError):
        pull("curves")
    assert not home.exists()


def test_a_pull_that_meets_a_full_disk_leaves_nothing(entry: WeightsEntry, home: Path) -> None:
    child = os.fork()
    if child == 0:
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))  # the config fits, the generator does not
            pull(NAME)
        except StoreError:
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert list((home / "blobs").iterdir()) == []


def test_weights_that_are_nowhere_say_which_package_lists_them(bundled: Path) -> None:
    shutil.rmtree(bundled)
    with pytest.raises(MissingWeightsError) as caught:
        ganzoo.load("curves")
    assert "their-curves 1.0" in caught.value.hint


def test_an_entry_for_a_newer_ganzoo_is_refused(entry: WeightsEntry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganzoo.sources.__version__", "0.0.1")
    with pytest.raises(WeightsError, match=r"needs ganzoo 0\.1\.0; this is 0\.0\.1"):
        ganzoo.load("quadratic-mlp")


def test_a_folder_named_like_nothing_is_suggested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my-run").mkdir()
    with pytest.raises(UsageError) as caught:
        ganzoo.load("my-run")
    assert "./my-run" in caught.value.hint


@pytest.mark.parametrize("reference", ["no/such/folder", "Nonsense!", "nothing"])
def test_what_cannot_be_loaded_is_one_error_with_a_hint(reference: str) -> None:
    with pytest.raises(GanzooError) as caught:
        ganzoo.load(reference)
    assert caught.value.hint


def test_loading_needs_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    for name in ALL:
        pull(name)
        ganzoo.load(name).sample(1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the weights of a run, which no manifest pins."""
    source = Path(str(stored(NAME).entry.bundled_folder()))  # type: ignore[union-attr]
    return Path(shutil.copytree(source, tmp_path / "weights"))


@pytest.mark.parametrize("name", ["discriminator.safetensors", "training.json"])
def test_verify_reads_every_file_that_a_training_writes(folder: Path, name: str) -> None:
    assert {file.path for file in verify(folder)} == {path.name for path in folder.iterdir()} - {PREVIEW_NAME}
    (folder / name).write_bytes(b"garbage")
    with pytest.raises(WeightsFormatError, match=name):
        verify(folder)


@pytest.mark.parametrize("damage", ["utf-16", "repeated key", "huge value", "missing key", "huge key", "deep"])
def test_a_config_is_utf_8_with_each_key_once_and_its_errors_are_short(folder: Path, damage: str) -> None:
    path = folder / "config.json"
    text = path.read_text()
    broken = {
        "utf-16": text.encode("utf-16"),
        "repeated key": text.replace("{", '{"recipe": "x",', 1).encode(),
        "huge value": json.dumps({**json.loads(text), "recipe": [0] * 200_000}).encode(),
        "missing key": json.dumps({"x": "y" * 500_000}).encode(),
        "deep": json.dumps({**json.loads(text), "config": {"a": 0}})
        .replace("0}", "[" * 900 + "]" * 900 + "}")
        .encode(),
        "huge key": json.dumps({**json.loads(text), "x" * 500_000: 1}).encode(),
    }
    path.write_bytes(broken[damage])
    problem = "is not JSON" if damage in ("utf-16", "repeated key") else "config.json: "
    with pytest.raises(WeightsFormatError, match=problem) as caught:
        ganzoo.load(folder)
    assert len(str(caught.value)) < 600
