"""The process that a way has for itself: its memory is its own, and it leaves nothing behind for another way."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from ganzoo.bench.variants import Runner, Sampling, Way, Work, ready
from ganzoo.errors import GanzooError
from ganzoo.system.workers import pool

WARM_UP = 3
"""Steps before any is timed."""

P = ParamSpec("P")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Opened:
    """What the process of a way says of itself."""

    machine: str
    """Name of the device."""
    device: str
    """Kind of the device: `cpu`, `cuda`, `mps`."""
    threads: int
    """That the CPU's operations are spread over."""
    batch: int
    images_per_step: int
    problem: str


class Seat:
    """Calls what is below in a process of its own. Raises GanzooError when the process is killed."""

    def __init__(self, way: Way, work: Work) -> None:
        self._way, self._work = way, work
        self._pool = pool(1)

    def open(self) -> Opened:
        """Make the way ready. Raises what training raises."""
        return self._call(_open, self._way, self._work)

    def calibrate(self, seconds: float) -> int:
        """Return how many steps take about so long."""
        return self._call(_calibrate, seconds)

    def time(self, steps: int) -> float:
        """Return the seconds that so many steps take."""
        return self._call(_time, steps)

    def peak_memory(self) -> int | None:
        """Return the most bytes that were ever taken, of the GPU or else of the process; None where nobody can say."""
        return self._call(_peak_memory)

    def evaluation_seconds(self) -> float:
        """Return the seconds of one evaluation under the protocol for training; only for the way `sample`."""
        return self._call(_evaluation_seconds, self._work)

    def close(self) -> None:
        """End the process."""
        self._pool.shutdown(cancel_futures=True)

    def _call(self, function: Callable[P, Result], *arguments: P.args, **named: P.kwargs) -> Result:
        try:
            return self._pool.submit(function, *arguments, **named).result()
        except BrokenProcessPool as error:
            raise GanzooError(
                f"the process that measured {self._way} was killed.", hint="It may have taken too much memory."
            ) from error


# --- in the process ---

_runners: list[Runner] = []
"""The one way of this process."""


def _open(way: Way, work: Work) -> Opened:
    import torch

    from ganzoo.bench.machine import device_name

    runner = ready(way, work)
    _runners.append(runner)
    return Opened(
        machine=device_name(runner.device),
        device=runner.device.type,
        threads=torch.get_num_threads(),
        batch=runner.batch,
        images_per_step=runner.images_per_step,
        problem=runner.problem,
    )


def _calibrate(seconds: float) -> int:
    _time(WARM_UP)
    steps = 1
    while (taken := _time(steps)) < seconds / 4:
        steps *= 2
    return max(1, round(steps * seconds / taken))


def _time(steps: int) -> float:
    (runner,) = _runners
    runner.finish()
    started = time.perf_counter()
    runner.take(steps)
    runner.finish()
    return time.perf_counter() - started


def _peak_memory() -> int | None:
    from ganzoo.bench.machine import peak_memory

    return peak_memory(_runners[0].device)


def _evaluation_seconds(work: Work) -> float:
    from ganzoo.evaluation.measurement import Evaluator
    from ganzoo.registry import datasets
    from ganzoo.training.quality import training_protocol

    (runner,) = _runners
    assert isinstance(runner, Sampling)
    recipe = work.settings.recipe
    evaluator = Evaluator(datasets.get(recipe.dataset), training_protocol(work.settings), runner.device, work.data_dir)
    evaluator.measure(runner.gan, recipe.name)  # reads the real side, once for a run
    started = time.perf_counter()
    evaluator.measure(runner.gan, recipe.name)
    return time.perf_counter() - started
