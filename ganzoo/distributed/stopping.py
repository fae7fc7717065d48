"""When to stop, asked of one process or agreed upon by several."""

from __future__ import annotations

import time
from collections.abc import Callable

from ganzoo.distributed.processes import Processes

SECONDS = 1.0
"""Time between two agreements, about."""
MOST_STEPS = 1000


class Agreement:
    """Asked after every step, says whether to stop: on all ranks after the same one, whichever of them wants to."""

    def __init__(self, processes: Processes, wanted: Callable[[], bool]) -> None:
        self._processes, self._wanted = processes, wanted
        self._interval = self._left = 1
        self._last = time.monotonic()

    def __call__(self) -> bool:
        """Whether to stop after this step."""
        if self._processes.world_size == 1:
            return self._wanted()
        self._left -= 1
        if self._left:
            return False
        wanted, seconds = self._processes.all_reduce_max([float(self._wanted()), time.monotonic() - self._last])
        self._last = time.monotonic()
        # Twice as many at most: the first steps of a run take longer than the others.
        fitting = int(self._interval * SECONDS / max(seconds, 1e-6))
        self._interval = self._left = max(1, min(fitting, 2 * self._interval, MOST_STEPS))
        return bool(wanted)
