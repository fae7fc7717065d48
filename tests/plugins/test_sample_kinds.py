"""A third party's curves, tensors and labels: trained, sampled, evaluated and resumed through the public contract."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file

import ganzoo
from ganzoo.data import open_batches, open_dataset
from ganzoo.distributed.torch_processes import TorchProcesses
from ganzoo.errors import DatasetError, EvaluationError, UsageError
from ganzoo.registry import datasets
from tests.conftest import Ganzoo, assert_two_lines

pytestmark = pytest.mark.usefixtures("shapes")

CPU = torch.device("cpu")
EVERY = {"seed": 0, "device": "cpu", "log_every": 2, "sample_every": 3, "checkpoint_every": 3, "eval_every": 3}


def train(recipe: str, out: Path, **settings: Any) -> Path:
    return ganzoo.train(recipe, out=out, settings={**EVERY, **settings}).path


SHAPES = {"volumes-conv": (1, 16, 16, 16), "stereo-tensor-mlp": (2, 256), "ring-mlp": (2,)}


@pytest.mark.parametrize("recipe", SHAPES)
def test_tensors_are_trained_sampled_to_every_array_form_and_evaluated(recipe: str, tmp_path: Path) -> None:
    shape = SHAPES[recipe]
    run = train(recipe, tmp_path / "run")
    gan = ganzoo.load(run)
    expected = gan.sample(5, seed=1).numpy()
    assert expected.shape == (5, *shape)
    assert expected.dtype == np.float32

    def write(name: str, **options: Any) -> Path:
        return ganzoo.sample(gan, 5, out=f"{tmp_path}/{name}", seed=1, **options).path

    np.testing.assert_array_equal(np.load(write("x.npy")), expected)
    np.testing.assert_array_equal(load_file(write("x.safetensors"))["samples"], expected)
    folder = write("folder/")
    assert sorted(path.name for path in folder.iterdir()) == [f"{index:06d}.npy" for index in range(5)]
    np.testing.assert_array_equal(np.load(folder / "000003.npy"), expected[3])
    with tarfile.open(write("shards/", shard_size=3) / "shard-000001.tar") as shard:
        names = shard.getnames()
        assert "000000003.npy" in names
        assert ("000000003.cls" in names) == (gan.config.sample.classes is not None)
        member = shard.extractfile("000000003.npy")
        assert member is not None
        (tmp_path / "member.npy").write_bytes(member.read())
    np.testing.assert_array_equal(np.load(tmp_path / "member.npy"), expected[3])

    evaluation = ganzoo.evaluate(run)
    assert [metric.value for metric in evaluation.metrics] == [
        pytest.approx(json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])[evaluation.metrics[0].name])
    ]


@pytest.mark.parametrize("recipe", [*SHAPES, "stereo-mlp"])
def test_a_run_of_them_resumes_to_the_same_weights(recipe: str, tmp_path: Path) -> None:
    whole = train(recipe, tmp_path / "whole")
    train(recipe, tmp_path / "parts", steps=3)
    job = ganzoo.training.Training.resume(tmp_path / "parts", [ganzoo.config.Layer("test", {"steps": 6})])
    for _ in job:
        pass
    for name in ("model.safetensors", "discriminator.safetensors"):
        assert (tmp_path / "parts" / name).read_bytes() == (whole / name).read_bytes()


def test_an_extractor_of_tensors_measures_them_and_one_of_images_refuses_them(tmp_path: Path) -> None:
    run = train("volumes-conv", tmp_path / "run", steps=1, eval_every=None)
    assert ganzoo.evaluate(run, protocol="volumes-fd-v1").metrics[0].value > 0
    with pytest.raises(EvaluationError, match=r"inception-2015 takes images, not samples of shape \[1, 16, 16, 16\]"):
        ganzoo.evaluate(run, protocol="volumes-inception-v1")


def test_a_run_of_tensors_keeps_arrays_instead_of_pictures_and_says_so(ganzoo: Ganzoo, cwd: Path) -> None:
    result = ganzoo("train", "ring-mlp", "--out", "run", "--seed", "0", "--set", "sample_every=3", "--set", "steps=4")
    assert result.returncode == 0, result.stderr
    assert "samples are tensors, which are not drawn; ./run/samples gets arrays (.npy)" in result.stderr
    assert "--out samples.npy" in result.stderr
    assert sorted(path.name for path in (cwd / "run" / "samples").iterdir()) == [
        "step-00000003.npy",
        "step-00000004.npy",
    ]
    assert np.load(cwd / "run" / "samples" / "step-00000004.npy").shape == (25, 2)
    assert (cwd / "run" / "charts.png").is_file()


def test_tensors_are_never_drawn(ganzoo: Ganzoo, cwd: Path) -> None:
    assert ganzoo("train", "ring-mlp", "--out", "run", "--seed", "0", "--set", "steps=2").returncode == 0
    for options in (["--out", "x.png"], ["--out", "x.gif", "--interpolate", "2"]):
        assert_two_lines(ganzoo("sample", "./run", *options), 2, "tensors of shape [2]", "--out samples.npy")
    assert_two_lines(ganzoo("animate", "./run", "--out", "x.gif"), 2, "are tensors", "Read the arrays in run/samples")
    assert sorted(path.name for path in cwd.iterdir()) == ["run"]


def test_a_signal_without_axes_is_drawn_over_its_index(tmp_path: Path) -> None:
    run = train("stereo-mlp", tmp_path / "run")
    assert ganzoo.load(run).sample(2, seed=0).shape == (2, 2, 256)
    assert sorted(path.name for path in (run / "samples").iterdir()) == ["step-00000003.png", "step-00000006.png"]
    with Image.open(run / "samples" / "step-00000006.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    red, blue = pixels[..., 0] - pixels[..., 2], pixels[..., 2] - pixels[..., 0]
    assert (red > 30).sum() > 500  # the first channel
    assert (blue > 30).sum() > 500  # the second
    single = ganzoo.sample(run, 2, out=f"{tmp_path}/single/", seed=0)
    assert sorted(path.name for path in single.path.iterdir()) == ["000000.png", "000001.png"]


def test_drawn_labels_belong_to_the_drawn_samples() -> None:
    opened = open_dataset(datasets.get("ring"), "train")
    batches = open_batches(opened, 64, 0, CPU, conditional=True)
    unlabelled = open_batches(opened, 64, 0, CPU)
    import shapes.data

    for _ in range(3):
        batch, other = batches.next(), unlabelled.next()
        assert batch.labels is not None
        assert batch.labels.dtype == torch.int64
        assert len(batch.labels.unique()) > 4
        assert (batch.samples - shapes.data.centres(batch.labels)).norm(dim=1).max() < 0.5
        # Whether labels are drawn changes no sample.
        assert torch.equal(batch.samples, other.samples)
        assert other.labels is None


def test_processes_share_the_drawn_samples_and_their_labels() -> None:
    opened = open_dataset(datasets.get("ring"), "train")
    whole = open_batches(opened, 64, 0, CPU, conditional=True).next()
    ranks = [TorchProcesses(rank, 2, local_rank=rank, local_world_size=2) for rank in range(2)]
    parts = [open_batches(opened, 64, 0, CPU, processes=rank, conditional=True).next() for rank in ranks]
    for name in ("samples", "labels"):
        assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(whole, name))


def test_conditional_training_on_drawn_data_without_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises((DatasetError, UsageError), match=r"no (labels|classes) to condition on"):
        train("stereo-mlp", tmp_path / "run", conditional=True)
    assert not (tmp_path / "run").exists()


def test_recorded_steps_get_the_labels_of_drawn_samples(tmp_path: Path) -> None:
    eager, graph = (train("ring-mlp", tmp_path / engine, engine=engine) for engine in ("eager", "graph"))
    unlabelled = train("ring-mlp", tmp_path / "unlabelled", conditional=False, eval_every=None)
    weights = [(run / "discriminator.safetensors").read_bytes() for run in (eager, graph, unlabelled)]
    assert weights[0] == weights[1]
    assert weights[0] != weights[2]
