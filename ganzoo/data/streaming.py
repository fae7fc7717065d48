"""Reading ahead: a thread that loads the next few batches before they are needed."""

from __future__ import annotations

import queue
import threading
import weakref
from collections import deque
from collections.abc import Callable, Generator
from contextlib import closing, suppress

from torch import Tensor

from ganzoo.data.rows import RowFile, bytes_of

AHEAD = 4
"""Batches that wait in memory."""
ANNOUNCED = 16
"""Batches whose rows are announced to the operating system, which can then fetch many samples at once."""

Fetched = tuple[Tensor, Tensor]
"""Indices int64 [batch] and samples [batch, *shape], both on the CPU."""


class Prefetcher:
    """Batches in order, from one number on. The thread ends with `close`, with an error, or with this object."""

    def __init__(self, rows: RowFile, order: Callable[[int], Tensor], first: int, *, pinned: bool) -> None:
        self._rows = rows
        self._ready: queue.Queue[Fetched | Exception] = queue.Queue(AHEAD)
        self._end = threading.Event()
        # The thread must not hold this object, or dropping it would not end the thread.
        batches = _read(rows, order, first, pinned)
        self._thread = threading.Thread(
            target=_fill, args=(self._ready, batches, self._end), name="ganzoo-data", daemon=True
        )
        weakref.finalize(self, self._end.set)
        self._thread.start()

    def next(self) -> Fetched:
        """Return the next batch. Raises DatasetError, after which no batches follow."""
        fetched = self._ready.get()
        if isinstance(fetched, (OSError, EOFError)):
            raise self._rows.error(fetched) from fetched
        if isinstance(fetched, Exception):
            raise fetched
        return fetched

    def close(self) -> None:
        """End the thread and wait for it."""
        self._end.set()
        self._thread.join()


def _fill(
    ready: queue.Queue[Fetched | Exception], batches: Generator[Fetched, None, None], end: threading.Event
) -> None:
    """Put batches into the queue until `end` is set. An error goes into the queue too, and is raised by `next`."""

    def put(item: Fetched | Exception) -> None:
        while not end.is_set():
            with suppress(queue.Full):
                ready.put(item, timeout=0.1)
                return

    try:
        with closing(batches):
            while not end.is_set():
                put(next(batches))
    except Exception as error:
        put(error)


def _read(rows: RowFile, order: Callable[[int], Tensor], first: int, pinned: bool) -> Generator[Fetched, None, None]:
    """Yield the batches from number `first` on, without end. Raises OSError, EOFError."""
    announced: deque[Tensor] = deque()
    number, size = first, rows.row_size
    with rows.open() as file:
        while True:
            while len(announced) < ANNOUNCED:
                index = order(number)
                for row in index.tolist():
                    rows.will_read(file, row)
                announced.append(index)
                number += 1
            index = announced.popleft()
            samples = rows.empty(len(index), pinned=pinned)
            memory = bytes_of(samples)
            for place, row in enumerate(index.tolist()):
                rows.read(file, row, memory[place * size : (place + 1) * size])
            yield index, samples
