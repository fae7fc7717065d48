"""Interleaved benchmark: variants alternate in rounds, so that background load affects all of them equally."""

from __future__ import annotations

import platform
import statistics
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import torch

from ganzoo.bench.variants import BASELINE, SAMPLE, Variant, Workload, prepare
from ganzoo.bench.worker import Worker, WorkerInfo
from ganzoo.config import Layer, TrainingSettings, resolve_again
from ganzoo.system.devices import supports_bf16
from ganzoo.version import __version__

EVALUATE_EVERY = 5000
"""Steps between two evaluations if the settings name none."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to measure."""

    settings: TrainingSettings
    data_dir: Path | None = None
    engines: Sequence[str] = ("eager", "graph")
    precisions: Sequence[str] = ()
    """Empty: fp32, and bf16 if the device multiplies it faster."""
    rounds: int = 5
    seconds: float = 5.0
    """For each variant, over all rounds; a round has at least one step."""
    samples: int = 1000
    """In one call of `GAN.sample`."""
    with_evaluation: bool = False
    """Whether to measure an evaluation too, and the speed of a run that is evaluated regularly."""


@dataclass(frozen=True, kw_only=True)
class Speed:
    """One variant, over all rounds; numbers have four digits."""

    date: str
    machine: str
    """Name of the device."""
    device: str
    """`cpu`, `cuda` or `mps`."""
    threads: int
    """Threads of PyTorch on the CPU."""
    recipe: str
    variant: str
    """`baseline`, an engine, or `sample`, where one call counts as a step."""
    precision: str
    """Compute precision."""
    batch: int
    """Samples in a batch, or in a call."""
    rounds: int
    steps_per_round: int
    steps_per_second: float
    """Median over the rounds."""
    slowest: float
    """Steps per second in the slowest round."""
    fastest: float
    """Steps per second in the fastest round."""
    times_baseline: float | None
    """Median over the rounds of the speed relative to the baseline in the same round; None for `sample`."""
    images_per_second: float
    """Real samples that the discriminator is trained on; for `sample`, samples."""
    microseconds_per_step: float
    peak_memory_mib: float | None
    """On a GPU what its tensors took, else the whole process; None if the system does not report it."""
    evaluate_every: int | None
    """Steps between two evaluations, for the next two; None if none was measured."""
    evaluation_seconds: float | None
    """One evaluation under the dataset's protocol for training."""
    images_per_second_evaluated: float | None
    """As `images_per_second`, of a run that is evaluated this often."""
    ganzoo: str
    torch: str
    python: str


def compare(request: Request, report: Callable[[str], None] = lambda line: None) -> list[Speed]:
    """Measure every variant: the baseline first, sampling last. Unavailable variants are reported and left out.

    Args:
        request: what to measure.
        report: is called with a line of progress now and then.

    Raises what `train` raises, and what measuring samples raises when an evaluation is requested.
    """
    # However many steps fit into the time, no learning rate is to decay to zero.
    endless = resolve_again(request.settings, [Layer("bench", {"steps": 1 << 40})])
    workload = Workload(endless, request.data_dir, request.samples)
    _, _, device = prepare(workload)  # errors are found here, and the data is packed once
    precisions = request.precisions or (["fp32", "bf16"] if supports_bf16(device) else ["fp32"])
    engines = [Variant(engine, precision) for precision in precisions for engine in request.engines]
    with ExitStack() as stack:
        workers, infos = dict[Variant, Worker](), dict[Variant, WorkerInfo]()
        for variant in dict.fromkeys((BASELINE, *engines, SAMPLE)):
            report(f"{variant}: preparing")
            worker = Worker(variant, workload)
            stack.callback(worker.close)
            info = worker.start()
            if info.problem:
                report(f"{variant}: left out, {info.problem}")
                worker.close()
                continue
            workers[variant], infos[variant] = worker, info
        # All are calibrated before any is timed, so that rounds are not interrupted by a warm-up.
        round_seconds = request.seconds / request.rounds
        steps = {variant: worker.calibrate(round_seconds) for variant, worker in workers.items()}
        seconds: dict[Variant, list[float]] = {variant: [] for variant in workers}
        # In turn within each round. Measured one after the other, a variant would have all of a slow minute to itself.
        for number in range(request.rounds):
            report(f"round {number + 1} of {request.rounds}")
            for variant, worker in workers.items():
                seconds[variant].append(worker.time(steps[variant]) / steps[variant])
        memory = {variant: worker.peak_memory() for variant, worker in workers.items()}
        evaluation = None
        if request.with_evaluation:
            report("evaluation")
            evaluation = workers[SAMPLE].evaluation_seconds()
    return [
        _speed(
            request,
            variant,
            infos[variant],
            steps[variant],
            seconds[variant],
            seconds[BASELINE],
            memory[variant],
            evaluation,
        )
        for variant in workers
    ]


def _speed(
    request: Request,
    variant: Variant,
    info: WorkerInfo,
    steps: int,
    seconds: list[float],
    baseline: list[float],
    memory: int | None,
    evaluation: float | None,
) -> Speed:
    """Summarise a variant from the seconds per step of each round."""
    typical, every, evaluated = statistics.median(seconds), None, None
    if evaluation is not None and variant != SAMPLE:
        every = request.settings.eval_every or EVALUATE_EVERY
        # Images of `every` steps over the time of these steps and of the evaluation that follows them.
        evaluated = info.images_per_step * every / (every * typical + evaluation)
    # Within a round both saw the same background load, so ratios vary less than speeds do.
    ratios = [theirs / ours for ours, theirs in zip(seconds, baseline, strict=True)]
    return Speed(
        date=date.today().isoformat(),
        machine=info.machine,
        device=info.device,
        threads=info.threads,
        recipe=request.settings.recipe.name,
        variant=variant.name,
        precision=variant.precision,
        batch=info.batch,
        rounds=request.rounds,
        steps_per_round=steps,
        steps_per_second=four_digits(1 / typical),
        slowest=four_digits(1 / max(seconds)),
        fastest=four_digits(1 / min(seconds)),
        times_baseline=None if variant == SAMPLE else four_digits(statistics.median(ratios)),
        images_per_second=four_digits(info.images_per_step / typical),
        microseconds_per_step=four_digits(typical * 1e6),
        peak_memory_mib=None if memory is None else four_digits(memory / 2**20),
        evaluate_every=every,
        evaluation_seconds=None if every is None or evaluation is None else four_digits(evaluation),
        images_per_second_evaluated=None if evaluated is None else four_digits(evaluated),
        ganzoo=__version__,
        torch=torch.__version__,
        python=platform.python_version(),
    )


def four_digits(value: float) -> float:
    """Round to the precision of a measurement."""
    return float(f"{value:.4g}")
