"""Reading ahead: a thread that has the next few batches in memory before they are asked for."""

from __future__ import annotations

import queue
import threading
import weakref
from collections import deque
from collections.abc import Callable

from torch import Tensor

from ganzoo.data.rows import RowFile, bytes_of

AHEAD = 4
"""Batches that wait in memory."""
ANNOUNCED = 16
"""Batches that the disk is told of before they are read, so that it can work on many samples at once."""

Fetched = tuple[Tensor, Tensor]
"""Indices int64 [batch] and samples [batch, *shape], both on the CPU."""


class Prefetcher:
    """Batches from one number on, in order. The thread ends with `close`, with an error, or with this object."""

    def __init__(self, rows: RowFile, order: Callable[[int], Tensor], first: int, *, pinned: bool) -> None:
        self._rows = rows
        self._ready: queue.Queue[Fetched | Exception] = queue.Queue(AHEAD)
        self._end = threading.Event()
        self._thread = threading.Thread(
            target=_run, args=(rows, order, first, pinned, self._ready, self._end), name="ganzoo-data", daemon=True
        )
        weakref.finalize(self, self._end.set)
        self._thread.start()

    def next(self) -> Fetched:
        """Return the next batch. Raises DatasetError; there is nothing more to come then."""
        fetched = self._ready.get()
        if isinstance(fetched, (OSError, EOFError)):
            raise self._rows.error(fetched) from fetched
        if isinstance(fetched, Exception):
            raise fetched
        return fetched

    def close(self) -> None:
        """End the thread, and wait until it has ended."""
        self._end.set()
        self._thread.join()


def _run(
    rows: RowFile,
    order: Callable[[int], Tensor],
    first: int,
    pinned: bool,
    ready: queue.Queue[Fetched | Exception],
    end: threading.Event,
) -> None:
    try:
        _fetch(rows, order, first, pinned, ready, end)
    except Exception as error:  # the thread that asks for batches is to hear of it
        _put(ready, error, end)


def _fetch(
    rows: RowFile,
    order: Callable[[int], Tensor],
    first: int,
    pinned: bool,
    ready: queue.Queue[Fetched | Exception],
    end: threading.Event,
) -> None:
    announced: deque[Tensor] = deque()
    number, size = first, rows.row_size
    with rows.open() as file:
        while not end.is_set():
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
            _put(ready, (index, samples), end)


def _put(ready: queue.Queue[Fetched | Exception], item: Fetched | Exception, end: threading.Event) -> None:
    while not end.is_set():
        try:
            ready.put(item, timeout=0.1)
        except queue.Full:
            continue
        return
