"""Runs that diverge and return to their newest checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import ganzoo
from ganzoo.config import Layer
from ganzoo.errors import DivergedError
from ganzoo.training import Run, Training
from tests.training.test_training import outcome

SETTINGS: dict[str, Any] = {
    "seed": 1,
    "steps": 30,
    "batch_size": 8,
    "log_every": 3,
    "sample_every": 100,
    "checkpoint_every": 10,
}


def poison(training: Training) -> None:
    with torch.no_grad():
        for parameter in training.state.networks.generator.parameters():
            parameter.fill_(torch.nan)


def diverging(out: Path, at: int = 12, times: int = 1, **values: Any) -> Training:
    """Train, with a generator that becomes NaN after the record of a step, the first times that it is reached."""
    training = Training.start("quadratic-mlp", out, [Layer("test", {**SETTINGS, **values})])
    for record in training:
        if record.step == at and times:
            times -= 1
            poison(training)
    return training


def test_a_diverged_run_goes_on_from_its_newest_checkpoint(tmp_path: Path) -> None:
    run = diverging(tmp_path / "run", rollbacks=2).run
    assert [record["step"] for record in run.records()] == [3, 6, 9, 12, 15, 18, 21, 24, 27, 30]
    assert ganzoo.load(run.path).sample(4, seed=0).isfinite().all()
    (noted,) = json.loads((run.path / "run.json").read_text())["rollbacks"]
    assert (noted["failed_at"], noted["returned_to"]) == (15, 10)
    assert "NaN or infinite between step 13 and step 15" in noted["why"]
    # Other samples and latents: the same ones would diverge again.
    plain = ganzoo.train("quadratic-mlp", out=tmp_path / "plain", settings=SETTINGS)
    assert run.records()[2]["loss_d"] == plain.records()[2]["loss_d"]
    assert run.records()[4]["loss_d"] != plain.records()[4]["loss_d"]


@pytest.mark.parametrize(("values", "at"), [({"rollbacks": 0}, 12), ({"rollbacks": 2}, 6)])
def test_without_permission_or_checkpoint_it_fails(tmp_path: Path, values: dict[str, Any], at: int) -> None:
    with pytest.raises(DivergedError) as caught:
        diverging(tmp_path / "run", at, **values)
    assert "--rollbacks" in caught.value.hint
    assert "rollbacks" not in json.loads((tmp_path / "run" / "run.json").read_text())


def test_a_run_that_always_diverges_fails_after_its_last_return(tmp_path: Path) -> None:
    with pytest.raises(DivergedError):
        diverging(tmp_path / "run", times=10, rollbacks=3)
    assert len(Run.open(tmp_path / "run").document["rollbacks"]) == 3


def test_a_run_stopped_after_its_return_and_resumed_equals_the_uninterrupted_one(tmp_path: Path) -> None:
    whole = diverging(tmp_path / "whole", rollbacks=1)
    stopped = Training.start("quadratic-mlp", tmp_path / "stopped", [Layer("test", {**SETTINGS, "rollbacks": 1})])
    records = iter(stopped)
    for record in records:
        if record.step == 12 and "rollbacks" in stopped.run.document:
            break  # as if it was killed: nothing has been saved since the return
        if record.step == 12:
            poison(stopped)
    records.close()  # type: ignore[attr-defined]
    ganzoo.resume(stopped.run.path)
    assert outcome(stopped.run.path) == outcome(whole.run.path)
