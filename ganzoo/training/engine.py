"""How steps are carried out: the same arithmetic, handed to the device in the way that is fastest there.

eager     operation by operation
graph     recorded once and replayed: on a GPU as a CUDA graph; elsewhere as bare operations, with the same numbers
compile   fused by torch's compiler, which takes a while, rounds otherwise, and is never chosen by itself
auto      eager or graph, whichever takes the first steps of the run faster
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from functools import partial
from itertools import repeat

from ganzoo.devices import synchronize
from ganzoo.errors import first_sentence
from ganzoo.training.capture import CapturedStep
from ganzoo.training.feed import Feed, StagedFeed, draw, stage
from ganzoo.training.state import TrainingState
from ganzoo.training.step import update
from ganzoo.training.tracing import Update, compiled, traced

WARM_UP = 3
"""Steps before a way is timed, or captured."""
TIMED, ROUNDS = 5, 3
"""Steps in each of the rounds in which `auto` times each way; the fastest round counts."""
WORTH_SECONDS = 10.0
"""`auto` stays eager when all steps that are left take no longer: recording takes a second or two."""

Way = Callable[[StagedFeed], None]
"""Carries out a step whose host's half is done."""


class Engine:
    """Takes the steps of a run."""

    def __init__(self, state: TrainingState) -> None:
        self._state = state
        self._ways = self._choose()
        self.name = ""
        """The way that was chosen; empty while it is not known yet."""
        self.reason = ""
        """Why, where it is not simply what was asked for."""

    def step(self) -> None:
        """Take one step. Raises DatasetError when the disk fails."""
        self._staged = stage(self._state)
        next(self._ways)(self._staged)
        self._state.step += 1
        self._state.summed_steps += 1

    def _choose(self) -> Generator[Way]:
        """Yield the way of each step."""
        asked, eager = self._asked(), self._direct(partial(update, self._state.learner))
        if asked == "eager":
            yield from self._stay("eager", eager)
        elif asked == "auto":
            yield from self._stay_with_the_faster(eager)
        else:
            recorded = yield from self._record(asked)
            yield from self._stay("eager", eager) if recorded is None else self._stay(asked, recorded)

    def _asked(self) -> str:
        """Return the way that was asked for; of several processes, one that each of them takes without trials."""
        asked = self._state.settings.engine
        if self._state.ranks.world == 1:
            return asked
        if asked != "eager" and self._state.device.type != "cuda":
            self.reason = "only a CUDA graph can record what several processes exchange"
            return "eager"
        if asked == "compile":
            self.reason = "torch's compiler does not see the other processes"
        return "eager" if asked == "eager" else "graph"

    def _stay_with_the_faster(self, eager: Way) -> Generator[Way]:
        recipe, state = self._state.settings.recipe, self._state
        yield from repeat(eager, WARM_UP)
        step_seconds = (yield from self._time(eager)) / TIMED
        if (recipe.steps - state.step) * step_seconds < WORTH_SECONDS:
            yield from self._stay("eager", eager, "so few steps do not pay for a graph")
        graph = yield from self._record("graph")
        if graph is None:
            yield from self._stay("eager", eager)
            return
        yield from repeat(graph, WARM_UP)
        seconds: dict[Way, list[float]] = {eager: [], graph: []}
        for _ in range(ROUNDS):
            for way, times in seconds.items():
                times.append((yield from self._time(way)))
        gain = min(seconds[eager]) / min(seconds[graph])
        if gain > 1:
            yield from self._stay("graph", graph, f"{gain:.2f} times as fast as eager here")
        yield from self._stay("eager", eager, f"{1 / gain:.2f} times as fast as a graph here")

    def _stay(self, name: str, way: Way, reason: str = "") -> Generator[Way]:
        self.name, self.reason = name, reason or self.reason
        yield from repeat(way)

    def _time(self, way: Way) -> Generator[Way, None, float]:
        """Return the seconds that a few steps take."""
        synchronize(self._state.device)
        started = time.perf_counter()
        yield from repeat(way, TIMED)
        synchronize(self._state.device)
        return time.perf_counter() - started

    def _record(self, name: str) -> Generator[Way, None, Way | None]:
        """Return the way of a recorded step; where there can be none, None and the reason."""
        on_gpu = self._state.device.type == "cuda"
        try:
            recorded = self._update(name)
            direct = self._direct(recorded)
            if not on_gpu:
                return direct
            yield from repeat(direct, WARM_UP)
            return CapturedStep(self._state, recorded, self._staged)
        except Exception as error:  # whatever a net of a plugin does that torch cannot record
            self.reason = f"no {name} can be made of this recipe: {first_sentence(error)}"
            return None

    def _update(self, name: str) -> Update:
        learner = self._state.learner
        if name == "compile":
            return compiled(learner, self._example())
        return partial(update, learner) if self._state.device.type == "cuda" else traced(learner, self._example())

    def _example(self) -> Feed:
        """Return a feed without going on in any random stream."""
        source = self._state.latent_source
        before = source.get_state()
        feed = draw(self._state, self._staged)
        source.set_state(before)
        return feed

    def _direct(self, of: Update) -> Way:
        return lambda staged: of(draw(self._state, staged))
