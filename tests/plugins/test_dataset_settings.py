"""Settings of a dataset: what they change, where they are kept, and what is kept apart by them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ganzoo
from ganzoo.cache.contents import contents
from ganzoo.config import Layer
from ganzoo.data import open_dataset, packing
from ganzoo.data.location import packed_copies
from ganzoo.data.settings import configured
from ganzoo.errors import ResumeError, SettingsError
from ganzoo.registry import datasets
from ganzoo.specs import ArrayData, DatasetSpec, SampleSpec
from ganzoo.training import Training
from tests.conftest import Ganzoo, assert_two_lines

pytestmark = pytest.mark.usefixtures("shapes")

SETTINGS = {"seed": 0, "device": "cpu", "log_every": 2, "sample_every": 3, "checkpoint_every": 3, "eval_every": 6}


def opened(data_dir: Path | None = None, **values: Any) -> ArrayData:
    data = open_dataset(configured(datasets.get("squares"), values), "train", data_dir).data
    assert isinstance(data, ArrayData)
    return data


def test_settings_change_the_sample_and_the_data() -> None:
    for values, shape in {
        (): (3, 16, 16),
        (("size", 8),): (3, 8, 8),
        (("grey", True), ("crop", 8)): (1, 16, 16),
    }.items():
        dataset = configured(datasets.get("squares"), dict(values))
        assert dataset.sample.shape == shape
        assert opened(**dict(values)).samples.shape == (24, *shape)
    assert opened(size=8).samples[:, :, 0, 0].max() == 0  # the ground
    assert opened(crop=8).samples[-1, :, 0, 0].tolist() == [230, 235, 240]  # cut off


def test_packed_copies_of_different_settings_lie_side_by_side_and_never_mix(tmp_path: Path) -> None:
    first, second = opened(size=8).samples, opened(size=8, grey=True).samples
    assert (first.shape, second.shape) == ((24, 3, 8, 8), (24, 1, 8, 8))
    # The copy that was packed last is used without a folder, but only among those of the same settings.
    assert opened(size=8).samples.shape == (24, 3, 8, 8)
    squeezed = opened(size=8, crop=4).samples  # of the same shape as the first
    assert squeezed.shape == first.shape
    assert not np.array_equal(squeezed, first)
    assert np.array_equal(opened(size=8).samples, first)
    origins = {item.origin for item in contents().items if item.copy is not None}
    assert "downloaded, size=8 grey=true crop=0" in origins  # what `cache ls` tells them apart by
    copies = packed_copies("squares", "train")
    assert len(copies) == 3
    assert len({copy.digest for copy in copies}) == 3
    assert [dict(copy.settings) for copy in reversed(copies)] == [
        {"size": 8, "grey": False, "crop": 0},
        {"size": 8, "grey": True, "crop": 0},
        {"size": 8, "grey": False, "crop": 4},
    ]


def test_settings_are_part_of_the_digest_even_where_the_values_are_the_same(tmp_path: Path) -> None:
    files = ArrayData(samples=np.zeros((2, 3), np.float32))
    spec = DatasetSpec(
        name="same",
        summary="",
        homepage="",
        license="",
        sample=SampleSpec(kind="tensor", shape=(3,)),
        splits={"train": 2, "drawn": None},
        config=datasets.get("squares").config,
        load=lambda root, split, download, config: files,
    )
    plain = dataclasses.replace(spec, config=None, load=lambda root, split, download: files)
    digests = {
        open_dataset(dataset, "train", tmp_path).digest
        for dataset in (plain, configured(spec), configured(spec, {"size": 8}))
    }
    assert len(digests) == 3


def test_an_interrupted_packing_is_not_continued_with_other_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "PIECE", 8)
    finish = packing._Files.finish

    def killed(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(packing._Files, "finish", killed)
    with pytest.raises(KeyboardInterrupt):
        opened(size=8)
    monkeypatch.setattr(packing._Files, "finish", finish)
    assert opened(size=8, grey=True).samples.shape == (24, 1, 8, 8)
    whole = opened(size=8).samples
    assert whole.shape == (24, 3, 8, 8)
    (copy,) = [copy for copy in packed_copies("squares") if not copy.settings["grey"]]
    assert open_dataset(configured(datasets.get("squares"), {"size": 8}), "train").digest == copy.digest


def test_drawn_data_gets_its_settings_and_a_digest_of_them() -> None:
    found = {}
    for size in (4, 8):
        dataset = open_dataset(configured(datasets.get("noise"), {"size": size}), "train")
        assert dataset.data.draw(2, torch.Generator()).shape == (2, 3, size, size)
        found[size] = dataset.digest
    assert found[4] != found[8]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size": 2}, r"size = 2 is not valid"),
        ({"sise": 8}, r"there is no setting 'sise'"),
        ({"size": 16, "crop": 12}, r"size 16 is larger than what a crop of 12 leaves"),
    ],
    ids=str,
)
def test_settings_that_do_not_fit_are_refused_before_anything_is_opened(
    values: dict[str, Any], message: str, tmp_path: Path, home: Path
) -> None:
    with pytest.raises(SettingsError, match=message):
        ganzoo.train(
            "squares-mlp", out=tmp_path / "run", settings={f"dataset_config.{k}": v for k, v in values.items()}
        )
    assert not (tmp_path / "run").exists()
    assert not (home / "datasets").exists()


def test_a_dataset_without_settings_refuses_them(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="'ring' has no settings"):
        ganzoo.train("ring-mlp", out=tmp_path / "run", settings={"dataset_config.size": 8})


def test_a_run_keeps_its_settings_is_resumed_with_them_and_evaluated_with_them(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    settings = {**SETTINGS, "dataset_config.grey": True}
    ganzoo.train("squares-mlp", out=whole, settings=settings)
    ganzoo.train("squares-mlp", out=parts, settings={**settings, "steps": 3, "eval_every": 3})
    opened()  # copies of other settings, packed later
    opened(size=8)
    for _ in Training.resume(parts, [Layer("test", {"steps": 6})]):
        pass
    assert (parts / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    with pytest.raises(ResumeError, match=r"dataset_config\.grey: True -> False"):
        Training.resume(parts, [Layer("test", {"dataset_config.grey": False, "steps": 9})])

    recipe = json.loads((parts / "run.json").read_text())["settings"]["recipe"]
    assert recipe["dataset_config"] == {"size": 8, "grey": True}
    config = json.loads((parts / "config.json").read_text())
    assert config["dataset_config"] == {"size": 8, "grey": True, "crop": 0}
    assert config["sample"]["shape"] == [1, 8, 8]
    gan = ganzoo.load(parts)
    assert gan.sample(2, seed=0, labels=[0, 1]).shape == (2, 1, 8, 8)

    copies = {copy.digest: dict(copy.settings) for copy in packed_copies("squares")}
    evaluation = ganzoo.evaluate(parts)
    assert copies[str(evaluation.real_digest)] == config["dataset_config"]
    expected = (
        gan.sample(32, seed=0).mean() - torch.from_numpy(opened(size=8, grey=True).samples / 127.5 - 1).mean()
    ).abs()
    assert evaluation.metrics[0].value == pytest.approx(float(expected), abs=1e-5)
    assert evaluation.deviation == (
        "the dataset has the setting size=8 instead of 16; the dataset has the setting grey=true instead of false"
    )


def test_a_protocol_states_the_settings_that_its_numbers_are_for(tmp_path: Path) -> None:
    run = ganzoo.train("squares-mlp", out=tmp_path / "run", settings={**SETTINGS, "eval_every": None, "steps": 1}).path
    (protocol,) = datasets.get("squares").protocols
    from ganzoo.evaluation.measurement import evaluate_gan

    own = dataclasses.replace(protocol, name="squares-8-v1", dataset_config={"size": 8})
    assert evaluate_gan(ganzoo.load(run), "run", own).deviation is None


def test_a_config_without_settings_is_written_as_before(tmp_path: Path) -> None:
    run = ganzoo.train("ring-mlp", out=tmp_path / "run", settings={**SETTINGS, "eval_every": None, "steps": 1})
    assert "dataset_config" not in json.loads((run.path / "config.json").read_text())


def test_the_command_line_prepares_samples_and_shows_settings(ganzoo: Ganzoo, cwd: Path) -> None:
    result = ganzoo("data", "prepare", "squares", "--set", "size=8", "--set", "grey=true", "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["settings"] == {"size": 8, "grey": True, "crop": 0}
    (copy,) = packed_copies("squares")
    assert copy.digest == json.loads(result.stdout)["splits"][0]["sha256"]
    assert_two_lines(ganzoo("data", "prepare", "squares", "--set", "size=99"), 2, "size = 99", "at most 32")
    assert_two_lines(ganzoo("data", "prepare", "ring", "--set", "size=8"), 2, "'ring' has no settings")

    result = ganzoo("data", "show", "squares", "--set", "size=8", "--num", "3", "--out", "real.npy")
    assert result.returncode == 0, result.stderr
    assert np.load(cwd / "real.npy").shape == (3, 3, 8, 8)

    shown = json.loads(ganzoo("show", "squares", "--json").stdout)["dataset"]
    assert shown["config"] == {"size": "default 16", "grey": "default false", "crop": "default 0"}
    assert shown["sample"]["shape"] == [3, 16, 16]
    assert json.loads(ganzoo("show", "squares-mlp", "--json").stdout)["recipe"]["dataset_config"] == {"size": 8}
    layers = ganzoo("show", "squares-mlp", "--layers")
    assert layers.returncode == 0, layers.stderr


def test_a_damaged_copy_is_repaired_with_its_settings(ganzoo: Ganzoo, home: Path, tmp_path: Path) -> None:
    opened()  # makes the files
    files = (home / "datasets" / "squares" / "files").rename(tmp_path / "files")
    before = opened(files, size=8, grey=True).samples.copy()
    (copy,) = [copy for copy in packed_copies("squares") if copy.folder == files]
    content = bytearray((copy.path / "samples.npy").read_bytes())
    content[-1] ^= 1
    (copy.path / "samples.npy").write_bytes(content)
    result = ganzoo("cache", "verify", "--repair")
    assert "packed again" in result.stdout + result.stderr
    assert np.array_equal(np.load(copy.path / "samples.npy"), before)
    assert len(packed_copies("squares")) == 2


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"sample": lambda config: None}, "DatasetSpec.sample must be a SampleSpec where config is None"),
        ({"config": dict}, "DatasetSpec.config must be a frozen dataclass"),
        ({"config": dataclasses.make_dataclass("Loose", [("size", int, 1)])}, "must be a frozen dataclass"),
        ({"config": dataclasses.make_dataclass("Needy", ["size"], frozen=True)}, "size needs a default"),
    ],
    ids=["function without settings", "no dataclass", "not frozen", "no default"],
)
def test_a_spec_whose_settings_do_not_fit_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(datasets.get("ring"), **fields)
