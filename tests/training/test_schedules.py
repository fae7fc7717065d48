"""Numbers that change from step to step."""

from __future__ import annotations

import math
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import ganzoo
from ganzoo import config
from ganzoo.config import Layer
from ganzoo.errors import ResumeError, SettingsError
from ganzoo.registry import recipes
from ganzoo.specs import Adam, Optimizers, Points, Schedule
from ganzoo.training import Training
from ganzoo.training.schedules import Schedules, value_at

RATE = "optimizers.generator.learning_rate"


def values(number: Any, steps: int = 8) -> list[float]:
    return [value_at(number, step, steps) for step in range(steps)]


def test_a_line_reaches_its_end_after_the_last_step() -> None:
    assert values(Schedule(kind="linear", start=8.0, end=0.0)) == [8, 7, 6, 5, 4, 3, 2, 1]
    assert values(Schedule(kind="linear", start=0.0, end=2.0, steps=4)) == [0, 0.5, 1, 1.5, 2, 2, 2, 2]


def test_a_cosine_is_half_a_period() -> None:
    found = values(Schedule(kind="cosine", start=3.0, end=1.0, steps=4))
    assert found == pytest.approx([2 + math.cos(math.pi * step / 4) for step in range(4)] + [1.0] * 4)


def test_a_warm_up_rises_to_the_start() -> None:
    assert values(Schedule(kind="linear", start=4.0, end=0.0, warmup_steps=4)) == [1, 2, 3, 4, 4, 3, 2, 1]
    assert values(Schedule(kind="cosine", start=4.0, end=4.0, warmup_steps=4)) == [1, 2, 3, 4, 4, 4, 4, 4]


def test_points_are_joined_by_lines() -> None:
    assert values(Points(points=((2, 1.0), (4, 3.0), (5, 0.0)))) == [1, 1, 1, 2, 3, 0, 0, 0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({RATE: {"kind": "linear", "start": -1e-3, "end": 0}}, r"learning_rate\.start = -0\.001 is not valid"),
        ({RATE: {"kind": "linear", "start": 1e-3}}, r"learning_rate\.end is missing"),
        ({RATE: {"kind": "points", "points": [[0, 1e-3], [5, -1]]}}, r"learning_rate\.points\.1\.1 = -1 is not valid"),
        ({RATE: {"kind": "points", "points": [[5, 1e-3], [5, 1]]}}, "steps of points must ascend"),
        ({RATE: {"kind": "cosine", "start": 1, "end": 0, "steps": 5, "warmup_steps": 5}}, "greater than warmup_steps"),
        ({RATE: {"kind": "sine", "start": 1, "end": 0}}, r'learning_rate\.kind = "sine" is not valid'),
        ({RATE: {"kind": "linear", "start": 1, "end": 0, "stepz": 3}}, "no setting .*stepz"),
        ({"optimizers.generator.betas": [{"kind": "linear", "start": 0, "end": 1}, 0.9]}, r"betas\.0\.end = 1 is not"),
        ({"ema_decay": {"kind": "linear", "start": 0.5, "end": 2}}, r"ema_decay\.end = 2 is not valid"),
        ({"regularizers.r1": {"kind": "linear", "start": 0.5, "end": -1}}, r"regularizers\.r1\.end = -1 is not valid"),
        ({"regularizers.r1": {"weight": 1, "every": 0}}, r"regularizers\.r1\.every = 0 is not valid"),
        ({"label_smoothing": {"kind": "linear", "start": 0, "end": 1}}, r"label_smoothing\.end = 1 is not valid"),
        ({"augment_probability": {"kind": "adaptive", "target": 2}}, r"augment_probability\.target = 2 is not valid"),
        ({"batch_size": 10, "accumulate": 4}, "10 cannot be split into 4 parts"),
        ({"accumulate": 2, "share_fakes": True}, "accumulate needs share_fakes=false"),
    ],
    ids=str,
)
def test_every_value_of_a_schedule_is_within_the_bounds(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        config.resolve(recipes.get("mnist-cgan"), [Layer("--set", settings)], seed=0)


def resolved(*assignments: str) -> Any:
    layer = config.assignments_layer(assignments)
    return config.resolve(recipes.get("quadratic-relativistic"), [layer], seed=0).recipe


def test_an_optimizer_of_another_kind_has_its_own_defaults_and_the_same_learning_rate() -> None:
    before = recipes.get("quadratic-relativistic").optimizers.generator
    net = resolved("optimizers.generator.momentum=0.5", "optimizers.generator.kind=rmsprop").optimizers.generator
    assert (net.kind, net.alpha, net.momentum, net.learning_rate) == ("rmsprop", 0.99, 0.5, before.learning_rate)
    assert resolved("optimizers.generator.kind=adam").optimizers.generator == before


def test_a_kind_among_the_settings_of_a_plugin_is_its_own() -> None:
    recipe = resolved("config.kind=x", "config.rate=1", "config.kind=y")
    assert (recipe.config["kind"], recipe.config["rate"], "activation" in recipe.config) == ("y", 1, True)
    lion = resolved("optimizers.generator.kind=lion", "optimizers.generator.options.kind=linear").optimizers.generator
    assert (lion.kind, lion.options) == ("lion", {"kind": "linear"})
    with pytest.raises(SettingsError, match=r"no setting 'config\.rate\.every'"):
        resolved("config.rate=1", "config.rate.every=2")


def test_a_number_can_become_a_schedule_and_back() -> None:
    assert resolved(f"{RATE}=1e-3").optimizers.generator.learning_rate == 1e-3
    assert resolved(f"{RATE}.kind=cosine").optimizers.generator.learning_rate == Schedule(
        kind="cosine", start=1e-3, end=0.0
    )
    points = resolved(f"{RATE}.kind=points", f"{RATE}.points=[[0, 1], [9, 2]]").optimizers.generator.learning_rate
    assert points == Points(points=((0, 1.0), (9, 2.0)))
    for table in ('{"kind": "cosine", "start": 2e-3, "end": 0}', '{kind = "cosine", start = 2e-3, end = 0}'):
        assert resolved(f"{RATE}={table}").optimizers.generator.learning_rate == Schedule(
            kind="cosine", start=2e-3, end=0.0
        )
    smoothed = resolved("ema_decay.kind=linear", "ema_decay.end=0.5")
    assert smoothed.ema_decay == Schedule(kind="linear", start=0.999, end=0.5)
    lazy = resolved("regularizers.r1.every=16").regularizers
    assert (lazy["r1"].weight, lazy["r1"].every, lazy["r2"]) == (0.1, 16, 0.1)
    adaptive = resolved("augment_probability.kind=adaptive", "augment_probability.target=0.5")
    assert (adaptive.augment_probability.target, adaptive.augment_probability.every) == (0.5, 4)


def test_the_settings_of_the_documentation_are_accepted(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    commands = re.findall(r"^\$ ganzoo train (.*)$", text, re.MULTILINE)
    settings = [command for command in commands if " --set " in command and "--from" not in command]
    assert len(settings) >= 6
    for name, *options in map(shlex.split, settings):
        config.resolve(recipes.get(name), [config.assignments_layer(options[1::2])], seed=0)
    (tmp_path / "settings.toml").write_text("\n".join(re.findall(r"```toml\n(.*?)```", text, re.DOTALL)))
    recipe = config.resolve(recipes.get("mnist-mlp"), [config.file_layer(tmp_path / "settings.toml")], seed=0).recipe
    assert recipe.optimizers.generator.learning_rate == Schedule(kind="linear", start=2e-4, end=0.0, warmup_steps=1000)
    assert recipe.ema_decay == Points(points=((0, 0.9), (10_000, 0.999)))


@dataclass(frozen=True)
class Foreign:
    """Has the fields of Adam, but is none."""

    learning_rate: float


def test_what_only_looks_like_an_optimizer_is_refused() -> None:
    with pytest.raises(TypeError, match=r"optimizers\.generator is a Foreign, not one of Adam"):
        Optimizers(generator=Foreign(5e-5), discriminator=Adam(learning_rate=5e-5))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "longer"),
    [
        ({RATE: {"kind": "linear", "start": 1e-4, "end": 0}}, False),
        ({"regularizers.r1": {"weight": {"kind": "cosine", "start": 1, "end": 0}, "every": 2}}, False),
        ({RATE: {"kind": "linear", "start": 1e-4, "end": 0, "steps": 2}}, True),
        ({RATE: {"kind": "linear", "start": 1e-4, "end": 1e-4, "warmup_steps": 2}}, True),
        ({RATE: {"kind": "points", "points": [[0, 1e-4], [9, 0]]}}, True),
    ],
    ids=str,
)
def test_a_run_keeps_its_length_exactly_when_a_schedule_depends_on_it(
    tmp_path: Path, settings: dict[str, Any], longer: bool
) -> None:
    run = ganzoo.train("quadratic-mlp", out=tmp_path / "run", settings={"steps": 2, **settings})
    more = [Layer("test", {"steps": 3})]
    if longer:
        list(Training.resume(run.path, more))
    else:
        with pytest.raises(ResumeError, match="to another step than 2, where its schedules end"):
            Training.resume(run.path, more)


def test_lazy_regularizers_are_computed_in_each_kth_step_from_the_first_on() -> None:
    recipe = resolved("regularizers.r1.every=3", "regularizers.r2.every=2")
    computed = [Schedules(recipe).regularizers_at(step) for step in range(6)]
    assert computed == [("r1", "r2"), (), ("r2",), ("r1",), ("r2",), ()]
