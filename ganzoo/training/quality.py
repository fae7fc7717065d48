"""Evaluations during training; the weights of the best one are kept.

best/           these weights: a weights folder, as the run itself is
best/best.json  the metric and protocol that decided, its value and the step
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from ganzoo import registry
from ganzoo.config import TrainingSettings
from ganzoo.data.settings import dataset_of
from ganzoo.errors import SettingsError
from ganzoo.evaluation.measurement import Evaluator, find_protocol
from ganzoo.model import GAN
from ganzoo.specs import EvaluationProtocol
from ganzoo.system.files import read_json, write_atomically
from ganzoo.training.run import Run, writing
from ganzoo.training.state import TrainingState


def training_protocol(settings: TrainingSettings) -> EvaluationProtocol:
    """Return the protocol of a run's evaluations: the one in its settings, else the dataset's cheap one.

    Raises UnknownNameError, EvaluationError, and SettingsError when `best_metric` is not one of its metrics.
    """
    dataset = registry.datasets.get(settings.recipe.dataset)
    cheap = [protocol.name for protocol in dataset.protocols if protocol.use == "training"]
    protocol = find_protocol(dataset, settings.eval_protocol or next(iter(cheap), None))
    if settings.best_metric not in (None, *protocol.metrics):
        raise SettingsError(
            f"best_metric {settings.best_metric!r} is not measured under {protocol.name}.",
            hint=f"Choose one of {', '.join(protocol.metrics)}.",
        )
    return protocol


def open_evaluator(state: TrainingState, data_dir: Path | None) -> Evaluator | None:
    """Return the evaluator of a run, None for a run without evaluations.

    It evaluates the untrained generator once, so that an evaluation that cannot work fails before hours of training.
    Raises what `training_protocol` and evaluating raise.
    """
    if state.settings.eval_every is None:
        return None
    protocol = training_protocol(state.settings)
    evaluator = Evaluator(dataset_of(state.settings.recipe), protocol, state.device, data_dir, state.processes)
    _measure(evaluator, state)
    return evaluator


def _measure(evaluator: Evaluator, state: TrainingState) -> dict[str, float]:
    # The average is always in evaluation mode. Without one, this is the net that is being trained, and goes back to
    # training.
    net = state.trained_generator
    was_training = net.training
    evaluation = evaluator.measure(GAN(net.eval(), state.config), state.config.recipe)
    net.train(was_training)
    return {metric.name: metric.value for metric in evaluation.metrics}


class BestWeights:
    """Evaluates a run every `eval_every` steps and keeps the weights of the best evaluation."""

    def __init__(self, run: Run, evaluator: Evaluator | None, step: int) -> None:
        self._run, self._evaluator, self._every = run, evaluator, run.settings.eval_every
        self._best: float | None = None
        if evaluator is None:
            return
        self.protocol = evaluator.protocol.name
        self._metric = registry.metrics.get(run.settings.best_metric or evaluator.protocol.metrics[0])
        kept = self._read_kept()
        # Not comparable: a value of another metric or protocol, or one of a step that this run will take again.
        if (
            kept is not None
            and (kept["metric"], kept["protocol"]) == (self._metric.name, self.protocol)
            and kept["step"] <= step
        ):
            self._best = kept["value"]

    def is_due(self, step: int) -> bool:
        """Whether there is an evaluation after this step."""
        if self._evaluator is None or self._every is None:
            return False
        return step % self._every == 0 or step == self._run.settings.recipe.steps

    def evaluate(self, state: TrainingState) -> dict[str, float]:
        """Return metric name -> value for the current generator, after keeping its weights if it is the best so far."""
        assert self._evaluator is not None
        values = _measure(self._evaluator, state)
        value = values[self._metric.name]
        # Every rank measures the same values; the main one alone keeps weights, and so it alone compares.
        with state.processes.on_main() as main:
            if main and self._is_better(value):
                self._keep(state, value)
        return values

    def _is_better(self, value: float) -> bool:
        if self._best is None:
            return True
        return value < self._best if self._metric.better == "lower" else value > self._best

    def _keep(self, state: TrainingState, value: float) -> None:
        self._best = value
        # The weights first: after a kill in between, best.json still states the older value, and the next better
        # evaluation replaces both.
        self._run.save_weights(state, self._run.best_path)
        kept = {"metric": self._metric.name, "protocol": self.protocol, "value": value, "step": state.step}
        with writing(self._run.path):
            write_atomically(self._run.best_path / "best.json", (json.dumps(kept, indent=2) + "\n").encode())

    def _read_kept(self) -> dict[str, Any] | None:
        """Return what best.json says; None without one, or for one that is damaged."""
        try:
            kept = read_json(self._run.best_path / "best.json")
            number = math.isfinite(kept["value"]) and type(kept["step"]) is int
            return kept if number and {"metric", "protocol"} <= kept.keys() else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            return None
