from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ganzoo.cli.reproduce import _recorded
from ganzoo.config import settings_from_json
from ganzoo.evaluation.checking import Comparison
from ganzoo.evaluation.reproduction import reproductions
from ganzoo.registry import recipes
from ganzoo.sources.kinds import Source, StoredSource
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
        ((5.5, 4.4), True),  # mean 4.95, within the tolerance
        ((5.5, 4.9), False),  # mean 5.2: of two trainings, the spread says too little
        ((5.5, 5.1, 5.6), True),  # mean 5.4, deviation 0.26
        ((5.5, 5.6), False),  # mean 5.55, deviation 0.07
        ((None,), False),
        ((5.05, None, None), False),
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
    settings = _recorded(entry, None)
    assert settings.device == "cpu"
    assert settings.seed == entry.training["seed"]
    assert settings.recipe.steps == entry.training["steps"]
    assert settings.precision == entry.training["precision"]
    assert settings.threads == 1


def test_the_learning_rate_of_older_records_falls_as_it_did() -> None:
    entry = ENTRIES["quadratic-relativistic@v1"]  # recorded as `decay: linear`
    settings = _recorded(entry, None)
    assert settings.recipe.optimizers == recipes.get("quadratic-relativistic").optimizers
    document = {**settings.to_json(), "tensorboard": True}
    document.pop("loggers")
    assert settings_from_json(document, "a run").loggers == ("tensorboard",)


@pytest.mark.parametrize(("recorded", "device"), [("NVIDIA H100 80GB HBM3", "cuda"), ("mps", "mps")])
def test_training_on_a_gpu_is_repeated_on_one(recorded: str, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(source: Source, role: str, read: Any = StoredSource.read) -> bytes:
        document = json.loads(read(source, role))
        return json.dumps({**document, "device": recorded}).encode()

    monkeypatch.setattr(StoredSource, "read", read)
    assert _recorded(ENTRIES["quadratic-mlp@v1"], None).device == device


def test_a_device_of_ones_own_takes_the_place_of_the_recorded_one() -> None:
    assert _recorded(ENTRIES["quadratic-mlp@v1"], "cuda:1").device == "cuda:1"


@pytest.mark.slow
def test_weights_are_trained_again_and_compared(ganzoo: Ganzoo, cwd: Path) -> None:
    first = ganzoo("reproduce", "quadratic-mlp", "--out", "again", "--json")
    document = json.loads(first.stdout)
    assert document["path"] == "again"
    assert {metric["protocol"] for metric in document["metrics"]} == {"quadratic-exact-v2"}
    (curve_w1,) = (metric for metric in document["metrics"] if metric["name"] == "curve-w1")
    # The same seed on another processor is another training; two seeds were 0.048 and 0.045.
    assert curve_w1["values"]["0"] == pytest.approx(curve_w1["published"], abs=0.02)
    assert first.returncode == (0 if all(metric["holds"] for metric in document["metrics"]) else 1)
    if document["same_tensors"]:
        assert curve_w1["values"]["0"] == pytest.approx(curve_w1["published"], abs=1e-6)
    assert (cwd / "again" / "seed-0" / "evaluations" / "quadratic-exact-v2.json").is_file()

    again = ganzoo("reproduce", "quadratic-mlp", "--out", "again", "--no-live")
    assert "already finished" in again.stderr
    assert "trained again" in again.stdout
    assert ("weights are the published ones, bit for bit" in again.stdout) == document["same_tensors"]
    other = ganzoo("reproduce", "quadratic-relativistic", "--out", "again")
    assert_two_lines(other, 1, "again/seed-0 holds another training", "another --out")
    record = cwd / "again" / "seed-0" / "run.json"
    record.write_text(record.read_text().replace('"seed": 0', '"seed": 5'))
    assert_two_lines(ganzoo("reproduce", "quadratic-mlp", "--out", "again"), 1, "another training", "seed: 5 -> 0")


def test_only_published_weights_can_be_reproduced(ganzoo: Ganzoo, cwd: Path) -> None:
    assert_two_lines(ganzoo("reproduce", "nope"), 2, "no weights named 'nope'")
    (cwd / "folder").mkdir()
    assert_two_lines(ganzoo("reproduce", "./folder"), 2, "./folder has no published numbers", "mnist-mlp")


@pytest.mark.parametrize(
    "change",
    [
        {"device": None},
        {"settings": None},
        {"settings": {"recipe": {}}},
    ],
)
def test_weights_without_a_record_of_their_training_are_refused_before_any(
    change: dict[str, Any], ganzoo: Ganzoo, cwd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(source: Source, role: str, read: Any = StoredSource.read) -> bytes:
        content: bytes = read(source, role)
        return json.dumps({**json.loads(content), **change}).encode() if role == "training" else content

    monkeypatch.setattr(StoredSource, "read", read)
    result = ganzoo("reproduce", "quadratic-mlp", "--out", "again")
    assert_two_lines(result, 2, "quadratic-mlp@v1 does not record how it was trained")
    assert not (cwd / "again").exists()


def test_what_a_record_lacks_has_its_default_whatever_the_recipe_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(source: Source, role: str, read: Any = StoredSource.read) -> bytes:
        document = json.loads(read(source, role))
        del document["settings"]["recipe"]["regularizers"]
        return json.dumps(document).encode()

    assert _recorded(ENTRIES["mnist-mlp@v1"], None).recipe.regularizers == {"r1": 0.2}
    monkeypatch.setattr(StoredSource, "read", read)
    assert _recorded(ENTRIES["mnist-mlp@v1"], None).recipe.regularizers == {}
