"""The number of threads: chosen before the first step, recorded, and the same after a resumption."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from ganzoo.config import Layer, TrainingSettings, resolve
from ganzoo.registry import datasets, recipes
from ganzoo.training import Training, threads
from ganzoo.training.threads import VARIABLES, choose_threads
from ganzoo.weights.model_config import ModelConfig, model_config
from tests.conftest import Ganzoo, set_options

TINY: dict[str, Any] = {
    "seed": 3,
    "steps": 12,
    "config.generator_hidden": [8],
    "config.discriminator_hidden": [8],
    "checkpoint_every": 4,
}
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def three_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Torch's number in this process is 3, and nothing in the environment says so."""
    before = torch.get_num_threads()
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def described(name: str, **values: Any) -> tuple[TrainingSettings, ModelConfig]:
    settings = resolve(recipes.get(name), [Layer("test", values)], seed=0)
    return settings, model_config(settings.recipe, datasets.get(settings.recipe.dataset).sample)


@pytest.mark.parametrize(
    ("name", "values", "number"),
    [
        ("quadratic-mlp", {}, 1),
        ("mnist-mlp", {}, 1),
        ("mnist-cgan", {}, 1),
        ("mnist-dcgan", {}, 1),
        ("cifar10-dcgan", {}, 3),
        ("mnist-mlp", {"batch_size": 1024}, 3),
        ("quadratic-mlp", {"threads": 2}, 2),
    ],
)
def test_small_nets_take_one_thread(name: str, values: dict[str, Any], number: int) -> None:
    assert choose_threads(*described(name, **values), CPU) == number


@pytest.mark.parametrize("variable", VARIABLES)
def test_the_environment_wins_over_the_size(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "3")  # torch has read it at its start
    assert choose_threads(*described("quadratic-mlp"), CPU) == 3
    assert choose_threads(*described("quadratic-mlp", threads=2), CPU) == 2


class LooksAtValues(torch.nn.Module):
    """A discriminator that does not run on the meta device."""

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        return samples.sum(1) if samples.max() > 0 else samples.mean(1)


def test_a_net_that_looks_at_values_is_left_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "discriminator_builder", lambda config, source: LooksAtValues)
    assert choose_threads(*described("quadratic-mlp"), CPU) == 3


def test_a_gpu_is_left_to_torch() -> None:
    assert choose_threads(*described("quadratic-mlp"), torch.device("cuda")) is None


def watched(job: Training, seen: list[int], stop_after: int | None = None) -> Training:
    """Note the threads of every step."""
    step = job.engine.step

    def noting() -> None:
        seen.append(torch.get_num_threads())
        step()

    job.engine.step = noting  # type: ignore[method-assign]
    if stop_after is not None:
        job.should_stop = lambda: len(seen) >= stop_after
    return job


@pytest.mark.parametrize(("values", "number"), [({}, 1), ({"threads": 2}, 2)])
def test_a_resumed_run_takes_the_number_of_the_run(tmp_path: Path, values: dict[str, Any], number: int) -> None:
    layers = [Layer("test", {**TINY, **values})]
    seen: list[int] = []
    for _ in watched(Training.start("quadratic-mlp", tmp_path / "whole", layers), seen):
        assert torch.get_num_threads() == 3  # the caller's own number, between the steps
    for _ in watched(Training.start("quadratic-mlp", tmp_path / "halves", layers), seen, stop_after=12 + 5):
        pass
    torch.set_num_threads(4)  # another machine
    for _ in watched(Training.resume(tmp_path / "halves"), seen):
        pass
    assert seen == [number] * 24
    assert torch.get_num_threads() == 4
    for name in ("model.safetensors", "discriminator.safetensors"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "halves" / name).read_bytes()
    run = json.loads((tmp_path / "halves" / "run.json").read_text())
    assert run["settings"]["threads"] == number
    assert json.loads((tmp_path / "halves" / "training.json").read_text())["device"] == (
        f"cpu ({number} thread{'s' if number > 1 else ''})"
    )


def test_a_run_from_before_this_setting_goes_on_as_it_was(tmp_path: Path) -> None:
    run = tmp_path / "run"
    for _ in watched(Training.start("quadratic-mlp", run, [Layer("test", TINY)]), seen := [], stop_after=5):
        pass
    document = json.loads((run / "run.json").read_text())
    del document["settings"]["threads"]
    (run / "run.json").write_text(json.dumps(document))
    for _ in watched(Training.resume(run), seen):
        pass
    assert seen == [1] * 5 + [3] * 7


def test_the_commands_take_a_number(ganzoo: Ganzoo, cwd: Path) -> None:
    started = ganzoo("train", "quadratic-mlp", "--threads", "2", "--out", "run", *set_options(TINY))
    assert "(fp32, 2 threads)" in started.stderr, started.stderr
    resumed = ganzoo("resume", "run", "--steps", "14", "--threads", "1")
    assert "(fp32, 1 thread)" in resumed.stderr, resumed.stderr
    assert json.loads((cwd / "run" / "run.json").read_text())["settings"]["threads"] == 1
    pictures = [
        ganzoo("sample", "./run", "--num", "9", "--seed", "0", "--threads", n, "--out", f"{n}.npy") for n in ("1", "2")
    ]
    assert [picture.returncode for picture in pictures] == [0, 0]
    assert ganzoo("sample", "./run", "--threads", "0", "--out", "x.npy").returncode == 2
    wrong = ganzoo("train", "quadratic-mlp", "--out", "x", *set_options({"threads": 0}))
    assert (wrong.returncode, "threads must be a whole number, at least 1" in wrong.stderr) == (2, True), wrong.stderr
    assert torch.get_num_threads() == 3
