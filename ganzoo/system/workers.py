"""Worker processes, which end when this process ends, even if it is killed."""

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
    """Return the number of cores that this process may use, at most 16: more workers than one writer can follow."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, 16)


def ordered(
    work: Callable[[*Piece], Result], pieces: Iterator[tuple[*Piece]], workers: int
) -> Generator[Result, None, None]:
    """Yield work(*piece) for each piece in order, computed in `workers` processes; 1 computes in this process.

    At most workers + 2 pieces are computed ahead, so memory stays bounded. `work` and the pieces must be picklable.
    Raises what `work` raises, and BrokenProcessPool when a worker is killed.
    """
    if workers == 1:
        for piece in pieces:
            yield work(*piece)
        return
    executor = pool(workers)
    try:
        waiting: list[Future[Result]] = [executor.submit(work, *piece) for piece in islice(pieces, workers + 2)]
        while waiting:
            # The next piece is submitted before this result is handed over, so that workers stay busy while the caller
            # uses it.
            result = waiting.pop(0).result()
            waiting += [executor.submit(work, *piece) for piece in islice(pieces, 1)]
            yield result
    finally:
        executor.shutdown(cancel_futures=True)


def pool(workers: int) -> ProcessPoolExecutor:
    """Start worker processes (spawned, not forked) that ignore Ctrl-C and end with this process."""
    # A forked child would inherit the locks of torch's threads without the threads, and could not use CUDA.
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=_prepare)


def _prepare() -> None:
    # Ctrl-C reaches every process of the terminal; only the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        # Returns when the parent ends, even by SIGKILL. `_exit` skips all cleanup: the main thread may be in a long
        # call.
        parent.join()
        os._exit(1)
