"""Progress bars: of a training, of samples or images that are counted, and of downloads. Nothing without a terminal."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ganzoo.cli.output import out, printable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.progress import Progress, ProgressColumn, TaskID

    from ganzoo.hub.client import Access
    from ganzoo.training import Record, Training


WIDE = 110
"""Columns from which on a bar shows everything; below, it is short, so that the numbers are not cut off."""


def loss(value: float) -> str:
    """Return a loss as text that stays short when a training diverges."""
    return f"{value:.3f}" if abs(value) < 10_000 else f"{value:.1e}"


def speed(record: Record) -> str:
    """Return the speed of a training as text."""
    images = record.steps_per_second * record.images / record.step
    return f"{record.steps_per_second:,.0f} steps/s, {images:,.0f} images/s"


def _progress(console: Console, *columns: ProgressColumn) -> Progress:
    """Return a bar that counts, with its speed, these columns, and the remaining time."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}", markup=False),  # names of others may look like markup
        BarColumn(bar_width=40 if console.width >= WIDE else 8),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}", markup=False),
        *columns,
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        console=console,
    )


class TrainingBar:
    """A progress bar of a training, with the losses unless they are shown elsewhere."""

    def __init__(self, training: Training, console: Console, *, losses: bool = True) -> None:
        from rich.progress import TextColumn

        self._progress = _progress(console, *[TextColumn("{task.fields[losses]}", markup=False)] * losses)
        self._wide = console.width >= WIDE
        self._metrics = ""  # of the newest evaluation
        recipe = training.run.settings.recipe
        self._task = self._progress.add_task(
            printable(recipe.name), total=recipe.steps, completed=training.state.step, speed="", losses=""
        )

    def __enter__(self) -> TrainingBar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    @property
    def renderable(self) -> RenderableType:
        """The bar as it is now, for a view that draws it itself."""
        return self._progress.get_renderable()

    def update(self, record: Record) -> None:
        """Show the newest record."""
        if record.metrics:
            self._metrics = "".join(f"  {printable(name)} {value:.3g}" for name, value in record.metrics.items())
        self._progress.update(
            self._task,
            completed=record.step,
            speed=speed(record) if self._wide else f"{record.steps_per_second:,.0f} steps/s",
            losses=f"D {loss(record.loss_d)}  G {loss(record.loss_g)}{self._metrics}",
        )


@contextlib.contextmanager
def counting_bar(title: str, unit: str = "images") -> Iterator[Callable[[int, int], None] | None]:
    """Yield a function (done, total) that moves a bar, which appears at its first call; None without a terminal."""
    console = out.progress_console()
    if console is None:
        yield None
        return
    with _progress(console) as bar:
        task = bar.add_task(title, total=None, visible=False, speed="")
        first: list[tuple[int, float]] = []

        def update(done: int, total: int) -> None:
            first.append((done, time.monotonic()))
            del first[1:]
            (begun, at), now = first[0], time.monotonic()
            # The clock of some systems advances in steps of 16 ms, so the difference may be 0.
            speed = f"{(done - begun) / max(now - at, 1e-3):,.0f} {unit}/s" if done > begun else ""
            bar.update(task, completed=done, total=total, visible=True, speed=speed)

        yield update


@contextlib.contextmanager
def download_bars() -> Iterator[Access]:
    """Yield an `Access` that shows a bar for each file; without a terminal, one that shows nothing."""
    from ganzoo.hub.client import Access

    console = out.progress_console()
    if console is None:
        yield Access()
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console) as bars:
        tasks: dict[str, TaskID] = {}

        def report(path: str, done: int, total: int) -> None:
            if path not in tasks:
                tasks[path] = bars.add_task(path, total=total)
            bars.update(tasks[path], completed=done)

        yield Access(progress=report)
