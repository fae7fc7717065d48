"""`ganzoo train`: dry runs, sweeps, repeating a run, and what other programs call its options."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.conftest import Ganzoo, assert_two_lines

TINY = ["quadratic-mlp", "--steps", "6", "--batch-size", "8", "--set", "log_every=3", "--device", "cpu"]


def test_a_dry_run_measures_and_writes_no_run(ganzoo: Ganzoo, cwd: Path) -> None:
    result = ganzoo("train", *TINY, "--steps", "100000", "--dry-run", "--json", "--out", "run")
    assert result.returncode == 0, result.stderr
    document = json.loads(result.stdout)
    assert document["settings"]["recipe"]["batch_size"] == 8
    assert (document["generator_parameters"], document["discriminator_parameters"]) == (2703, 2177)
    assert document["seconds"] == document["seconds_per_step"] * 100_000
    assert document["memory"] > 10_000_000
    # Two checkpoints are kept, of float32 weights and Adam's two moments of each.
    assert 2 * document["checkpoint_size"] == document["disk"] > 2 * 3 * 4 * (2703 + 2177)
    assert list(cwd.iterdir()) == []
    shown = ganzoo("train", *TINY, "--dry-run")
    for words in ("batch_size  8", "ms\n", "for 6 steps", "parameters", "of checkpoints"):
        assert words in shown.stdout
    assert list(cwd.iterdir()) == []


def test_a_dry_run_refuses_what_a_run_refuses(ganzoo: Ganzoo, cwd: Path) -> None:
    (cwd / "run").mkdir()
    (cwd / "run" / "photo.jpg").touch()
    assert_two_lines(ganzoo("train", *TINY, "--dry-run", "--out", "run"), 1, "already holds something else")


@pytest.mark.slow
def test_a_sweep_trains_every_combination_into_one_table(ganzoo: Ganzoo, cwd: Path) -> None:
    values = ["--sweep", "optimizers.generator.learning_rate=1e-4,1e30", "--sweep", "loss=bce,hinge"]
    result = ganzoo("train", *TINY, *values, "--out", "sweep")
    assert result.returncode == 0, result.stderr
    with (cwd / "sweep" / "sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    key = "optimizers.generator.learning_rate"
    assert [(row[key], row["loss"], row["state"]) for row in rows] == [
        ("0.0001", "bce", "finished"),
        ("0.0001", "hinge", "finished"),
        ("1e+30", "bce", "diverged"),
        ("1e+30", "hinge", "diverged"),
    ]
    assert float(rows[0]["loss_d"]) != float(rows[1]["loss_d"])
    assert rows[0]["step"] == "6"
    seeds = {json.loads(path.read_text())["settings"]["seed"] for path in (cwd / "sweep").glob("*/run.json")}
    assert len(seeds) == 1
    assert result.stdout.splitlines()[0].split()[:4] == ["run", key, "loss", "state"]


@pytest.mark.slow
def test_the_same_command_continues_a_sweep(ganzoo: Ganzoo, cwd: Path) -> None:
    command = ["train", *TINY, "--out", "sweep", "--sweep", "config.generator_hidden=[4],[4,4]", "--json"]
    first = json.loads(ganzoo(*command).stdout)
    assert [row["config.generator_hidden"] for row in first["runs"]] == [[4], [4, 4]]
    weights = cwd / "sweep" / first["runs"][0]["run"] / "model.safetensors"
    before = weights.stat().st_mtime_ns
    for path in sorted((cwd / "sweep" / first["runs"][1]["run"]).rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    again = ganzoo(*command)
    assert "run 2 of 2" in again.stderr
    assert "run 1 of 2" not in again.stderr
    assert weights.stat().st_mtime_ns == before
    timeless = [
        [{key: value for key, value in row.items() if "second" not in key} for row in found["runs"]]
        for found in (first, json.loads(again.stdout))
    ]
    assert timeless[0] == timeless[1]  # with the seed of the runs that were there


def test_a_sweep_of_wrong_values_starts_nothing(ganzoo: Ganzoo, cwd: Path) -> None:
    for sweep, word in (
        ("batch_size=8,zero", "batch_size"),
        ("batch_size", "not of the form key=a,b"),
        ("stepz=1,2", "no setting 'stepz'"),
    ):
        assert_two_lines(ganzoo("train", *TINY, "--out", "sweep", "--sweep", sweep), 2, word)
    assert_two_lines(ganzoo("train", *TINY, "--dry-run", "--sweep", "batch_size=8,16"), 2, "not for a sweep")
    assert list(cwd.iterdir()) == []


def test_run_json_repeats_a_run(ganzoo: Ganzoo, cwd: Path) -> None:
    extra = ["--set", "regularizers.r1=0.1", "--set", "optimizers.generator.kind=sgd", "--lr", "0.01"]
    assert ganzoo("train", *TINY, *extra, "--out", "first").returncode == 0
    again = ganzoo("train", "--config", "first/run.json", "--out", "again")
    assert again.returncode == 0, again.stderr
    assert (cwd / "again" / "model.safetensors").read_bytes() == (cwd / "first" / "model.safetensors").read_bytes()
    longer = ["--config", "first/training.json", "--steps", "7", "--dry-run", "--json"]
    before = json.loads((cwd / "first" / "run.json").read_text())["settings"]
    after = json.loads(ganzoo("train", "quadratic-mlp", *longer).stdout)["settings"]
    assert after == {**before, "recipe": {**before["recipe"], "steps": 7}}
    other = ganzoo("train", "mnist-mlp", "--config", "first/run.json")
    assert_two_lines(other, 2, "is of the recipe quadratic-mlp, not mnist-mlp", "ganzoo train --config first/run.json")


def test_json_that_is_not_of_a_run_is_refused(ganzoo: Ganzoo, cwd: Path) -> None:
    for content in ("{}", "[1]", "{", '{"settings": {"recipe": {}}}'):
        (cwd / "odd.json").write_text(content)
        assert_two_lines(ganzoo("train", "--config", "odd.json"), 2, "odd.json")
    assert_two_lines(ganzoo("train", "--config", "none.json"), 2, "cannot read none.json")


def test_options_that_other_programs_have(ganzoo: Ganzoo, cwd: Path) -> None:
    assert ganzoo("train", *TINY, "--lr", "0.003", "--out", "run").returncode == 0
    recipe = json.loads((cwd / "run" / "run.json").read_text())["settings"]["recipe"]
    assert {net["learning_rate"] for net in recipe["optimizers"].values()} == {0.003}
    assert recipe["batch_size"] == 8
    epochs = ganzoo("train", "mnist-mlp", "--epochs", "2")
    assert_two_lines(epochs, 2, "counted in steps", "2 epochs of 60,000 samples at batch_size 64 are --steps 1875")
    assert_two_lines(ganzoo("train", "quadratic-mlp", "--epochs", "2"), 2, "Use --steps")


def test_weights_to_begin_with_are_named_on_the_command_line(ganzoo: Ganzoo, cwd: Path) -> None:
    assert ganzoo("train", *TINY, "--out", "first").returncode == 0
    options = ["--from", "./first", "--from-discriminator", "new", "--freeze", "generator.layers.0.*"]
    result = ganzoo("train", *TINY, *options, "--dry-run", "--json")
    assert result.returncode == 0, result.stderr
    assert "first with the whole generator and a new discriminator" in result.stderr
    settings = json.loads(result.stdout)["settings"]
    assert settings["freeze"] == ["generator.layers.0.*"]
    assert settings["initial_weights"] == str((cwd / "first").resolve())


def test_a_run_with_schedules_over_its_length_is_not_made_longer(ganzoo: Ganzoo, cwd: Path) -> None:
    tiny = ["--steps", "2", "--batch-size", "8", "--seed", "0", "--device", "cpu", "--out", "run"]
    assert ganzoo("train", "quadratic-relativistic", *tiny).returncode == 0
    again = ganzoo("resume", "run")
    assert "Train further: ganzoo train quadratic-relativistic --from ./run" in again.stderr
    longer = ganzoo("resume", "run", "--steps", "4")
    assert_two_lines(
        longer, 1, "cannot be trained to another step than 2", "ganzoo train quadratic-relativistic --from ./run"
    )
    assert ganzoo("train", "quadratic-relativistic", "--from", "./run", *tiny[:-1], "further").returncode == 0
