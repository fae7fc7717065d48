from __future__ import annotations

import json
from pathlib import Path

import pytest

from ganzoo.cli.reproduce import _recorded
from ganzoo.config import Layer, resolve, settings_from_json
from ganzoo.evaluation.checking import Comparison
from ganzoo.evaluation.reproduction import reproductions
from ganzoo.registry import recipes
from ganzoo.weights.manifest import Zoo
from tests.conftest import Ganzoo, assert_two_lines

ENTRIES = {str(entry.reference): entry for entry in Zoo().entries}


def compared(measured: float | None, deviation: str | None = None) -> list[Comparison]:
    return [Comparison("a@v1", "fd", "p-v1", published=5.0, measured=measured, tolerance=0.1, deviation=deviation)]


@pytest.mark.parametrize(
    ("values", "holds"),
    [
        ((5.05,), True),
        ((5.5,), False),
        ((5.5, 4.4), True),  # mean 4.95
        ((5.5, 5.1, 5.6), True),  # mean 5.4, deviation 0.26
        ((5.5, 5.6), False),  # mean 5.55, deviation 0.07
        ((None,), False),
    ],
)
def test_a_number_is_reproduced_within_its_tolerance_or_the_spread_of_trainings(
    values: tuple[float | None, ...], holds: bool
) -> None:
    (found,) = reproductions({seed: compared(value) for seed, value in enumerate(values)})
    assert found.holds == holds
    assert dict(found.values) == {seed: value for seed, value in enumerate(values) if value is not None}


def test_a_measurement_that_deviates_reproduces_nothing() -> None:
    (found,) = reproductions({0: compared(5.0), 1: compared(5.0, "other data")})
    assert not found.holds


@pytest.mark.parametrize("name", ENTRIES)
def test_the_record_of_every_training_is_still_understood(name: str) -> None:
    entry = ENTRIES[name]
    settings = resolve(recipes.get(entry.recipe), [_recorded(entry, None)], seed=99)
    assert settings.seed == entry.training["seed"]
    assert settings.recipe.steps == entry.training["steps"]
    assert settings.precision == entry.training["precision"]
    assert settings.threads == 1


def test_the_learning_rate_of_older_records_falls_as_it_did() -> None:
    entry = ENTRIES["quadratic-relativistic@v1"]  # recorded as `decay: linear`
    settings = resolve(recipes.get(entry.recipe), [_recorded(entry, None)], seed=0)
    assert settings.recipe.optimizers == recipes.get("quadratic-relativistic").optimizers
    document = {**settings.to_json(), "tensorboard": True}
    document.pop("loggers")
    assert settings_from_json(document, "a run").loggers == ("tensorboard",)


def test_a_device_of_ones_own_takes_the_place_of_the_recorded_one() -> None:
    layer = _recorded(ENTRIES["quadratic-mlp@v1"], "cuda:1")
    assert layer.values["device"] == "cuda:1"


@pytest.mark.slow
def test_weights_are_trained_again_and_compared(ganzoo: Ganzoo, cwd: Path) -> None:
    first = ganzoo("reproduce", "quadratic-mlp", "--out", "again", "--json")
    document = json.loads(first.stdout)
    assert document["path"] == "again"
    assert {metric["protocol"] for metric in document["metrics"]} == {"quadratic-exact-v2"}
    (width,) = (metric for metric in document["metrics"] if metric["metric"] == "curve-w1")
    # The same seed on another processor is another training; two seeds were 0.048 and 0.045.
    assert width["values"]["0"] == pytest.approx(width["published"], abs=0.02)
    assert first.returncode == (0 if all(metric["holds"] for metric in document["metrics"]) else 1)
    if document["same_tensors"]:
        assert width["values"]["0"] == pytest.approx(width["published"], abs=1e-6)
    assert (cwd / "again" / "seed-0" / "evaluations" / "quadratic-exact-v2.json").is_file()

    again = ganzoo("reproduce", "quadratic-mlp", "--out", "again", "--no-live")
    assert "already finished" in again.stderr
    assert "trained again" in again.stdout
    assert ("bit for bit" in again.stdout) == document["same_tensors"]
    other = ganzoo("reproduce", "quadratic-relativistic", "--out", "again")
    assert_two_lines(other, 1, "again/seed-0 holds another training", "another --out")


def test_only_published_weights_can_be_reproduced(ganzoo: Ganzoo, cwd: Path) -> None:
    assert_two_lines(ganzoo("reproduce", "nope"), 2, "no weights named 'nope'")
    (cwd / "folder").mkdir()
    assert_two_lines(ganzoo("reproduce", "./folder"), 2, "./folder has no published numbers", "mnist-mlp")


def test_layers_of_records_replace_whole_tables() -> None:
    entry = ENTRIES["mnist-dcgan@v1"]
    layer = _recorded(entry, None)
    assert isinstance(layer, Layer)
    assert dict(layer.values["regularizers"]) == {"r1": 1.0}
