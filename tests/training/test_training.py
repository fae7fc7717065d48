"""Whole runs: folders, resuming, killing, diverging."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants

import ganzoo
from ganzoo.config import Layer
from ganzoo.errors import (
    DatasetError,
    DeviceError,
    DivergedError,
    ResumeError,
    SettingsError,
    TrainingError,
    UnknownNameError,
)
from ganzoo.training import Run, Training
from ganzoo.training.run import new_folder
from tests.conftest import CONSTANT_RATES, DIGITS, InstallPlugin, set_options

TINY: dict[str, Any] = {
    **CONSTANT_RATES,
    "seed": 3,
    "steps": 60,
    "batch_size": 16,
    "config.generator_hidden": [8, 8],
    "config.discriminator_hidden": [8],
    "config.discriminator_dropout": 0.3,  # so that the global generators matter
    "log_every": 7,
    "sample_every": 25,
    "checkpoint_every": 20,
}


def train(out: Path, digits: Path, **values: Any) -> Run:
    return ganzoo.train("mnist-mlp", out=out, data_dir=digits, settings={**TINY, **values})


Outcome = tuple[dict[str, str], list[dict[str, Any]]]


def outcome(run: Path) -> Outcome:
    """What must not depend on interruptions: all but the time it took."""
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    timeless = [{key: value for key, value in record.items() if "second" not in key} for record in records]
    files = [run / "model.safetensors", run / "discriminator.safetensors", *(run / "samples").iterdir()]
    return {str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}, timeless


def uninterrupted(folder: Path, **values: Any) -> Outcome:
    """The outcome of a run that was not interrupted, which many tests compare with."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANZOO_HOME", str(folder / "home"))
        return outcome(train(folder / "run", DIGITS, **values).path)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """The outcome of the run of TINY."""
    return uninterrupted(tmp_path_factory.mktemp("reference"))


@pytest.fixture(scope="module")
def long_reference(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """The outcome of the run of LONG."""
    return uninterrupted(tmp_path_factory.mktemp("long"), **LONG)


def test_a_finished_run_is_a_weights_folder(tmp_path: Path, digits: Path) -> None:
    run = train(tmp_path / "run", digits)
    assert ganzoo.load(run.path).sample(3, seed=0).shape == (3, 1, 28, 28)
    assert run.checkpoints.steps() == [40, 60]
    assert [record["step"] for record in run.records()] == [7, 14, 21, 28, 35, 42, 49, 56, 60]
    assert [path.name for path in sorted((run.path / "samples").iterdir())] == [
        "step-00000025.png",
        "step-00000050.png",
        "step-00000060.png",
    ]
    document = json.loads((run.path / "run.json").read_text())
    assert document["settings"]["seed"] == 3
    assert document["settings"]["recipe"]["steps"] == 60
    training = json.loads((run.path / "training.json").read_text())
    assert (training["steps"], training["images"]) == (60, 960)


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path, digits: Path, reference: Outcome) -> None:
    assert outcome(train(tmp_path / "again", digits).path) == reference
    other = outcome(train(tmp_path / "other", digits, seed=4).path)
    assert other[0]["model.safetensors"] != reference[0]["model.safetensors"]


def test_samples_from_the_disk_train_to_the_same_bytes(tmp_path: Path, digits: Path, reference: Outcome) -> None:
    job = Training.start("mnist-mlp", tmp_path / "run", [Layer("test", {**TINY, "data": "streamed"})], digits)
    job.should_stop = lambda: job.state.step == 33
    list(job)
    assert "ganzoo-data" not in [thread.name for thread in threading.enumerate()]
    list(Training.resume(job.run.path, [Layer("test", {"data": "resident"})]))
    nets, *_ = outcome(job.run.path)
    assert nets["model.safetensors"] == reference[0]["model.safetensors"]


def test_records_mean_over_their_steps(tmp_path: Path, digits: Path) -> None:
    fine = train(tmp_path / "fine", digits, log_every=1).records()
    coarse = train(tmp_path / "coarse", digits, log_every=20).records()
    for index, record in enumerate(coarse):
        steps = fine[20 * index : 20 * index + 20]
        for key in ("loss_d", "loss_g", "score_real", "score_fake"):
            assert record[key] == pytest.approx(sum(step[key] for step in steps) / 20, rel=1e-4)


@pytest.mark.parametrize("step", [1, 20, 33, 59])
def test_a_stopped_run_resumed_equals_the_uninterrupted_one(
    tmp_path: Path, digits: Path, reference: Outcome, step: int
) -> None:
    job = Training.start("mnist-mlp", tmp_path / "run", [Layer("test", TINY)], digits)
    job.should_stop = lambda: job.state.step == step
    list(job)
    assert not job.finished
    assert job.state.step == step
    torch.rand(5)  # a caller's own random numbers must not matter
    ganzoo.resume(job.run.path)
    assert outcome(job.run.path) == reference


def start_process(out: Path, digits: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "ganzoo", "train", "mnist-mlp", "--out", str(out), "--data-dir", str(digits)]
    return subprocess.Popen(
        [*command, *set_options(TINY), *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for_lines(path: Path, num: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not path.exists() or path.read_text().count("\n") < num:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)


LONG = {"steps": 1000, "log_every": 4, "checkpoint_every": 25, "sample_every": 500}


@pytest.mark.slow
@pytest.mark.parametrize("attempt", range(4))
def test_a_run_killed_at_a_random_moment_and_resumed_equals_the_uninterrupted_one(
    tmp_path: Path, digits: Path, long_reference: Outcome, attempt: int
) -> None:
    out = tmp_path / "killed"
    chance = random.Random(attempt)
    process = start_process(out, digits, *set_options(LONG))
    wait_for_lines(out / "metrics.jsonl", chance.randrange(1, 250), process)
    time.sleep(chance.random() * 0.02)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    ganzoo.resume(out)
    assert outcome(out) == long_reference
    assert not list(out.rglob("*.partial"))


def test_a_run_killed_before_its_first_checkpoint_starts_over(tmp_path: Path, digits: Path, reference: Outcome) -> None:
    job = Training.start("mnist-mlp", tmp_path / "run", [Layer("test", TINY)], digits)
    next(iter(job))
    assert ganzoo.resume(job.run.path).checkpoints.steps()
    assert outcome(job.run.path) == reference


def test_a_half_written_line_and_checkpoint_are_passed_over(tmp_path: Path, digits: Path, reference: Outcome) -> None:
    job = Training.start("mnist-mlp", tmp_path / "run", [Layer("test", TINY)], digits)
    job.should_stop = lambda: job.state.step == 45
    list(job)
    with (job.run.path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 999, "lo')
    partial = job.run.path / "checkpoints" / ".step-00000060.safetensors.00000000.partial"
    partial.write_bytes(b"half")
    other = job.run.path / ".pictures.00000000.partial"  # of a program that samples into the run's folder
    other.mkdir()
    ganzoo.resume(job.run.path)
    assert outcome(job.run.path) == reference
    assert not partial.exists()
    assert other.is_dir()


@pytest.mark.parametrize("damage", [b"\0" * 300 + b"\n", b"{\n", b"[1]\n", b'{"step": "x"}\n', b"\xff\xfe\n"])
def test_a_damaged_record_ends_the_records_and_not_the_run(tmp_path: Path, digits: Path, damage: bytes) -> None:
    job = Training.start("mnist-mlp", tmp_path / "run", [Layer("test", TINY)], digits)
    job.should_stop = lambda: job.state.step == 45
    list(job)
    path = job.run.path / "metrics.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], damage, *lines[4:]]))
    assert [record["step"] for record in Run.open(job.run.path).records()] == [7, 14, 21]
    run = ganzoo.resume(job.run.path)
    assert [record["step"] for record in run.records()] == [7, 14, 21, 49, 56, 60]


INCOMPLETE: dict[str, Any] = {"batch_size": 48, "drop_last": False}  # 256 digits: 5 batches of 48 and one of 16


def test_every_sample_of_an_epoch_is_trained_on(tmp_path: Path, digits: Path) -> None:
    run = train(tmp_path / "run", digits, **INCOMPLETE, steps=12, log_every=6)
    assert [record["images"] for record in run.records()] == [256, 512]
    assert json.loads((run.path / "training.json").read_text())["images"] == 512
    dropped = train(tmp_path / "dropped", digits, batch_size=48, steps=12, log_every=6)
    assert [record["images"] for record in dropped.records()] == [288, 576]


@pytest.mark.parametrize(("step", "place"), [(5, "resident"), (6, "streamed"), (20, "streamed")])
def test_a_run_with_incomplete_batches_resumed_equals_the_uninterrupted_one(
    tmp_path: Path, digits: Path, step: int, place: str
) -> None:
    expected = outcome(train(tmp_path / "whole", digits, **INCOMPLETE, steps=30).path)
    layer = Layer("test", {**TINY, **INCOMPLETE, "steps": 30, "data": place})
    job = Training.start("mnist-mlp", tmp_path / "run", [layer], digits)
    job.should_stop = lambda: job.state.step == step
    list(job)
    ganzoo.resume(job.run.path)
    assert outcome(job.run.path) == expected


@pytest.mark.parametrize("engine", ["graph", "auto"])
def test_incomplete_batches_go_past_a_recorded_step(tmp_path: Path, digits: Path, engine: str) -> None:
    expected = outcome(train(tmp_path / "eager", digits, **INCOMPLETE, engine="eager").path)
    job = Training.start(
        "mnist-mlp", tmp_path / "run", [Layer("test", {**TINY, **INCOMPLETE, "engine": engine})], digits
    )
    list(job)
    assert job.engine.name == ("graph" if engine == "graph" else "eager")  # auto: too few steps
    assert outcome(job.run.path) == expected


def test_a_run_killed_before_its_weights_were_written_writes_them(tmp_path: Path, digits: Path) -> None:
    run = train(tmp_path / "run", digits)
    (run.path / "model.safetensors").unlink()
    ganzoo.resume(run.path)
    assert ganzoo.load(run.path)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_says_how_to_go_on(tmp_path: Path, digits: Path, number: signal.Signals) -> None:
    out = tmp_path / "run"
    process = start_process(out, digits, "--steps", "1000000")
    wait_for_lines(out / "metrics.jsonl", 1, process)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stdout == f"{out}\n"
    assert f"ganzoo resume {out}" in stderr
    assert "Traceback" not in stderr
    assert ganzoo.load(out)
    assert f"after step {Run.open(out).checkpoints.steps()[-1]}" in stderr


@pytest.mark.parametrize("net", ["generator", "discriminator"])
def test_divergence_stops_with_a_clear_word_and_saves_nothing_bad(tmp_path: Path, digits: Path, net: str) -> None:
    rate = {f"optimizers.{net}.learning_rate": 1e30}
    with pytest.raises(DivergedError, match="NaN or infinite between step") as caught:
        train(tmp_path / "run", digits, **rate)
    assert "learning rate" in caught.value.hint
    assert Run.open(tmp_path / "run").checkpoints.steps() == []


def test_a_run_may_be_made_longer(tmp_path: Path, digits: Path, reference: Outcome) -> None:
    run = train(tmp_path / "run", digits, steps=40)
    list(Training.resume(run.path, [Layer("flags", {"steps": 60})]))
    assert outcome(run.path)[0]["model.safetensors"] == reference[0]["model.safetensors"]
    assert Run.open(run.path).settings.recipe.steps == 60


def test_other_settings_are_refused_with_the_difference(tmp_path: Path, digits: Path) -> None:
    run = train(tmp_path / "run", digits)
    before = (run.path / "run.json").read_bytes()
    layer = Layer("flags", {"batch_size": 8, "seed": 9})
    with pytest.raises(ResumeError, match="batch_size: 16 -> 8") as caught:
        Training.resume(run.path, [layer])
    assert "seed: 3 -> 9" in str(caught.value)
    with pytest.raises(ResumeError, match="already taken 60 steps, more than 50"):
        Training.resume(run.path, [Layer("flags", {"steps": 50})])
    assert (run.path / "run.json").read_bytes() == before


def test_other_data_are_refused(tmp_path: Path, digits: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(digits, data)
    run = ganzoo.train("mnist-mlp", out=tmp_path / "run", data_dir=data, settings=TINY)
    for kind in ("images-idx3", "labels-idx1"):
        shutil.copy(digits / f"t10k-{kind}-ubyte.gz", data / f"train-{kind}-ubyte.gz")
    with pytest.raises(ResumeError, match="trained on different data"):
        ganzoo.resume(run.path)
    assert Training.resume(run.path, data_dir=digits).finished


def test_a_run_continues_on_packed_data_when_its_files_are_gone(
    tmp_path: Path, digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    data = tmp_path / "data"
    shutil.copytree(digits, data)
    run = ganzoo.train("mnist-mlp", out=tmp_path / "run", data_dir=data, settings={**TINY, "steps": 2})
    for path in data.iterdir():
        path.unlink()  # what is left of a disk that is not mounted
    resumed = Training.resume(run.path, [Layer("flags", {"steps": 3})])
    assert [record.step for record in resumed][-1] == 3
    assert json.loads((run.path / "run.json").read_text())["data_dir"] == str(data)


def test_a_damaged_checkpoint_is_named_with_a_way_out(tmp_path: Path, digits: Path, reference: Outcome) -> None:
    run = train(tmp_path / "run", digits)
    path = run.checkpoints.path(60)
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(ResumeError, match="cannot load the checkpoint") as caught:
        ganzoo.resume(run.path)
    assert "continue from step 40" in caught.value.hint
    path.unlink()
    ganzoo.resume(run.path)
    assert outcome(run.path) == reference


def test_special_files_in_a_run_are_refused(tmp_path: Path, digits: Path) -> None:
    run = train(tmp_path / "run", digits, checkpoint_every=60)
    os.mkfifo(run.checkpoints.path(80))
    with pytest.raises(ResumeError, match=r"cannot load the checkpoint .*Not a regular file"):
        ganzoo.resume(run.path)
    run.checkpoints.path(80).unlink()
    os.truncate(run.checkpoints.path(60), 8 << 30)
    with pytest.raises(ResumeError, match="does not have the length that its header states"):
        ganzoo.resume(run.path)
    moved = run.checkpoints.folder.rename(tmp_path / "elsewhere")
    (moved / ".other.0.partial").touch()
    run.checkpoints.folder.symlink_to(moved)
    with pytest.raises(ResumeError, match="checkpoints is a symbolic link"):
        ganzoo.resume(run.path)
    assert (moved / ".other.0.partial").exists()


@pytest.mark.parametrize("loggers", [[], ["tensorboard"]])
def test_losing_the_pictures_does_not_end_a_training(
    tmp_path: Path, digits: Path, reference: Outcome, loggers: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    job = Training.start("mnist-mlp", tmp_path / "run", [Layer("", {**TINY, "loggers": loggers})], digits)
    (job.run.path / "samples").touch()  # stands for a full disk
    job.run.chart_path.mkdir()
    list(job)
    assert job.finished
    digest = hashlib.sha256((job.run.path / "model.safetensors").read_bytes()).hexdigest()
    assert digest == reference[0]["model.safetensors"]
    for words in ("the sample picture cannot be written: File exists", "the charts cannot be written"):
        assert words in caplog.text


def test_numbers_that_cannot_be_drawn_are_left_out(tmp_path: Path, digits: Path) -> None:
    run = train(tmp_path / "run", digits, steps=40)
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"step": 40, "loss_d": 10**400, "score_real": None}) + "\n" + "[" * 100_000 + "\n")
    list(Training.resume(run.path, [Layer("", {"steps": 50})]))
    assert run.records()[-1]["step"] == 50


def test_a_folder_in_use_is_left_alone(tmp_path: Path, digits: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    with pytest.raises(TrainingError, match="already holds something else"):
        train(tmp_path / "full", digits)
    run = train(tmp_path / "run", digits)
    with pytest.raises(TrainingError, match="already holds a run") as caught:
        train(run.path, digits)
    assert f"ganzoo resume {run.path}" in caught.value.hint


@pytest.mark.parametrize(
    ("recipe", "settings", "data", "error"),
    [
        ("mnist-mpl", {}, True, UnknownNameError),
        ("mnist-mlp", {"stepz": 1}, True, SettingsError),
        ("mnist-mlp", {"config.generator_hidden": []}, True, SettingsError),
        ("mnist-mlp", {"config.generator_hiden": [1]}, True, SettingsError),
        ("mnist-mlp", {"config.generator_hidden": [65_536] * 2}, True, SettingsError),
        ("mnist-mlp", {"device": "cuda:7"}, True, DeviceError),
        ("mnist-mlp", {"device": "toaster"}, True, DeviceError),
        ("mnist-mlp", {"batch_size": 1000}, True, DatasetError),
        ("mnist-mlp", {"batch_size": 51, "drop_last": False}, True, SettingsError),  # 256 = 5 * 51 + 1
        ("mnist-mlp", {"loss": "relativistic", "drop_last": False}, True, SettingsError),
        ("mnist-mlp", {"loss": "hing"}, True, UnknownNameError),
        ("mnist-mlp", {"regularizers.r3": 1.0}, True, UnknownNameError),
        ("mnist-mlp", {"augment": ["colour"]}, True, UnknownNameError),
        ("quadratic-mlp", {"augment": ["color"]}, True, SettingsError),
        ("mnist-mlp", {"engine": "warp"}, True, SettingsError),
        ("mnist-mlp", {"loss": "relativistic", "conditional": True}, True, SettingsError),
        ("quadratic-mlp", {"conditional": True}, True, SettingsError),
        ("mnist-mlp", {"optimizers.generator.learning_rate": float("inf")}, True, SettingsError),
        ("mnist-mlp", {}, False, DatasetError),
    ],
)
def test_what_cannot_start_leaves_no_folder(
    tmp_path: Path, digits: Path, recipe: str, settings: dict[str, Any], data: bool, error: type[Exception]
) -> None:
    out = tmp_path / "run"
    with pytest.raises(error):
        ganzoo.train(recipe, out=out, data_dir=digits if data else tmp_path, settings={**TINY, **settings})
    assert not out.exists()


def test_a_state_that_could_not_be_taken_up_is_not_saved(tmp_path: Path) -> None:
    # The losses are still finite after two such steps, the optimizer's squared gradients no longer are.
    settings = {"seed": 0, "steps": 2, "optimizers.generator.learning_rate": 1e12}
    with pytest.raises(DivergedError, match=r"discriminator_optimizer/0/exp_avg_sq became NaN or infinite by step 2"):
        ganzoo.train("quadratic-mlp", out=tmp_path / "run", settings=settings)
    assert Run.open(tmp_path / "run").checkpoints.steps() == []


@pytest.mark.slow
def test_two_cannot_train_into_one_folder(tmp_path: Path, digits: Path) -> None:
    process = start_process(tmp_path / "run", digits, "--steps", "1000000")
    wait_for_lines(tmp_path / "run" / "metrics.jsonl", 1, process)
    with pytest.raises(TrainingError, match=rf"^process {process.pid} \(.*is training|^another process is training"):
        ganzoo.resume(tmp_path / "run")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    records = Run.open(tmp_path / "run").records()
    assert [record["step"] for record in records] == sorted({record["step"] for record in records})


def test_a_run_of_another_kind_of_device_is_refused_before_anything_changes(tmp_path: Path, digits: Path) -> None:
    run = train(tmp_path / "run", digits)
    document = json.loads((run.path / "run.json").read_text())
    (run.path / "run.json").write_text(json.dumps({**document, "device_type": "cuda"}))
    before = outcome(run.path)
    with pytest.raises(ResumeError, match="trained on cuda, whose random numbers cpu cannot continue"):
        ganzoo.resume(run.path)
    assert outcome(run.path) == before


def test_run_json_remembers_where_and_when_a_run_went_on(tmp_path: Path, digits: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(digits, data)
    run = train(tmp_path / "run", digits, steps=40)
    created = json.loads((run.path / "run.json").read_text())["created"]
    list(Training.resume(run.path, [Layer("flags", {"steps": 50})], data))
    document = json.loads((run.path / "run.json").read_text())
    assert document["created"] == created
    assert len(document["resumed"]) == 1
    assert document["data_dir"] == str(data)


UNLABELLED = """
import dataclasses
from ganzoo_mnist import MNIST
from ganzoo_mnist.files import load

SPEC = dataclasses.replace(MNIST, name="unlabelled", load=lambda *what: dataclasses.replace(load(*what), labels=None))
"""


def test_a_conditional_recipe_without_labels_leaves_no_folder(
    tmp_path: Path, digits: Path, install_plugin: InstallPlugin
) -> None:
    install_plugin("plain", {"ganzoo.datasets": {"unlabelled": "plain:SPEC"}}, {"plain.py": UNLABELLED})
    settings = {**TINY, "dataset": "unlabelled", "conditional": True}
    with pytest.raises(DatasetError, match="unlabelled train has no labels to condition on"):
        ganzoo.train("mnist-mlp", out=tmp_path / "run", data_dir=digits, settings=settings)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "change", [{"resumed": 5}, {"dataset_digest": 5}, {"data_dir": 5}, {"data_dir": "a\0b"}, {"settings": [1]}]
)
def test_an_odd_run_json_is_refused(tmp_path: Path, digits: Path, change: dict[str, Any]) -> None:
    run = train(tmp_path / "run", digits, steps=1)
    document = json.loads((run.path / "run.json").read_text())
    (run.path / "run.json").write_text(json.dumps({**document, **change}))
    with pytest.raises(ResumeError, match=r"cannot read .*run\.json"):
        ganzoo.resume(run.path)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"schema": 99, "settings": {}}', "not json", "[" * 100_000])
def test_a_folder_that_is_no_run_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(ResumeError):
        ganzoo.resume(tmp_path / "none")
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(ResumeError):
        ganzoo.resume(tmp_path)


def test_a_conditional_run_is_sampled_by_label(tmp_path: Path, digits: Path) -> None:
    gan = ganzoo.load(train(tmp_path / "run", digits, conditional=True).path)
    seven, again, eight = (gan.sample(4, seed=0, labels=label) for label in (7, [7] * 4, 8))
    assert torch.equal(seven, again)
    assert not torch.equal(seven, eight)


def test_without_a_seed_a_random_one_is_taken_and_recorded(tmp_path: Path, digits: Path) -> None:
    settings = {key: value for key, value in TINY.items() if key != "seed"} | {"steps": 1}
    seeds = {
        ganzoo.train("mnist-mlp", out=tmp_path / name, data_dir=digits, settings=settings).settings.seed
        for name in ("a", "b")
    }
    assert len(seeds) == 2


def test_a_run_can_be_read_by_others_than_its_owner(tmp_path: Path, digits: Path) -> None:
    run = train(tmp_path / "run", digits)
    (tmp_path / "usual").touch()
    usual = (tmp_path / "usual").stat().st_mode
    assert {path.stat().st_mode for path in run.path.iterdir() if path.is_file()} == {usual}


def test_runs_that_begin_in_the_same_second_get_folders_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    paths = []
    for _ in range(3):
        paths.append(new_folder("quadratic-mlp"))
        paths[-1].mkdir(parents=True)
    assert len(set(paths)) == 3
