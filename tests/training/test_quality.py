from __future__ import annotations

import json
from pathlib import Path

import pytest

import ganzoo
from ganzoo.config import Layer
from ganzoo.errors import EvaluationError, SettingsError, UnknownNameError
from ganzoo.registry import datasets
from ganzoo.training import Training
from tests.conftest import CONSTANT_RATES

TINY = {
    **CONSTANT_RATES,
    "seed": 3,
    "steps": 60,
    "log_every": 25,
    "checkpoint_every": 30,
    "eval_every": 20,
    "optimizers.generator.learning_rate": 0.01,
}


def protocol_name() -> str:
    return next(protocol.name for protocol in datasets.get("quadratic").protocols if protocol.use == "training")


def test_records_carry_what_was_measured_and_the_best_weights_are_kept(tmp_path: Path) -> None:
    run = ganzoo.train("quadratic-mlp", out=tmp_path / "run", settings=TINY)
    measured = {record["step"]: record["curve-w1"] for record in run.records() if "curve-w1" in record}
    assert list(measured) == [20, 40, 60]
    best = min(measured, key=measured.__getitem__)
    assert json.loads((run.path / "best" / "training.json").read_text())["steps"] == best
    found = ganzoo.evaluate(run.path / "best", protocol=protocol_name())
    assert next(metric.value for metric in found.metrics if metric.name == "curve-w1") == measured[best]


def test_measuring_changes_no_weight(tmp_path: Path) -> None:
    ganzoo.train("quadratic-mlp", out=tmp_path / "measured", settings=TINY)
    ganzoo.train("quadratic-mlp", out=tmp_path / "plain", settings={**TINY, "eval_every": None})
    names = ("model.safetensors", "discriminator.safetensors")
    assert all((tmp_path / "measured" / n).read_bytes() == (tmp_path / "plain" / n).read_bytes() for n in names)


def test_a_resumed_run_measures_and_keeps_what_an_uninterrupted_one_does(tmp_path: Path) -> None:
    whole = ganzoo.train("quadratic-mlp", out=tmp_path / "whole", settings=TINY)
    halves = Training.start("quadratic-mlp", tmp_path / "halves", [Layer("test", TINY)])
    halves.should_stop = lambda: halves.state.step >= 35
    list(halves)
    resumed = ganzoo.resume(tmp_path / "halves")

    def measured(records: list[dict[str, float]]) -> list[float]:
        return [record["curve-w1"] for record in records if "curve-w1" in record]

    assert measured(resumed.records()) == measured(whole.records())
    best = Path("best", "model.safetensors")
    assert (resumed.path / best).read_bytes() == (whole.path / best).read_bytes()


@pytest.mark.slow
def test_higher_can_be_better(tmp_path: Path) -> None:
    settings = {**TINY, "eval_protocol": "quadratic-exact-v2", "best_metric": "point-in-band"}
    run = ganzoo.train("quadratic-mlp", out=tmp_path / "run", settings=settings)
    measured = {record["step"]: record["point-in-band"] for record in run.records() if "point-in-band" in record}
    assert json.loads((run.path / "best" / "training.json").read_text())["steps"] == max(
        measured, key=measured.__getitem__
    )


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"eval_protocol": "nonsense"}, UnknownNameError),
        ({"best_metric": "fid"}, SettingsError),
        ({"eval_every": 0}, SettingsError),
    ],
)
def test_what_cannot_be_measured_is_refused_before_a_folder_is_made(
    tmp_path: Path, settings: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        ganzoo.train("quadratic-mlp", out=tmp_path / "run", settings={**TINY, **settings})
    assert not (tmp_path / "run").exists()


def test_too_few_real_samples_are_found_before_the_first_step(tmp_path: Path, digits: Path) -> None:
    with pytest.raises(EvaluationError, match="takes 10,000 real samples"):
        ganzoo.train("mnist-mlp", out=tmp_path / "run", data_dir=digits, settings={"steps": 10, "eval_every": 5})
    assert not (tmp_path / "run").exists()


def test_what_won_by_another_measure_is_no_rival(tmp_path: Path) -> None:
    run = ganzoo.train("quadratic-mlp", out=tmp_path / "run", settings=TINY)
    kept = json.loads((run.path / "best" / "best.json").read_text())
    assert (kept["metric"], kept["protocol"]) == ("curve-w1", protocol_name())
    # Nothing can beat a distance of 0, but modes are another measure.
    (run.path / "best" / "best.json").write_text(json.dumps({**kept, "value": 0.0}))
    layer = Layer("test", {"steps": 80, "best_metric": "curve-modes"})
    list(Training.resume(run.path, [layer]))
    kept = json.loads((run.path / "best" / "best.json").read_text())
    assert (kept["metric"], kept["step"]) == ("curve-modes", 80)


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"metric": "curve-w1", "protocol": "NAME", "value": "low", "step": 1}', '{"step": null}', "\0\0"],
)
def test_a_damaged_best_json_counts_as_none(tmp_path: Path, content: str) -> None:
    run = ganzoo.train("quadratic-mlp", out=tmp_path / "run", settings=TINY)
    (run.path / "best" / "best.json").write_text(content.replace("NAME", protocol_name()))
    list(Training.resume(run.path, [Layer("test", {"steps": 80})]))
    assert json.loads((run.path / "best" / "best.json").read_text())["step"] == 80


def test_a_measured_record_names_its_protocol(tmp_path: Path) -> None:
    run = ganzoo.train("quadratic-mlp", out=tmp_path / "run", settings=TINY)
    named = {record["step"]: record.get("protocol") for record in run.records()}
    assert named == {20: protocol_name(), 25: None, 40: protocol_name(), 50: None, 60: protocol_name()}


def test_the_best_weights_are_evaluated_on_the_runs_own_data(tmp_path: Path, digits: Path) -> None:
    settings = {"steps": 2, "seed": 0, "batch_size": 16, "config.generator_hidden": [8]}
    run = ganzoo.train("mnist-mlp", out=tmp_path / "run", data_dir=digits, settings=settings)
    ganzoo.load(run.path).save(run.path / "best")
    with pytest.raises(EvaluationError, match="has 128"):  # and not: cannot download
        ganzoo.evaluate(run.path / "best")
