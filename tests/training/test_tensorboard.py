"""TensorBoard events: what is in them, and that they change nothing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import ganzoo
from ganzoo.config import Layer
from ganzoo.errors import TrainingError
from ganzoo.training import Run, Training
from tests.training.test_training import TINY, outcome

pytest.importorskip("tensorboard")

SETTINGS: dict[str, Any] = {**TINY, "loggers": ["tensorboard"]}


def start(out: Path, digits: Path, **values: Any) -> Training:
    return Training.start("mnist-mlp", out, [Layer("test", {**SETTINGS, **values})], digits)


def events(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(folder), size_guidance={"images": 0, "scalars": 0})
    accumulator.Reload()
    return accumulator


def scalar_steps(run: Run, name: str = "training/loss_d") -> list[int]:
    return [event.step for event in events(run.path / "tensorboard").Scalars(name)]


def test_events_hold_every_record_every_picture_and_both_graphs(tmp_path: Path, digits: Path) -> None:
    run = ganzoo.train("mnist-mlp", out=tmp_path / "run", data_dir=digits, settings=SETTINGS)
    found = events(run.path / "tensorboard")
    for name in ("loss_d", "loss_g", "score_real", "score_fake", "accuracy", "steps_per_second"):
        values = [(event.step, event.value) for event in found.Scalars(f"training/{name}")]
        assert values == [(record["step"], pytest.approx(record[name])) for record in run.records()]
    pictures = found.Images("samples")
    assert [picture.step for picture in pictures] == [25, 50, 60]
    with Image.open(run.sample_path(60)) as drawn:
        assert (pictures[-1].width, pictures[-1].height) == drawn.size
    for name in ("generator", "discriminator"):
        nodes = [node.name for node in events(run.path / "tensorboard" / name).Graph().node]
        assert any("Linear" in node for node in nodes)


def test_events_change_no_bit_of_the_result(tmp_path: Path, digits: Path) -> None:
    plain = ganzoo.train("mnist-mlp", out=tmp_path / "plain", data_dir=digits, settings=TINY)
    watched = ganzoo.train("mnist-mlp", out=tmp_path / "watched", data_dir=digits, settings=SETTINGS)
    assert outcome(watched.path) == outcome(plain.path)
    assert not (plain.path / "tensorboard").exists()


def test_a_run_that_died_and_goes_on_shows_no_step_twice(tmp_path: Path, digits: Path) -> None:
    job = start(tmp_path / "run", digits)
    for record in job:
        if record.step == 35:
            break  # after the checkpoint of step 20; the records of 21, 28 and 35 are taken again
    del job
    run = ganzoo.resume(tmp_path / "run")
    assert len(list((run.path / "tensorboard").glob("events*"))) == 2
    assert scalar_steps(run) == [record["step"] for record in run.records()]
    assert len(list((run.path / "tensorboard" / "generator").iterdir())) == 1


def test_events_may_begin_when_a_run_goes_on(tmp_path: Path, digits: Path) -> None:
    ganzoo.train("mnist-mlp", out=tmp_path / "run", data_dir=digits, settings=TINY)
    job = Training.resume(tmp_path / "run", [Layer("test", {"loggers": ["tensorboard"], "steps": 70})], digits)
    list(job)
    assert scalar_steps(job.run) == [63, 70]


def test_without_the_package_nothing_is_begun(tmp_path: Path, digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(TrainingError, match="tensorboard") as caught:
        start(tmp_path / "run", digits)
    assert caught.value.hint == "pip install 'ganzoo[logging]', or train without it: --set loggers=[]"
    assert not (tmp_path / "run").exists()


def test_the_accuracy_is_the_share_of_logits_with_the_right_sign(tmp_path: Path, digits: Path) -> None:
    import torch

    from ganzoo.training.loop import take_record
    from ganzoo.training.step import score

    real, fake = torch.tensor([2.0, 0.1, -1.0, 3.0]), torch.tensor([-2.0, 1.0, -0.1, -3.0])
    scores = score(real, fake)
    assert torch.allclose(scores[:2], torch.stack([real.sigmoid().mean(), fake.sigmoid().mean()]))
    state = start(tmp_path / "run", digits, loggers=[]).state
    state.networks.sums[2:], state.summed_steps = scores, 1
    assert take_record(state).accuracy == pytest.approx(6 / 8)
    run = ganzoo.train("mnist-mlp", out=tmp_path / "other", data_dir=digits, settings=TINY)
    accuracies = [record["accuracy"] for record in run.records()]
    assert all(0 <= accuracy <= 1 for accuracy in accuracies)
    assert len(set(accuracies)) > 1


def test_charts_are_drawn_with_the_pictures_and_know_the_steps_before_an_interruption(
    tmp_path: Path, digits: Path
) -> None:
    run = ganzoo.train("mnist-mlp", out=tmp_path / "whole", data_dir=digits, settings=TINY)
    job = start(tmp_path / "parts", digits, loggers=[])
    job.should_stop = lambda: job.state.step == 30
    list(job)
    with Image.open(job.run.chart_path) as early:
        assert early.width == 960
    ganzoo.resume(tmp_path / "parts")
    assert job.run.chart_path.read_bytes() == run.chart_path.read_bytes()
