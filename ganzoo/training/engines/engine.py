"""How steps are taken: the same arithmetic, handed to the device in different ways.

eager     operation by operation
graph     recorded once and replayed: on a GPU as a CUDA graph; elsewhere as a list of operations, with the same numbers
compile   fused by torch's compiler, which takes a while and rounds differently; never chosen by `auto`
auto      eager or graph, whichever takes the first steps of the run faster
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial

import torch

from ganzoo.errors import first_sentence
from ganzoo.system.devices import synchronize
from ganzoo.training.engines.cuda_graph import CapturedStep, CaptureError
from ganzoo.training.engines.tracing import TrainStep, compiled, traced
from ganzoo.training.inputs import PreparedInputs, StepInputs, is_full, materialize, num_images, prepare_on_host
from ganzoo.training.state import TrainingState
from ganzoo.training.step import train_step

# WARM_UP exceeds that of cuda_graph.py, so that a capture falls into the steps that are not timed.
WARM_UP, TIMED = 5, 15
"""Steps that `auto` takes with each candidate: the first ones are not timed, the median of the others decides."""
MIN_SECONDS_LEFT = 10.0
"""`auto` stays eager when the rest of the run takes less: recording takes a second or two."""

StepFunction = Callable[[PreparedInputs], None]
"""Takes a step whose inputs were prepared on the host."""


class Engine:
    """Takes the steps of a run. Has two states: timing candidates (`auto` only), and chosen."""

    def __init__(self, state: TrainingState) -> None:
        self.name = ""
        """The engine that was chosen; empty while candidates are being timed."""
        self.reason = ""
        """Why this one, unless it is simply the requested one."""
        self._state = state
        self._eager = _direct(state, partial(train_step, state.networks))
        self._requested = self._possible(state.settings.engine)
        self._chosen: StepFunction | None = None
        # Eager is timed first: if it is fast enough for the rest of the run, nothing is recorded at all.
        self._timed_eager = _Timed(self._eager, state.device)
        self._timed_graph: _Timed | None = None

    def step(self) -> None:
        """Take one step. Raises DatasetError when the disk fails."""
        state = self._state
        prepared = prepare_on_host(state)
        # A recording has one shape: the incomplete last batch of an epoch goes past it, and is not timed either.
        function = self._function(prepared) if is_full(state, prepared) else self._eager
        try:
            function(prepared)
        except CaptureError as error:  # nothing was computed
            self._choose("eager", self._eager, str(error))(prepared)
        # Counted after the update, so that a step that raised counts as not taken.
        state.step += 1
        state.images += num_images(state, prepared)
        state.summed_steps += 1

    def _function(self, prepared: PreparedInputs) -> StepFunction:
        """Return what takes the next step: the chosen function, or the candidate that is being timed."""
        if self._chosen is not None:
            return self._chosen
        if self._requested != "auto":
            name = self._requested
            return self._choose(name, self._eager if name == "eager" else _recorded(self._state, name), self.reason)

        if not self._timed_eager.complete:
            return self._timed_eager
        if self._timed_graph is None:
            steps_left = self._state.settings.recipe.steps - self._state.step
            if steps_left * self._timed_eager.median < MIN_SECONDS_LEFT:
                return self._choose("eager", self._eager, "too few steps for a graph to pay off")
            self._timed_graph = _Timed(_recorded(self._state, "graph"), self._state.device)
        if not self._timed_graph.complete:
            return self._timed_graph
        # Medians: a step that another program delayed decides nothing.
        gain = self._timed_eager.median / self._timed_graph.median
        if gain > 1:
            return self._choose("graph", self._timed_graph.function, f"{gain:.2f} times as fast as eager here")
        return self._choose("eager", self._eager, f"{1 / gain:.2f} times as fast as a graph here")

    def _choose(self, name: str, function: StepFunction, reason: str) -> StepFunction:
        self.name, self.reason, self._chosen = name, reason, function
        self._timed_graph = None  # a rejected graph would keep its memory
        return function

    def _possible(self, requested: str) -> str:
        """Return the requested engine, or with several processes one that all of them take without timing.

        Times differ between processes, and so would their choice; but one process cannot replay what others compute
        operation by operation, with exchanges in between.
        """
        if requested == "eager" or self._state.processes.world_size == 1:
            return requested
        if self._state.device.type != "cuda":
            self.reason = "only a CUDA graph can record the exchanges between processes"
            return "eager"
        if requested == "compile":
            self.reason = "torch's compiler cannot compile the exchanges between processes"
        return "graph"


# Functions of the state and not methods: a cycle through the engine would keep a CUDA graph alive until the garbage
# collector runs.


def _direct(state: TrainingState, function: TrainStep) -> StepFunction:
    return lambda prepared: function(materialize(state, prepared))


def _recorded(state: TrainingState, name: str) -> StepFunction:
    """Return what replays a step, recorded once for each combination of regularizers that a step may compute.

    It raises CaptureError, before anything is computed, where the recipe cannot be recorded.
    """
    recordings: dict[tuple[str, ...], StepFunction] = {}

    def step(prepared: PreparedInputs) -> None:
        if prepared.regularizers not in recordings:
            recordings[prepared.regularizers] = _record(state, name, prepared)
        recordings[prepared.regularizers](prepared)

    return step


def _record(state: TrainingState, name: str, prepared: PreparedInputs) -> StepFunction:
    """Return a recorded step. Raises CaptureError."""
    # Not traced first: tracing does not get through the exchanges between processes.
    if state.processes.world_size > 1:
        return CapturedStep(state, partial(train_step, state.networks))
    try:
        # Traced on a GPU too: tracing finds what depends on values or changes from step to step. A capture would
        # silently repeat the first step's.
        function = {"graph": traced, "compile": compiled}[name](state.networks, _example(state, prepared))
    except Exception as error:  # a plugin's net may do anything that torch cannot trace
        raise CaptureError(f"this recipe cannot be recorded for {name}: {first_sentence(error)}") from error
    if state.device.type != "cuda":
        return _direct(state, function)
    # Within a graph it makes no difference how its kernels were launched, so the traced operations are not needed.
    return CapturedStep(state, function if name == "compile" else partial(train_step, state.networks))


def _example(state: TrainingState, prepared: PreparedInputs) -> StepInputs:
    """Return inputs for tracing without advancing the random stream: the step itself draws from it again."""
    source = state.latent_source
    before = source.get_state()
    inputs = materialize(state, prepared)
    source.set_state(before)
    return inputs


class _Timed:
    """A candidate that notes how long its steps take."""

    def __init__(self, function: StepFunction, device: torch.device) -> None:
        self.function, self._device = function, device
        self._seconds: list[float] = []

    def __call__(self, prepared: PreparedInputs) -> None:
        # Before and after: what the step before has queued is not this step's time.
        synchronize(self._device)
        started = time.perf_counter()
        self.function(prepared)
        synchronize(self._device)
        self._seconds.append(time.perf_counter() - started)

    @property
    def complete(self) -> bool:
        return len(self._seconds) == WARM_UP + TIMED

    @property
    def median(self) -> float:
        """Seconds of a step, once it is warm."""
        return statistics.median(self._seconds[WARM_UP:])
