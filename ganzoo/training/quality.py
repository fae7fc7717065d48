"""How good a run's samples are while it trains: measured now and then, and the best weights kept.

best/           the weights of the best measurement so far, a weights folder as the run itself is
"""

from __future__ import annotations

from pathlib import Path

from ganzoo import registry
from ganzoo.config import TrainingSettings
from ganzoo.errors import SettingsError
from ganzoo.evaluation import Evaluator, find_protocol
from ganzoo.model import GAN
from ganzoo.specs import Protocol
from ganzoo.training.run import Run
from ganzoo.training.state import TrainingState


def training_protocol(settings: TrainingSettings) -> Protocol:
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


def check_measurable(state: TrainingState, data_dir: Path | None) -> None:
    """Measure the untrained generator once: what cannot be measured is found before hours of training.

    Raises what `training_protocol` and measuring raise.
    """
    protocol = training_protocol(state.settings)
    dataset = registry.datasets.get(state.settings.recipe.dataset)
    _measure(Evaluator(dataset, protocol, state.device, data_dir), state)


def _measure(evaluator: Evaluator, state: TrainingState) -> dict[str, float]:
    net = state.trained_generator
    was_training = net.training
    evaluation = evaluator.measure(GAN(net.eval(), state.config), state.config.recipe)
    net.train(was_training)
    return {metric.name: metric.value for metric in evaluation.metrics}


class Quality:
    """Measures a run every `eval_every` steps and keeps its best weights."""

    def __init__(self, run: Run, state: TrainingState) -> None:
        settings = run.settings
        self._run, self._every = run, settings.eval_every
        if self._every is None:
            return
        protocol = training_protocol(settings)
        dataset = registry.datasets.get(settings.recipe.dataset)
        self._evaluator = Evaluator(dataset, protocol, state.device, run.data_dir)
        self._metric = registry.metrics.get(settings.best_metric or protocol.metrics[0])
        earlier = [record[self._metric.name] for record in run.records() if self._metric.name in record]
        self._best = min(map(self._badness, earlier), default=float("inf"))

    def is_due(self, step: int) -> bool:
        """Whether samples are to be measured after this step."""
        return self._every is not None and (step % self._every == 0 or step == self._run.settings.recipe.steps)

    def measure(self, state: TrainingState) -> dict[str, float]:
        """Return metric name -> value for the generator of this moment; the best so far is kept in `best/`."""
        values = _measure(self._evaluator, state)
        if self._badness(values[self._metric.name]) < self._best:
            self._best = self._badness(values[self._metric.name])
            self._run.save_weights(state, self._run.path / "best")
        return values

    def _badness(self, value: float) -> float:
        return value if self._metric.better == "lower" else -value
