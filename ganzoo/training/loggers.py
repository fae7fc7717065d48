"""The loggers that a run's settings name: called while it trains, and never a reason to stop it."""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from copy import deepcopy
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from ganzoo import registry
from ganzoo.config import TrainingSettings
from ganzoo.errors import TrainingError, first_sentence
from ganzoo.guard import guarded
from ganzoo.hub.endpoint import is_offline
from ganzoo.sampling import example_condition
from ganzoo.specs import LoggedRun, Logger
from ganzoo.training.run import Run
from ganzoo.training.state import TrainingState

MAX_FAILURES = 3
"""A logger that has failed so often is not called any more."""
_BATCH = 2

_log = logging.getLogger("ganzoo")


def check_loggers(settings: TrainingSettings) -> None:
    """Check that the loggers exist, and that what they need is installed.

    Raises UnknownNameError, PluginError, TrainingError.
    """
    for name in settings.loggers:
        spec = registry.loggers.get(name)
        if spec.module is not None and find_spec(spec.module) is None:
            raise TrainingError(
                f"logger {name!r} needs {spec.module}, which is not installed.",
                hint=f"{spec.install}, or train without it: --set loggers=[]",
            )


class Loggers:
    """The loggers of a run."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._loggers: dict[str, Logger] = {}
        self._failures = Counter[str]()

    def begin(self, state: TrainingState) -> None:
        """Begin, or go on with, every logger that the settings name."""
        for name in dict.fromkeys(self._run.settings.loggers):
            with self._expendable(name, "begin"):
                self._loggers[name] = registry.loggers.get(name).begin(logged_run(self._run, state))

    def record(self, record: Mapping[str, Any], metrics: Mapping[str, float], protocol: str | None) -> None:
        """Log a record, and the metrics of an evaluation if it has any."""
        numbers = {name: value for name, value in record.items() if name not in metrics and name != "protocol"}
        self._call("record", numbers)
        if metrics:
            self._call("evaluation", record["step"], protocol, dict(metrics))

    def picture(self, step: int) -> None:
        """Log the sample picture of a step, if its samples are drawn."""
        path = self._run.sample_path(step)
        if path.is_file():
            self._call("picture", step, path)

    def end(self, status: str) -> None:
        """End every logger: `finished`, `stopped` or `failed`."""
        self._call("end", status)

    def _call(self, function: str, *arguments: Any) -> None:
        for name, logger in self._loggers.items():
            call = getattr(logger, function)
            if call is not None and self._failures[name] < MAX_FAILURES:
                with self._expendable(name, function):
                    call(*arguments)

    @contextlib.contextmanager
    def _expendable(self, name: str, function: str) -> Iterator[None]:
        try:
            with guarded(registry.loggers, name, function):
                yield
        except (Exception, SystemExit) as error:  # SystemExit: a plugin that calls sys.exit() must not end a training
            self._failures[name] += 1
            rest = "" if self._failures[name] < MAX_FAILURES else ", without this logger"
            _log.warning(
                "Warning: logger %s: %s. The training goes on%s.", name, first_sentence(error).rstrip("."), rest
            )


@contextlib.contextmanager
def open_loggers(run: Run, state: TrainingState) -> Iterator[Loggers]:
    """Begin the loggers of a run, and end them with what became of it. Only the main process has any."""
    loggers = Loggers(run)
    if state.processes.is_main:
        loggers.begin(state)
    status = "failed"
    try:
        yield loggers
        status = "finished" if state.step == run.settings.recipe.steps else "stopped"
    except (GeneratorExit, KeyboardInterrupt):
        status = "stopped"
        raise
    finally:
        loggers.end(status)


def logged_run(run: Run, state: TrainingState) -> LoggedRun:
    """Return what loggers may know of a run."""
    return LoggedRun(
        path=run.path,
        id=hashlib.sha256(f"{run.path.name} {run.document['created']}".encode("utf-8", "replace")).hexdigest()[:16],
        recipe=run.settings.recipe.name,
        settings=run.settings.to_json(),
        step=state.step,
        offline=is_offline(),
        networks=lambda: _copies(state),
    )


def _copies(state: TrainingState) -> dict[str, tuple[nn.Module, tuple[Tensor, ...]]]:
    sample, condition = state.config.sample, example_condition(state.config.sample, _BATCH)
    labels = () if condition is None else (condition,)
    nets: dict[str, tuple[nn.Module, Tensor]] = {
        "generator": (state.trained_generator, torch.zeros(_BATCH, *state.config.latent.shape)),
        "discriminator": (state.networks.discriminator, torch.zeros(_BATCH, *sample.shape)),
    }
    return {name: (deepcopy(net).cpu().eval(), (inputs, *labels)) for name, (net, inputs) in nets.items()}
