"""When several processes stop training: all after the same step."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ganzoo.distributed.processes import Processes

SECONDS = 1.0
"""About how often the ranks ask each other: an exchange after every step would slow small nets down."""
MAX_INTERVAL = 1000
"""Most steps between two exchanges."""


class AgreedStop:
    """Called after each step, decides whether to stop: on all ranks after the same step, once any of them wants to."""

    def __init__(self, processes: Processes, should_stop: Callable[[], bool]) -> None:
        self._processes, self._should_stop = processes, should_stop
        # The first exchange comes after the first step; from its time follows the next interval.
        self._interval = self._steps_left = 1
        self._last = time.monotonic()

    def __call__(self) -> bool:
        self._steps_left -= 1
        if self._steps_left:
            return False
        # The slowest rank's seconds, so that all compute the same next interval.
        # Ranks that disagreed about when to ask next would wait for each other forever.
        own = [float(self._should_stop()), time.monotonic() - self._last]
        stop, seconds = self._processes.all_reduce_max(own)
        self._last = time.monotonic()
        # Doubled at most: the first steps of a run are slower than the others.
        steps_per_interval = int(self._interval * SECONDS / max(seconds, 1e-6))
        self._interval = self._steps_left = max(1, min(steps_per_interval, 2 * self._interval, MAX_INTERVAL))
        return bool(stop)
