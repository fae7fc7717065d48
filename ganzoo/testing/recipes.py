"""Checks of recipes: a few steps of training, resumed and recorded, bit for bit."""

from __future__ import annotations

import math
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganzoo import config
from ganzoo.config import Layer
from ganzoo.data import open_dataset
from ganzoo.data.settings import dataset_of
from ganzoo.errors import MissingDatasetError
from ganzoo.testing.checks import Check, CheckSkippedError, Example, expect
from ganzoo.testing.every_spec import EVERY_SPEC
from ganzoo.training.session import Training
from ganzoo.training.state import check_trainable
from ganzoo.weights.model_config import model_config
from ganzoo.weights.tensors import deserialize

STEPS, STOP = 4, 2
"""Steps of a run, and after how many it is interrupted."""
MIN_BATCH = 4


def _settings(example: Example) -> dict[str, Any]:
    """Return settings of a run of a few steps on a CPU, with a small batch that `accumulate` can split."""
    recipe = example.spec
    return {
        "seed": 0,
        "device": "cpu",
        "threads": 1,
        "precision": "fp32",
        "steps": STEPS,
        "batch_size": MIN_BATCH * recipe.accumulate,
        "log_every": 1,
        "checkpoint_every": STOP,
        "sample_every": STEPS,
        **example.settings,
    }


class _Runs:
    """Runs of one recipe in a temporary folder."""

    def __init__(self, example: Example, folder: str) -> None:
        self._example, self._folder = example, Path(folder)
        self._open = partial(open_dataset, download=False)
        self.losses: list[float] = []

    def train(self, name: str, engine: str, stop: int | None = None) -> Training:
        """Train to the last step, or to one in between. Raises CheckSkippedError without data."""
        layer = Layer("the check", {**_settings(self._example), "engine": engine})
        try:
            job = Training.start(
                self._example.spec.name, self._folder / name, [layer], self._example.data_dir, self._open
            )
        except MissingDatasetError as error:
            raise CheckSkippedError(f"there are no files of {self._example.spec.dataset}") from error
        if stop is not None:
            job.should_stop = lambda: job.state.step == stop
        self.losses += [value for record in job for value in (record.loss_d, record.loss_g)]
        return job

    def resume(self, name: str) -> None:
        list(Training.resume(self._folder / name, [], self._example.data_dir, self._open))

    def tensors(self, name: str) -> dict[str, Tensor]:
        """Return everything in the last checkpoint but the times."""
        path = sorted((self._folder / name).rglob(f"*{STEPS}*.safetensors"))[-1]
        found, _ = deserialize(path.read_bytes(), path)
        return {name: tensor for name, tensor in found.items() if "seconds" not in name}


def its_settings_fit_together(example: Example) -> None:
    """It names things that are registered, with values that are valid, and nets that can be built for its dataset."""
    recipe = example.spec
    settings = config.resolve(recipe, [Layer("the check", _settings(example))], seed=0)
    dataset = dataset_of(settings.recipe)
    expect(
        recipe.split in dataset.splits,
        f"split={recipe.split!r} is not a split of {dataset.name!r}.",
        f"Choose one of {', '.join(dataset.splits)}.",
    )
    check_trainable(settings, model_config(settings.recipe, dataset.sample, dataset.settings))


def it_trains(example: Example) -> None:
    """A few steps with a small batch have finite losses, and change both nets."""
    with tempfile.TemporaryDirectory() as folder:
        runs = _Runs(example, folder)
        first, last = runs.train("first", "eager", 1), runs.train("last", "eager")
        expect(
            runs.losses and all(map(math.isfinite, runs.losses)),
            "a loss is not finite in the first steps.",
            "Check the learning rate and the range of the data.",
        )
        for net in ("generator", "discriminator"):
            before, after = (getattr(job.state.networks, net).state_dict() for job in (first, last))
            expect(
                any(not torch.equal(before[name], after[name]) for name in before),
                f"the {net} does not change in training.",
                "Check its learning rate, and that gradients reach it.",
            )


def it_resumes_bit_for_bit(example: Example) -> None:
    """A run that was interrupted and resumed ends with the bytes of one that was not."""
    with tempfile.TemporaryDirectory() as folder:
        runs = _Runs(example, folder)
        runs.train("whole", "eager")
        runs.train("parts", "eager", STOP)
        runs.resume("parts")
        _expect_same(
            runs.tensors("whole"),
            runs.tensors("parts"),
            "after it was interrupted and resumed",
            "Keep what changes from step to step in buffers, and draw random numbers with torch.",
        )


def recorded_steps_are_the_same(example: Example) -> None:
    """Steps that are recorded and replayed have the result of steps that are not; skipped if they cannot be."""
    with tempfile.TemporaryDirectory() as folder:
        runs = _Runs(example, folder)
        runs.train("eager", "eager")
        recorded = runs.train("graph", "graph")
        if recorded.engine.name != "graph":
            raise CheckSkippedError(f"steps are taken one by one: {recorded.engine.reason}")
        _expect_same(
            runs.tensors("eager"),
            runs.tensors("graph"),
            "when its steps are recorded",
            "Run the same operations in every step; keep numbers that change in buffers.",
        )


def _expect_same(first: dict[str, Tensor], second: dict[str, Tensor], when: str, change: str) -> None:
    differing = [name for name in first if name not in second or not torch.equal(first[name], second[name])]
    expect(not differing, f"{', '.join(differing[:3])} end with other values {when}.", change)


RECIPE_CHECKS: tuple[Check, ...] = (
    *EVERY_SPEC,
    its_settings_fit_together,
    it_trains,
    it_resumes_bit_for_bit,
    recorded_steps_are_the_same,
)
