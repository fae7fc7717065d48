"""One process for each variant: its peak memory is its own, and nothing that it does affects the others."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from ganzoo.bench.variants import Runner, Sampling, Variant, Workload, start
from ganzoo.errors import GanzooError
from ganzoo.system.workers import pool

WARM_UP = 3
"""Steps before any is timed."""

P = ParamSpec("P")
Result = TypeVar("Result")


@dataclass(frozen=True)
class WorkerInfo:
    """What a worker reports about itself."""

    machine: str
    """Name of the device."""
    device: str
    """Kind of the device: `cpu`, `cuda`, `mps`."""
    threads: int
    """Threads of PyTorch on the CPU."""
    batch: int
    images_per_step: int
    problem: str


class Worker:
    """Runs one variant in its own process. Every method raises GanzooError when the process was killed."""

    def __init__(self, variant: Variant, workload: Workload) -> None:
        self._variant, self._workload = variant, workload
        # One process that lives as long as the variant: every call finds the runner that `start` has left there.
        self._pool = pool(1)

    def start(self) -> WorkerInfo:
        """Prepare the variant. Raises what training raises."""
        return self._call(_start, self._variant, self._workload)

    def calibrate(self, seconds: float) -> int:
        """Return how many steps take about this long."""
        return self._call(_calibrate, seconds)

    def time(self, steps: int) -> float:
        """Return how many seconds the steps take."""
        return self._call(_time, steps)

    def peak_memory(self) -> int | None:
        """Return the peak memory in bytes, of the GPU or else of the process; None if the system does not report it."""
        return self._call(_peak_memory)

    def evaluation_seconds(self) -> float:
        """Return the seconds of one evaluation under the protocol for training. Only for the variant `sample`."""
        return self._call(_evaluation_seconds, self._workload)

    def close(self) -> None:
        """End the process."""
        self._pool.shutdown(cancel_futures=True)

    def _call(self, function: Callable[P, Result], *arguments: P.args, **named: P.kwargs) -> Result:
        try:
            return self._pool.submit(function, *arguments, **named).result()
        except BrokenProcessPool as error:
            raise GanzooError(
                f"the process that measured {self._variant} was killed.", hint="It may have taken too much memory."
            ) from error


# --- in the process ---

_runners: list[Runner] = []
"""The one variant of this process."""


def _start(variant: Variant, workload: Workload) -> WorkerInfo:
    import torch

    from ganzoo.bench.machine import device_name

    runner = start(variant, workload)
    _runners.append(runner)
    return WorkerInfo(
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
    # Doubled until they take a quarter of a round: a single step can be too short for the clock.
    while (taken := _time(steps)) < seconds / 4:
        steps *= 2
    return max(1, round(steps * seconds / taken))


def _time(steps: int) -> float:
    (runner,) = _runners
    # The device may still be busy with what came before, and after the loop with the steps themselves.
    runner.finish()
    started = time.perf_counter()
    runner.run(steps)
    runner.finish()
    return time.perf_counter() - started


def _peak_memory() -> int | None:
    from ganzoo.system.peak_memory import peak_memory

    return peak_memory(_runners[0].device)


def _evaluation_seconds(workload: Workload) -> float:
    from ganzoo.data.settings import dataset_of
    from ganzoo.evaluation.measurement import Evaluator
    from ganzoo.training.quality import training_protocol

    (runner,) = _runners
    assert isinstance(runner, Sampling)
    recipe, protocol = workload.settings.recipe, training_protocol(workload.settings)
    evaluator = Evaluator(dataset_of(recipe), protocol, runner.device, workload.data_dir)
    evaluator.measure(runner.gan, recipe.name)  # loads the real samples and the extractor, once for a run
    started = time.perf_counter()
    evaluator.measure(runner.gan, recipe.name)
    return time.perf_counter() - started
