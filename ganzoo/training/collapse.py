"""Signs that a training has failed although its losses are finite.

Samples that are alike, a discriminator without errors, huge losses, metrics that get worse: each is reported once in a
run, with the step since when. The training goes on.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ganzoo import registry
from ganzoo.training.run import Run
from ganzoo.training.state import TrainingState

MIN_SPREAD = 0.15
"""Of the spread of real samples, below which generated ones count as alike: a judgement, not a measurement."""
MAX_LOSS = 1e6
"""Magnitude of a loss that counts as out of range."""
MAX_ACCURACY = 0.9995
"""Of a discriminator with targets, above which it passes hardly anything on to the generator. In the trainings of the
zoo it is that high for single records only."""
BEGINNING = 1_000
"""Steps in which samples may be alike: an average of the generator still holds much of the untrained one."""
PATIENCE = {"samples": 2, "loss_d": 3, "loss_g": 3, "accuracy": 20}
"""Consecutive observations of a sign before it is reported; 3 for a metric."""

_log = logging.getLogger("ganzoo")


class CollapseAlarm:
    """Watches the records and sample pictures of a run, on the main process; what it reports is noted in run.json."""

    def __init__(self, run: Run, state: TrainingState, metrics: Sequence[str] = ()) -> None:
        self._run = run
        self._reported = {alarm.get("metric") for alarm in run.document.get("alarms", ()) if isinstance(alarm, dict)}
        self._since: dict[str, list[int]] = defaultdict(list)
        """Sign -> the steps of its consecutive observations."""
        self._has_targets = registry.losses.get(state.settings.recipe.loss).smoothable
        self._better = {name: registry.metrics.get(name).better for name in metrics}
        self._values: dict[str, list[tuple[int, float]]] = defaultdict(list)
        self._real_spread = _real_spread(state)
        for record in run.records():  # of a resumed run
            self._look_at(record, silent=True)

    def add_record(self, record: Mapping[str, Any]) -> None:
        """Look at a line of metrics.jsonl."""
        self._look_at(record, silent=False)

    def add_samples(self, step: int, samples: Tensor) -> None:
        """Look at the samples of a picture, [num, *shape]."""
        if step < BEGINNING:
            return
        spread = _spread(samples)
        alike = spread < MIN_SPREAD * self._real_spread
        what = (
            f"the samples are nearly alike, {spread / self._real_spread:.0%} as far apart as real ones" if alike else ""
        )
        self._observe("samples", step, what)

    def _look_at(self, record: Mapping[str, Any], *, silent: bool) -> None:
        step = record["step"]
        for name in ("loss_d", "loss_g"):
            loss = _number(record, name)
            self._observe(name, step, f"{name} is {loss:.1e}" if abs(loss) > MAX_LOSS else "", silent)
        accuracy = _number(record, "accuracy")
        if self._has_targets:
            perfect = "the discriminator tells real and generated samples apart without errors (accuracy %.4f)"
            self._observe("accuracy", step, perfect % accuracy if accuracy > MAX_ACCURACY else "", silent)
        for name, better in self._better.items():
            if name in record:
                self._observe(name, step, self._worsening(name, step, _number(record, name), better), silent)

    def _worsening(self, name: str, step: int, value: float, better: str) -> str:
        """Say that a metric has lost more than half of what it had gained since the first evaluation; else empty."""
        values = self._values[name]
        values.append((step, value))
        sign = 1 if better == "lower" else -1
        best_step, best = min(values, key=lambda one: sign * one[1])
        gained, lost = sign * (values[0][1] - best), sign * (value - best)
        return f"{name} is {value:.4g}, after {best:.4g} at step {best_step}" if 0 < gained < 2 * lost else ""

    def _observe(self, sign: str, step: int, what: str, silent: bool = False) -> None:
        """Count an observation of a sign, or the end of a series (an empty text), and report it when it has lasted."""
        since = self._since[sign]
        if not what:
            since.clear()
            return
        since.append(step)
        if len(since) < PATIENCE.get(sign, 3) or sign in self._reported or silent:
            return
        self._reported.add(sign)
        self._run.note("alarms", {"metric": sign, "since": since[0], "step": step, "what": what})
        _log.warning(
            "Warning: the training may have collapsed: since step %d, %s. Stop it with Ctrl-C, or look at %s first.",
            since[0],
            what,
            self._run.path / "samples",
        )


def _number(record: Mapping[str, Any], name: str) -> float:
    """Return a value of a record, 0 for what is no number: the lines of a resumed run may have been edited."""
    try:
        return float(record.get(name, 0))
    except (OverflowError, TypeError, ValueError):
        return 0.0


def _real_spread(state: TrainingState) -> float:
    """Return the spread of a batch of real samples, leaving the position in the data as it is."""
    position = state.batches.state_dict()
    samples = state.batches.materialize(state.batches.prepare()).samples
    state.batches.load_state_dict(position)
    return max(_spread(samples), 1e-6)


def _spread(samples: Tensor) -> float:
    """Return the standard deviation over the samples, averaged over their values."""
    return float(samples.float().std(0).mean()) if len(samples) > 1 else torch.inf
