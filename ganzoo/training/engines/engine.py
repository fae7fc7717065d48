"""How steps are carried out: the same arithmetic, handed to the device in the way that is fastest there.

eager     operation by operation
graph     recorded once and replayed: on a GPU as a CUDA graph; elsewhere as bare operations, with the same numbers
compile   fused by torch's compiler, which takes a while, rounds otherwise, and is never chosen by itself
auto      eager or graph, whichever takes the first steps of the run faster
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Generator, Iterator
from functools import partial
from itertools import repeat

import torch

from ganzoo.errors import first_sentence
from ganzoo.system.devices import synchronize
from ganzoo.training.engines.cuda_graph import CapturedStep, CaptureError
from ganzoo.training.engines.tracing import Update, compiled, traced
from ganzoo.training.inputs import StagedInputs, StepInputs, draw, stage
from ganzoo.training.state import TrainingState
from ganzoo.training.step import update

WARM_UP, TIMED = 5, 15
"""Steps that `auto` takes in each way: first those that are not timed, then those whose median counts."""
WORTH_SECONDS = 10.0
"""`auto` stays eager when all steps that are left take no longer: recording takes a second or two."""

Way = Callable[[StagedInputs], None]
"""Carries out a step whose host's half is done."""


class Engine:
    """Takes the steps of a run."""

    def __init__(self, state: TrainingState) -> None:
        self._state = state
        self._eager = self._direct(partial(update, state.networks))
        self._ways = self._choose()
        self.name = ""
        """The way that was chosen; empty while it is not known yet."""
        self.reason = ""
        """Why, where it is not simply what was asked for."""

    def step(self) -> None:
        """Take one step. Raises DatasetError when the disk fails."""
        self._staged = stage(self._state)
        way = next(self._ways)
        try:
            way(self._staged)
        except CaptureError as error:  # nothing was computed
            self.name, self.reason, self._ways = "eager", str(error), repeat(self._eager)
            self._eager(self._staged)
        self._state.step += 1
        self._state.summed_steps += 1

    def _choose(self) -> Iterator[Way]:
        """Yield the way of each step."""
        asked, recorded = self._asked(), None
        if asked == "auto":
            recorded = yield from self._faster_graph()
        elif asked != "eager":
            recorded = self._record(asked)
        self.name = "eager" if recorded is None else "graph" if asked == "auto" else asked
        yield from repeat(recorded or self._eager)

    def _asked(self) -> str:
        """Return the way that was asked for; of several processes, one that each of them takes without trials."""
        asked = self._state.settings.engine
        if self._state.processes.world_size == 1:
            return asked
        if asked != "eager" and self._state.device.type != "cuda":
            self.reason = "only a CUDA graph can record what several processes exchange"
            return "eager"
        if asked == "compile":
            self.reason = "torch's compiler does not see the other processes"
        return "eager" if asked == "eager" else "graph"

    def _faster_graph(self) -> Generator[Way, None, Way | None]:
        """Try both on steps of the run, and return a recorded step where it is faster than an eager one."""
        eager = _Timed(self._eager, self._state.device)
        yield from repeat(eager, WARM_UP + TIMED)
        steps_left = self._state.settings.recipe.steps - self._state.step
        if steps_left * eager.typical < WORTH_SECONDS:
            self.reason = "so few steps do not pay for a graph"
            return None
        recorded = self._record("graph")
        if recorded is None:
            return None
        graph = _Timed(recorded, self._state.device)
        yield from repeat(graph, WARM_UP + TIMED)
        gain = eager.typical / graph.typical
        if gain > 1:
            self.reason = f"{gain:.2f} times as fast as eager here"
            return recorded
        self.reason = f"{1 / gain:.2f} times as fast as a graph here"
        return None

    def _record(self, name: str) -> Way | None:
        """Return the way of a recorded step; where there can be none, None, and the reason is kept."""
        state, on_gpu = self._state, self._state.device.type == "cuda"
        if state.processes.world_size > 1:
            return CapturedStep(state, partial(update, state.networks))
        try:
            # On a GPU too: what cannot be traced must not be captured.
            recorded = {"graph": traced, "compile": compiled}[name](state.networks, self._example())
        except Exception as error:  # whatever a net of a plugin does that torch cannot follow
            self.reason = f"no {name} can be made of this recipe: {first_sentence(error)}"
            return None
        if not on_gpu:
            return self._direct(recorded)
        return CapturedStep(state, recorded if name == "compile" else partial(update, state.networks))

    def _example(self) -> StepInputs:
        """Return a feed without going on in any random stream."""
        source = self._state.latent_source
        before = source.get_state()
        inputs = draw(self._state, self._staged)
        source.set_state(before)
        return inputs

    def _direct(self, of: Update) -> Way:
        return lambda staged: of(draw(self._state, staged))


class _Timed:
    """A way that notes how long its steps take."""

    def __init__(self, way: Way, device: torch.device) -> None:
        self._way, self._device = way, device
        self._seconds: list[float] = []

    def __call__(self, staged: StagedInputs) -> None:
        synchronize(self._device)
        started = time.perf_counter()
        self._way(staged)
        synchronize(self._device)
        self._seconds.append(time.perf_counter() - started)

    @property
    def typical(self) -> float:
        """Median of the seconds of a step, once it is warm."""
        return statistics.median(self._seconds[WARM_UP:])
