"""Whoever has the public contracts alone can train, resume, sample, bundle, check and publish what the field uses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

import ganzoo as library
from ganzoo.config import Layer
from ganzoo.training import Run, Training
from ganzoo.weights.tensors import deserialize
from tests.conftest import Ganzoo
from tests.hub.server import HubServer
from tests.outside.conftest import ENTRY_POINTS

RECIPES = list(ENTRY_POINTS["ganzoo.recipes"])
SETTINGS = {"seed": 3, "checkpoint_every": 5, "device": "cpu"}
STATE = {
    "outside-style-gan": {"generator_ema/mapping.mean", "augmentation/probability"},
    "outside-projection-gan": {"generator/norm.norm.running_mean"},
    "outside-signal-wgan": {"discriminator_optimizer/squares.0"},
    "outside-volume-gan": {"regularizers/0.mean", "generator_optimizer/mean_0"},
}
"""What each keeps from step to step, by its name in a checkpoint."""


def checkpoint(run: Run) -> dict[str, torch.Tensor]:
    """The newest checkpoint, but for the time it took."""
    path = run.checkpoints.path(run.checkpoints.steps()[-1])
    found, _ = deserialize(path.read_bytes(), path)
    return {name: tensor for name, tensor in found.items() if "seconds" not in name}


def assert_same(expected: Run, found: Run) -> None:
    before, after = checkpoint(expected), checkpoint(found)
    assert before.keys() == after.keys()
    assert [name for name, tensor in before.items() if not torch.equal(tensor, after[name])] == []


@pytest.mark.usefixtures("outside")
@pytest.mark.parametrize(
    "recipe",
    # StyleGAN's step is long, and is recorded with and without R1.
    [pytest.param(name, marks=[pytest.mark.slow] if name == "outside-style-gan" else []) for name in RECIPES],
)
def test_a_recorded_training_that_is_resumed_equals_an_eager_one(tmp_path: Path, recipe: str) -> None:
    whole = library.train(recipe, out=tmp_path / "whole", settings={**SETTINGS, "engine": "eager"})
    job = Training.start(recipe, tmp_path / "parts", [Layer("test", {**SETTINGS, "engine": "graph"})], None)
    job.should_stop = lambda: job.state.step == 7
    list(job)
    assert job.engine.name == "graph", job.engine.reason
    list(Training.resume(job.run.path, [Layer("test", {"engine": "eager"})]))
    assert_same(whole, job.run)
    state = checkpoint(whole)
    assert all(torch.count_nonzero(state[name]) for name in STATE[recipe])


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("recipe", RECIPES)
def test_samples_follow_from_the_seed_and_weights_are_bundled_checked_pushed_and_pulled(
    outside: Path,
    server: HubServer,
    ganzoo: Ganzoo,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    recipe: str,
) -> None:
    def run(*arguments: str | Path) -> str:
        result = ganzoo(*arguments)
        assert result.returncode == 0, result.stderr
        assert "Warning" not in result.stderr
        return result.stdout

    server.add_user("you", "hf_secret")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    run("train", recipe, "--seed", "3", "--out", tmp_path / "run")

    gan = library.load(tmp_path / "run")
    samples = gan.sample(70, seed=5)
    assert torch.equal(gan.sample(70, seed=5), samples)
    assert torch.allclose(gan.sample(1, seed=5), samples[:1], atol=1e-6)
    assert torch.allclose(torch.cat(list(gan.stream(70, seed=5, batch_size=9))), samples, atol=1e-6)
    for out in ("first.npy", "second.npy"):
        run("sample", tmp_path / "run", "--num", "10", "--seed", "5", "--out", tmp_path / out)
    assert (tmp_path / "first.npy").read_bytes() == (tmp_path / "second.npy").read_bytes()

    run("zoo", "bundle", tmp_path / "run", outside, "--version", "v1", "--license", "MIT")
    assert "outside-mean" in run("eval", recipe, "--check")
    run("push", f"{recipe}@v1", "you/outside", "--yes")
    run("pull", "hf:you/outside")
    assert torch.equal(library.load("hf:you/outside").sample(70, seed=5), samples)


@pytest.mark.usefixtures("outside")
def test_a_sampling_option_truncates_towards_the_mean_that_training_kept(tmp_path: Path) -> None:
    run = library.train("outside-style-gan", out=tmp_path / "run", settings=SETTINGS)
    gan = library.load(run.path)
    spread = {psi: float(gan.sample(64, seed=0, options={"psi": psi}).std(0).mean()) for psi in (0.0, 0.5, 1.0)}
    assert spread[0.0] < spread[0.5] < spread[1.0]
    assert torch.equal(gan.sample(4, seed=0, options={"psi": 1.0}), gan.sample(4, seed=0))


@pytest.mark.slow
def test_the_kit_finds_nothing_to_change(outside: Path, ganzoo: Ganzoo, tmp_path: Path) -> None:
    run = library.train("outside-volume-gan", out=tmp_path / "run", settings=SETTINGS)
    ganzoo("zoo", "bundle", run.path, outside, "--version", "v1", "--license", "MIT")
    result = ganzoo("plugins", "check", "ganzoo-outside", "--evaluate")
    assert result.returncode == 0, result.stderr
    assert "published_numbers_are_reproduced  ok" in result.stdout


KILLED = """
import os, signal, sys
from pathlib import Path
from ganzoo.config import Layer
from ganzoo.training import Training

folder, *recipes = sys.argv[1:]
for recipe in recipes:
    child = os.fork()  # one start of Python for all of them
    if child == 0:
        job = Training.start(recipe, Path(folder) / recipe, [Layer("test", SETTINGS)], None)
        for record in job:
            if record.step == 13:
                os.kill(os.getpid(), signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL, (recipe, status)
"""


@pytest.mark.slow
@pytest.mark.usefixtures("outside")
def test_trainings_that_were_killed_resume_bit_for_bit(tmp_path: Path) -> None:
    settings = {**SETTINGS, "engine": "eager", "log_every": 13}
    code = KILLED.replace("SETTINGS", repr(settings))
    subprocess.run([sys.executable, "-c", code, tmp_path, *RECIPES], check=True, timeout=250)
    for recipe in RECIPES:
        assert Run.open(tmp_path / recipe).checkpoints.steps()[-1] == 10
        resumed = library.resume(tmp_path / recipe)
        whole = library.train(recipe, out=tmp_path / f"{recipe}-whole", settings=settings)
        assert_same(whole, resumed)
