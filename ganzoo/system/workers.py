"""Processes that help this one, and end when it does, however it ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice
from typing import TypeVar, TypeVarTuple

Result = TypeVar("Result")
Piece = TypeVarTuple("Piece")


def num_cores() -> int:
    """Return the cores that this process may use, but no more than one process that writes can follow."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, 16)


def ordered(
    work: Callable[[*Piece], Result], pieces: Iterator[tuple[*Piece]], workers: int
) -> Generator[Result, None, None]:
    """Yield work(*piece) of each piece in order, computed in so many processes, or in this one for 1.

    No more than two pieces beyond one for each worker are taken and computed before they are asked for. `work` and the
    pieces must be picklable. Raises what `work` raises, and BrokenProcessPool when a process is killed.
    """
    if workers == 1:
        for piece in pieces:
            yield work(*piece)
        return
    executor = pool(workers)
    try:
        waiting: list[Future[Result]] = [executor.submit(work, *piece) for piece in islice(pieces, workers + 2)]
        while waiting:
            result = waiting.pop(0).result()
            waiting += [executor.submit(work, *piece) for piece in islice(pieces, 1)]
            yield result
    finally:
        executor.shutdown(cancel_futures=True)


def pool(workers: int) -> ProcessPoolExecutor:
    """Return so many fresh processes that leave Ctrl-C to this one, and end with it."""
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=_prepare)


def _prepare() -> None:
    """Leave Ctrl-C to the process that is helped, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
