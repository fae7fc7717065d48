"""Loggers: what they are told and when, and that nothing they do stops a training."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

import ganzoo
from ganzoo.config import Layer, TrainingSettings, settings_from_json
from ganzoo.errors import TrainingError, UnknownNameError
from ganzoo.registry import recipes
from ganzoo.rendering.report import TRAINING_NUMBERS
from ganzoo.training import Training
from tests.conftest import InstallPlugin

SETTINGS: dict[str, Any] = {
    "steps": 6,
    "log_every": 2,
    "sample_every": 3,
    "checkpoint_every": 2,
    "seed": 0,
    "device": "cpu",
    "threads": 1,
    "engine": "eager",
}

DIARY = """
import json, sys
from ganzoo.specs import Logger, LoggerSpec

def _begin(run):
    run.path.joinpath("diary").mkdir(exist_ok=True)
    def write(*words):
        print("a word on stdout")
        with run.path.joinpath("diary", "calls.jsonl").open("a") as file:
            file.write(json.dumps(words, default=str) + "\\n")
    net, inputs = run.networks()["generator"]
    write("begin", run.id, run.recipe, run.settings["seed"], run.step, run.offline, list(net(*inputs).shape))
    return Logger(
        record=lambda numbers: write("record", sorted(numbers), numbers["step"]),
        picture=lambda step, path: write("picture", step, path.is_file()),
        evaluation=lambda step, protocol, metrics: write("evaluation", step, protocol, sorted(metrics)),
        end=lambda status: write("end", status),
    )

DIARY = LoggerSpec(name="diary", summary="a file", begin=_begin)

def _broken(run):
    calls = []
    def fail(numbers):
        calls.append(numbers)
        raise RuntimeError(f"no network, {len(calls)}")
    def leave(status):
        run.path.joinpath("end").touch()
    return Logger(record=fail, picture=lambda step, path: sys.exit(3), end=leave)

BROKEN = LoggerSpec(name="broken", summary="fails", begin=_broken)
CLOSED = LoggerSpec(name="closed", summary="fails at once", begin=lambda run: 1 / 0)
MISSING = LoggerSpec(name="missing", summary="s", begin=_begin, module="no_such_module", install="pip install it")
"""
GROUPS = {"ganzoo.loggers": {name: f"diary_plugin:{name.upper()}" for name in ("diary", "broken", "closed", "missing")}}
NUMBERS = sorted({*TRAINING_NUMBERS} - {"augment_probability"})


@pytest.fixture(autouse=True)
def _diary(install_plugin: InstallPlugin) -> None:
    install_plugin("diary-plugin", GROUPS, {"diary_plugin.py": DIARY})


def start(out: Path, *loggers: str, **settings: Any) -> Training:
    return Training.start("quadratic-mlp", out, [Layer("", {**SETTINGS, "loggers": loggers, **settings})])


def calls(run: Path) -> list[Any]:
    return [json.loads(line) for line in (run / "diary" / "calls.jsonl").read_text().splitlines()]


def test_a_logger_is_told_everything_in_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    list(start(tmp_path / "run", "diary", eval_every=6))
    begin, *others = calls(tmp_path / "run")
    assert begin[2:] == ["quadratic-mlp", 0, 0, False, [2, 15]]
    assert others == [
        ["record", NUMBERS, 2],
        ["picture", 3, True],
        ["record", NUMBERS, 4],
        ["record", NUMBERS, 6],
        ["evaluation", 6, "quadratic-quick-v1", ["curve-modes", "curve-w1"]],
        ["picture", 6, True],
        ["end", "finished"],
    ]
    assert capsys.readouterr().out == ""  # stdout is data


def test_a_resumed_run_keeps_its_id_and_says_where_it_goes_on(tmp_path: Path) -> None:
    job = start(tmp_path / "run", "diary")
    job.should_stop = lambda: job.state.step == 4
    list(job)
    ganzoo.resume(tmp_path / "run")
    list(start(tmp_path / "other", "diary"))
    first, *_, stopped = calls(tmp_path / "run")[:5]
    second, *_, finished = calls(tmp_path / "run")[5:]
    assert (first[4], stopped) == (0, ["end", "stopped"])
    assert (second[4], finished) == (4, ["end", "finished"])
    assert first[1] == second[1] != calls(tmp_path / "other")[0][1]


def test_the_end_says_what_became_of_the_run(tmp_path: Path) -> None:
    for record in start(tmp_path / "left", "diary"):
        if record.step == 4:
            break  # the caller goes away, as after Ctrl-C in a notebook
    assert calls(tmp_path / "left")[-1] == ["end", "stopped"]
    job = start(tmp_path / "failed", "diary")
    job.engine.step = lambda: 1 // 0  # type: ignore[method-assign]
    with pytest.raises(ZeroDivisionError):
        list(job)
    assert calls(tmp_path / "failed")[-1] == ["end", "failed"]


def test_a_logger_that_fails_never_stops_a_training(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    plain = start(tmp_path / "plain")
    list(plain)
    job = start(tmp_path / "run", "broken", "closed", "diary")
    list(job)
    assert job.finished
    weights = [(path / "model.safetensors").read_bytes() for path in (plain.run.path, job.run.path)]
    assert weights[0] == weights[1]
    warnings = [text for text in caplog.messages if "logger" in text]
    assert [text.partition(":")[2].partition(":")[0].strip() for text in warnings] == [
        "logger closed",
        "logger broken",
        "logger broken",
        "logger broken",
    ]
    assert "ZeroDivisionError" in warnings[0]
    assert "no network, 1" in warnings[1]
    assert warnings[-1].endswith("The training goes on, without this logger.")
    assert not (job.run.path / "end").exists()
    assert calls(job.run.path)[-1] == ["end", "finished"]  # the others are not affected


def test_a_logger_that_cannot_work_is_refused_before_the_run_begins(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="'missing' needs no_such_module") as caught:
        start(tmp_path / "run", "missing")
    assert caught.value.hint == "pip install it, or train without it: --set loggers=[]"
    with pytest.raises(UnknownNameError, match="diray"):
        start(tmp_path / "run", "diray")
    assert not (tmp_path / "run").exists()


def test_loggers_may_be_changed_when_a_run_is_resumed(tmp_path: Path) -> None:
    job = start(tmp_path / "run", "diary")
    job.should_stop = lambda: job.state.step == 4
    list(job)
    list(Training.resume(tmp_path / "run", [Layer("", {"loggers": []})]))
    assert len(calls(tmp_path / "run")) == 5


def test_settings_of_older_weights_and_runs_are_read() -> None:
    document = TrainingSettings(recipe=recipes.get("quadratic-mlp"), seed=0).to_json()
    del document["loggers"]
    assert settings_from_json({**document, "tensorboard": True}, "old").loggers == ("tensorboard",)
    assert settings_from_json({**document, "tensorboard": False}, "old").loggers == ()


@pytest.mark.slow
def test_wandb_gets_a_run_without_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    job = start(tmp_path / "run", "wandb", eval_every=6)
    list(job)
    (folder,) = (tmp_path / "run" / "wandb").glob("offline-run-*")
    (file,) = folder.glob("run-*.wandb")
    content = file.read_bytes()  # its protocol buffers hold keys and JSON values as text
    for record in job.run.records():
        assert f"{record['loss_d']!r}".encode() in content
    for key in (b"training/loss_d", b"evaluation/quadratic-quick-v1/curve-w1", b"samples"):
        assert key in content
    assert list(folder.rglob("samples_*.png"))


@pytest.mark.slow
def test_mlflow_gets_a_run_that_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow")
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "server").as_uri())
    job = start(tmp_path / "run", "mlflow", eval_every=6)
    job.should_stop = lambda: job.state.step == 4
    list(job)
    list(Training.resume(tmp_path / "run", [Layer("", {"log_every": 1})]))
    client = MlflowClient()
    experiment = client.get_experiment_by_name("ganzoo")
    assert experiment is not None
    (found,) = client.search_runs([experiment.experiment_id])
    assert found.info.status == "FINISHED"
    assert found.data.params["recipe.batch_size"] == str(job.run.settings.recipe.batch_size)
    history = client.get_metric_history(found.info.run_id, "training/loss_d")
    assert [one.step for one in history] == [2, 4, 5, 6]
    assert "evaluation/quadratic-quick-v1/curve-w1" in found.data.metrics
    pictures = [Path(one.path).name for one in client.list_artifacts(found.info.run_id, "samples")]
    assert pictures == ["step-00000003.png", "step-00000006.png"]
    assert "mlflow" in sys.modules
