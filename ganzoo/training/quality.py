"""How good a run's samples are while it trains: measured now and then, and the best weights kept.

best/           the weights of the best measurement so far, a weights folder as the run itself is
best/best.json  which metric decided, under which protocol, its value and step
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from ganzoo import registry
from ganzoo.config import TrainingSettings
from ganzoo.errors import SettingsError
from ganzoo.evaluation.measurement import Evaluator, find_protocol
from ganzoo.model import GAN
from ganzoo.specs import EvaluationProtocol
from ganzoo.system.files import write_atomically
from ganzoo.training.run import Run, writing
from ganzoo.training.state import TrainingState


def training_protocol(settings: TrainingSettings) -> EvaluationProtocol:
    """Return the protocol that a run is measured under: the one that it names, else the dataset's cheap one.

    Raises UnknownNameError, EvaluationError, and SettingsError when `best_metric` is none of its metrics.
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
    """Return what measures a run, None for one that is not to be measured.

    The untrained generator is measured once: what cannot be measured is found before hours of training. Raises what
    `training_protocol` and measuring raise.
    """
    if state.settings.eval_every is None:
        return None
    protocol = training_protocol(state.settings)
    dataset = registry.datasets.get(state.settings.recipe.dataset)
    evaluator = Evaluator(dataset, protocol, state.device, data_dir, state.processes)
    _measure(evaluator, state)
    return evaluator


def _measure(evaluator: Evaluator, state: TrainingState) -> dict[str, float]:
    net = state.trained_generator
    was_training = net.training
    evaluation = evaluator.measure(GAN(net.eval(), state.config), state.config.recipe)
    net.train(was_training)
    return {metric.name: metric.value for metric in evaluation.metrics}


class Quality:
    """Measures a run every `eval_every` steps and keeps its best weights."""

    def __init__(self, run: Run, evaluator: Evaluator | None, step: int) -> None:
        self._run, self._evaluator, self._every = run, evaluator, run.settings.eval_every
        self._best = math.inf
        if evaluator is None:
            return
        self.protocol = evaluator.protocol.name
        self._metric = registry.metrics.get(run.settings.best_metric or evaluator.protocol.metrics[0])
        kept = self._kept()
        # What won by another measure, or after the step that the run goes on from, is no rival.
        if (kept.get("metric"), kept.get("protocol")) == (self._metric.name, self.protocol) and kept["step"] <= step:
            self._best = self._badness(kept["value"])

    def is_due(self, step: int) -> bool:
        """Whether samples are to be measured after this step."""
        if self._evaluator is None or self._every is None:
            return False
        return step % self._every == 0 or step == self._run.settings.recipe.steps

    def measure(self, state: TrainingState) -> dict[str, float]:
        """Return metric name -> value for the generator of this moment; the best so far is kept in `best/`."""
        assert self._evaluator is not None
        values = _measure(self._evaluator, state)
        state.processes.run_on_main(lambda: self._keep_best(state, values[self._metric.name]))
        return values

    def _keep_best(self, state: TrainingState, value: float) -> None:
        if self._badness(value) >= self._best:
            return
        self._best = self._badness(value)
        self._run.save_weights(state, self._run.best_path)
        kept = {"metric": self._metric.name, "protocol": self.protocol, "value": value, "step": state.step}
        with writing(self._run.path):
            write_atomically(self._run.best_path / "best.json", (json.dumps(kept, indent=2) + "\n").encode())

    def _kept(self) -> dict[str, Any]:
        try:
            kept: dict[str, Any] = json.loads((self._run.best_path / "best.json").read_text(encoding="utf-8"))
            return kept if {"metric", "protocol", "value", "step"} <= kept.keys() else {}
        except (OSError, ValueError, AttributeError):
            return {}

    def _badness(self, value: float) -> float:
        return value if self._metric.better == "lower" else -value
