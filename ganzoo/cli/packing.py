"""Opening a dataset in the terminal: a bar while it is packed, and a word on what could not be read."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ganzoo.cli.output import out

if TYPE_CHECKING:
    from ganzoo.data import OpenedDataset
    from ganzoo.specs import DatasetSpec

MOST_WORKERS = 61
"""Windows waits for no more processes at once."""


def open_dataset(
    spec: DatasetSpec, split: str, data_dir: Path | None, *, workers: int | None = None, again: bool = False
) -> OpenedDataset:
    """Open a split as `ganzoo.data.open_dataset` does; `workers` None: a process for each core."""
    from ganzoo import data

    def waiting() -> None:
        out.talk(f"Another process packs or fetches {spec.name} {split}; waiting for it.")

    with _bar(f"{spec.name} {split}") as progress:
        opened = data.open_dataset(
            spec, split, data_dir, workers=workers or _cores(), progress=progress, waiting=waiting, again=again
        )
    if opened.skipped_file is not None:
        num = opened.num_skipped + len(opened.data.samples)  # type: ignore[union-attr]  # laws skip nothing
        where = "" if data_dir is None else f" --data-dir {data_dir}"
        out.talk(
            f"{split}: {opened.num_skipped:,} of {num:,} could not be read; see {opened.skipped_file} "
            f"(once they are mended: ganzoo data prepare {spec.name}{where} --again)"
        )
    return opened


def _cores() -> int:
    """Return the cores that this process may use, but no more than one process that writes can follow."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, 16)


@contextlib.contextmanager
def _bar(title: str) -> Iterator[Callable[[int, int], None] | None]:
    """Show how far a packing is, once it says so; None where nobody would see it."""
    console = out.progress_console()
    if console is None:
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        console=console,
    ) as bar:
        task = bar.add_task(title, total=None, visible=False, speed="")
        first: list[tuple[int, float]] = []

        def update(done: int, total: int) -> None:
            first.append((done, time.monotonic()))
            del first[1:]
            (begun, at), now = first[0], time.monotonic()
            # Some clocks stand still for 16 ms.
            speed = f"{(done - begun) / max(now - at, 1e-3):,.0f} images/s" if done > begun else ""
            bar.update(task, completed=done, total=total, visible=True, speed=speed)

        yield update
