"""A progress bar for a training."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
        self._progress.update(
            self._task,
            completed=record.step,
            speed=speed(record),
            losses=f"D {record.loss_d:.3f}  G {record.loss_g:.3f}",
        )
