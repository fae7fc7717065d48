"""The alarm of a run that collapses."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch

import ganzoo
from ganzoo.config import Layer
from ganzoo.training import Training
from ganzoo.training.collapse import CollapseAlarm

SETTINGS: dict[str, Any] = {"seed": 0, "steps": 4, "batch_size": 16, "log_every": 1, "loss": "bce"}


@pytest.fixture
def training(tmp_path: Path) -> Training:
    return Training.start("quadratic-mlp", tmp_path / "run", [Layer("test", SETTINGS)])


def alarms(training: Training) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((training.run.path / "run.json").read_text()).get("alarms", [])
    return found


def test_samples_that_are_alike_are_reported_once_with_the_step_since_when(
    training: Training, caplog: pytest.LogCaptureFixture
) -> None:
    alarm = CollapseAlarm(training.run, training.state)
    shape = training.state.config.sample.shape
    alike = torch.ones(25, *shape) + 0.001 * torch.randn(25, *shape)
    real = training.state.batches.next().samples
    with caplog.at_level(logging.WARNING, "ganzoo"):
        for step in (10, 20, 30):  # an average that still holds much of the untrained generator
            alarm.add_samples(step, alike)
        for step, samples in enumerate([real, alike, real, alike, alike, alike], start=2000):
            alarm.add_samples(step, samples)
    (found,) = alarms(training)
    assert (found["metric"], found["since"], found["step"]) == ("samples", 2003, 2004)
    assert caplog.text.count("since step 2003, the samples are nearly alike") == 1
    # A resumed run does not report it again.
    again = CollapseAlarm(training.run, training.state)
    for step in range(2006, 2009):
        again.add_samples(step, alike)
    assert len(alarms(training)) == 1


@pytest.mark.parametrize(
    ("metric", "value", "healthy", "patience"),
    [("loss_d", 1e23, 1.0, 3), ("loss_g", -1e9, 1.0, 3), ("accuracy", 1.0, 0.99, 20)],
)
def test_numbers_out_of_range_are_reported_when_they_last(
    training: Training, metric: str, value: float, healthy: float, patience: int
) -> None:
    alarm = CollapseAlarm(training.run, training.state)
    for step in range(1, patience):
        alarm.add_record({"step": step, metric: value})
    alarm.add_record({"step": patience, metric: healthy})
    assert alarms(training) == []
    for step in range(100, 100 + patience):
        alarm.add_record({"step": step, metric: value})
    (found,) = alarms(training)
    assert (found["metric"], found["since"]) == (metric, 100)


@pytest.mark.parametrize(
    ("values", "since"),
    [
        ([10.0, 2.0, 4.0, 3.0, 5.0, 2.5], None),  # never lost half of what it had gained
        ([10.0, 2.0, 7.0, 3.0, 7.0, 8.0, 9.0], 5),
        ([10.0, 11.0, 12.0, 13.0], None),  # it never gained anything
    ],
)
def test_a_metric_that_loses_what_it_had_gained_is_reported(
    training: Training, values: list[float], since: int | None
) -> None:
    name = "curve-w1"
    alarm = CollapseAlarm(training.run, training.state, [name])
    for step, value in enumerate(values, start=1):
        alarm.add_record({"step": step, name: value})
    assert [found["since"] for found in alarms(training)] == ([] if since is None else [since])


def test_a_resumed_run_counts_from_its_records_on(training: Training) -> None:
    for step in (1, 2):
        training.run.append_record({"step": step, "loss_d": 1e9})
    CollapseAlarm(training.run, training.state).add_record({"step": 3, "loss_d": 1e9})
    assert [found["since"] for found in alarms(training)] == [1]


def test_watching_changes_no_random_number(training: Training) -> None:
    before = training.state.batches.state_dict()
    CollapseAlarm(training.run, training.state)
    after = training.state.batches.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_working_training_raises_no_alarm(tmp_path: Path) -> None:
    settings = {**SETTINGS, "steps": 60, "sample_every": 20}
    run = ganzoo.train("quadratic-mlp", out=tmp_path / "run", settings=settings)
    assert "alarms" not in run.document
