"""Progress bars: of a training, and of images that are counted."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ganzoo.cli.output import out

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from ganzoo.training import Record, Training


def speed(record: Record) -> str:
    """Say how fast a training goes."""
    images = record.steps_per_second * record.images / record.step
    return f"{record.steps_per_second:,.0f} steps/s, {images:,.0f} images/s"


class Bar:
    """A progress bar with speed, losses (unless they are shown elsewhere) and the time that is left."""

    def __init__(self, training: Training, console: Console, *, losses: bool = True) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = [TextColumn("{task.fields[losses]}")] if losses else []
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
            *columns,
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=console,
        )
        self._metrics = ""  # of the newest evaluation
        recipe = training.run.settings.recipe
        self._task = self._progress.add_task(
            recipe.name, total=recipe.steps, completed=training.state.step, speed="", losses=""
        )

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    @property
    def renderable(self) -> RenderableType:
        """The bar at this moment, for a view that draws it itself."""
        return self._progress.get_renderable()

    def update(self, record: Record) -> None:
        """Move the bar."""
        if record.metrics:
            self._metrics = "".join(f"  {name} {value:.3g}" for name, value in record.metrics.items())
        self._progress.update(
            self._task,
            completed=record.step,
            speed=speed(record),
            losses=f"D {record.loss_d:.3f}  G {record.loss_g:.3f}{self._metrics}",
        )


@contextlib.contextmanager
def counting_bar(title: str) -> Iterator[Callable[[int, int], None] | None]:
    """Show how many of how many images are done, once it is told; None where nobody would see it."""
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
