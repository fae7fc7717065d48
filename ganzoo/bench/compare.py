"""Ways of doing the same work take turns, round after round, so that whatever else the machine does hits all alike."""

from __future__ import annotations

import platform
import statistics
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import torch

from ganzoo import __version__
from ganzoo.bench.variants import PLAIN, SAMPLE, Way, Work, prepare
from ganzoo.bench.worker import Opened, Seat
from ganzoo.config import Layer, TrainingSettings, resolve_again
from ganzoo.system.devices import supports_bf16

EVALUATE_EVERY = 5000
"""Steps between two evaluations where the settings name none."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is to be measured."""

    settings: TrainingSettings
    data_dir: Path | None = None
    engines: Sequence[str] = ("eager", "graph")
    precisions: Sequence[str] = ()
    """Empty: fp32, and bf16 where the device multiplies it faster."""
    rounds: int = 5
    seconds: float = 5.0
    """For each way, in all rounds together; a round has one step at least."""
    samples: int = 1000
    """In each call of `GAN.sample`."""
    with_evaluation: bool = False
    """Whether to measure an evaluation too, and the speed of a run that has one now and then."""


@dataclass(frozen=True, kw_only=True)
class Speed:
    """One way, over all rounds; numbers have four digits."""

    date: str
    machine: str
    """Name of the device."""
    device: str
    """`cpu`, `cuda` or `mps`."""
    threads: int
    """That the CPU's operations are spread over."""
    recipe: str
    way: str
    """`plain`, an engine, or `sample`, of which one call counts as a step."""
    precision: str
    """Type of the products."""
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
    times_plain: float | None
    """Median over the rounds of the speed against the plain loop's in the same round; None for `sample`."""
    images_per_second: float
    """Real samples that the discriminator is trained on; for `sample`, samples."""
    microseconds_per_step: float
    peak_memory_mib: float | None
    """On a GPU what its tensors took, else the whole process; None where the system does not say."""
    evaluate_every: int | None
    """Steps between two evaluations, in the next two; None when none was measured."""
    evaluation_seconds: float | None
    """Of one evaluation under the dataset's protocol for training."""
    images_per_second_evaluated: float | None
    """As `images_per_second`, of a run that is evaluated so often."""
    ganzoo: str
    torch: str
    python: str


def _unheard(text: str) -> None:
    pass


def race(request: Request, tell: Callable[[str], None] = _unheard) -> list[Speed]:
    """Measure every way, the plain loop first and sampling last; ways that cannot be had are told of and left out.

    Args:
        request: what to measure.
        tell: is given a line now and then about what is being done.

    Raises what `train` raises, and what measuring samples raises when an evaluation is asked for.
    """
    # However many steps fit into the time, no step size is to decay to nothing.
    endless = resolve_again(request.settings, [Layer("bench", {"steps": 1 << 40})])
    work = Work(endless, request.data_dir, request.samples)
    _, _, device = prepare(work)  # whatever is wrong is found here, and data is packed once
    precisions = request.precisions or (["fp32", "bf16"] if supports_bf16(device) else ["fp32"])
    engines = [Way(engine, precision) for precision in precisions for engine in request.engines]
    with ExitStack() as stack:
        seats, opened = dict[Way, Seat](), dict[Way, Opened]()
        for way in dict.fromkeys((PLAIN, *engines, SAMPLE)):
            tell(f"{way}: getting ready")
            seat = Seat(way, work)
            stack.callback(seat.close)
            found = seat.open()
            if found.problem:
                tell(f"{way}: left out, {found.problem}")
                seat.close()
                continue
            seats[way], opened[way] = seat, found
        a_round = request.seconds / request.rounds
        steps = {way: seat.calibrate(a_round) for way, seat in seats.items()}
        seconds: dict[Way, list[float]] = {way: [] for way in seats}
        for number in range(request.rounds):
            tell(f"round {number + 1} of {request.rounds}")
            for way, seat in seats.items():
                seconds[way].append(seat.time(steps[way]) / steps[way])
        memory = {way: seat.peak_memory() for way, seat in seats.items()}
        evaluation = None
        if request.with_evaluation:
            tell("evaluation")
            evaluation = seats[SAMPLE].evaluation_seconds()
    return [
        _speed(request, way, opened[way], steps[way], seconds[way], seconds[PLAIN], memory[way], evaluation)
        for way in seats
    ]


def _speed(
    request: Request,
    way: Way,
    opened: Opened,
    steps: int,
    seconds: list[float],
    plain: list[float],
    memory: int | None,
    evaluation: float | None,
) -> Speed:
    """Describe a way by the seconds of a step in each round."""
    typical, every, evaluated = statistics.median(seconds), None, None
    if evaluation is not None and way != SAMPLE:
        every = request.settings.eval_every or EVALUATE_EVERY
        evaluated = opened.images_per_step * every / (every * typical + evaluation)
    ratios = [theirs / ours for ours, theirs in zip(seconds, plain, strict=True)]
    return Speed(
        date=date.today().isoformat(),
        machine=opened.machine,
        device=opened.device,
        threads=opened.threads,
        recipe=request.settings.recipe.name,
        way=way.name,
        precision=way.precision,
        batch=opened.batch,
        rounds=request.rounds,
        steps_per_round=steps,
        steps_per_second=four_digits(1 / typical),
        slowest=four_digits(1 / max(seconds)),
        fastest=four_digits(1 / min(seconds)),
        times_plain=None if way == SAMPLE else four_digits(statistics.median(ratios)),
        images_per_second=four_digits(opened.images_per_step / typical),
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
    """Round to the digits that a measurement has."""
    return float(f"{value:.4g}")
