"""tools/train_zoo.py, on the real program: quadratic curves and few steps."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from ganzoo.registry import datasets, metrics, recipes
from ganzoo.weights.manifest import Zoo

TOOL = Path(__file__).parent.parent / "tools" / "train_zoo.py"


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("train_zoo", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "train_zoo", module)  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    (tmp_path / "plugins" / "ganzoo_quadratic").mkdir(parents=True)
    where = {"--data": tmp_path, "--runs": tmp_path / "runs", "--packages": tmp_path / "plugins"}
    places = [str(word) for pair in where.items() for word in pair]
    return ["quadratic-mlp", *places, "--manifest", str(tmp_path / "manifest.json"), "--device", "cpu"]


def test_every_goal_names_what_is_registered(tool: ModuleType) -> None:
    for goal in tool.GOALS:
        dataset = datasets.get(recipes.get(goal.name).dataset)
        assert (TOOL.parent.parent / "plugins" / goal.package).is_dir()
        protocols = {protocol.name: protocol for protocol in dataset.protocols}
        for name, bounds in goal.bounds.items():
            assert set(bounds) <= set(protocols[name].metrics)
            assert set(bounds) <= set(metrics.names())


def test_a_run_that_falls_short_is_measured_and_not_bundled(
    tool: ModuleType,
    arguments: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    goal = tool.Goal("quadratic-mlp", "ganzoo_quadratic", {"quadratic-quick-v1": {"curve-w1": 0.01}})
    monkeypatch.setattr(tool, "GOALS", (goal,))
    assert tool.main([*arguments, "--set", "steps=20"]) == 0
    assert "quadratic-mlp: falls short: curve-w1 " in capsys.readouterr().out
    trial = tmp_path / "runs" / "quadratic-mlp-seed0-steps=20"
    assert (trial / "evaluations" / "quadratic-quick-v1.json").is_file()
    assert not (tmp_path / "manifest.json").exists()


def test_a_trial_is_not_bundled_and_not_taken_for_another_one(
    tool: ModuleType,
    arguments: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tool, "GOALS", (tool.Goal("quadratic-mlp", "ganzoo_quadratic", {"quadratic-quick-v1": {}}),))
    for steps in (20, 30):
        assert tool.main([*arguments, "--set", f"steps={steps}"]) == 0
        assert "quadratic-mlp: reaches its goal, with other settings than the recipe's" in capsys.readouterr().out
        record = json.loads((tmp_path / "runs" / f"quadratic-mlp-seed0-steps={steps}" / "training.json").read_text())
        assert record["steps"] == steps
    assert not (tmp_path / "manifest.json").exists()


def test_every_published_name_is_a_goal(tool: ModuleType) -> None:
    assert {entry.name for entry in Zoo().entries} <= {goal.name for goal in tool.GOALS}


def test_a_name_without_a_recipe_is_refused(
    tool: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as error:
        tool.main(["mnist-mlp", "mnist-mpl", "--data", str(tmp_path)])
    assert error.value.code == 2
    assert "no recipe matches 'mnist-mpl'; there are quadratic-mlp, " in capsys.readouterr().err


def test_a_measurement_is_finished_at_the_deadline(tool: ModuleType, tmp_path: Path) -> None:
    asked = iter([False])
    trainer = tool.Trainer(
        data=tmp_path,
        device="cpu",
        seed=0,
        runs=tmp_path,
        packages=tmp_path,
        manifest=tmp_path / "manifest.json",
        time_is_over=lambda: next(asked, True),
    )
    trainer.ganzoo("protocols")  # as for `eval`; only a training has something to save
    with pytest.raises(tool.OutOfTimeError):
        trainer.ganzoo("protocols")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_run_that_was_stopped_goes_on_and_is_bundled_when_it_reaches_its_goal(
    tool: ModuleType,
    arguments: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    goal = tool.Goal("quadratic-mlp", "ganzoo_quadratic", {"quadratic-quick-v1": {"curve-w1": 0.5}})
    monkeypatch.setattr(tool, "GOALS", (goal,))
    run = tmp_path / "runs" / "quadratic-mlp-seed0"
    trainer = tool.Trainer(
        data=tmp_path,
        device="cpu",
        seed=0,
        runs=tmp_path / "runs",
        packages=tmp_path / "plugins",
        manifest=tmp_path / "manifest.json",
        time_is_over=(run / "metrics.jsonl").is_file,  # after 100 steps
    )
    with pytest.raises(tool.OutOfTimeError):
        trainer.advance(goal)
    assert 100 <= json.loads((run / "training.json").read_text())["steps"] < 10_000

    assert tool.main([*arguments, "--seconds", "0"]) == 3
    assert "Left: quadratic-mlp." in capsys.readouterr().out

    assert tool.main(arguments) == 0
    assert "quadratic-mlp: bundled as quadratic-mlp@v1" in capsys.readouterr().out
    (entry,) = json.loads((tmp_path / "manifest.json").read_text())["entries"]
    assert (entry["name"], entry["training"]["steps"]) == ("quadratic-mlp", 10_000)
    assert (tmp_path / "plugins" / "ganzoo_quadratic" / "weights" / "quadratic-mlp-v1" / "model.safetensors").is_file()

    assert tool.main(arguments) == 0
    assert "reaches its goal; curve-w1 of quadratic-mlp@v1 is as good or better" in capsys.readouterr().out
