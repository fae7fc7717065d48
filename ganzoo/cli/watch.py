"""A training in the terminal: a bar, Ctrl-C that saves, and what to do next."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import typer

from ganzoo.cli.output import out
from ganzoo.training.interruption import Interruption

if TYPE_CHECKING:
    from rich.console import Console

    from ganzoo.training import Record, Training

LINE_SECONDS = 10
"""Time between two lines of progress where there is no terminal for a bar."""


class Display(Protocol):
    """Where records go."""

    def update(self, record: Record) -> None:
        """Show the newest record."""


def watch(training: Training, *, json: bool) -> None:
    """Run a training to its end or to Ctrl-C. Raises Exit with 130 after an interruption."""
    settings, run = training.run.settings, training.run
    place = as_reference(run.path)
    out.talk(
        f"{settings.recipe.name} on {training.state.device} ({settings.precision}), seed {settings.seed}, "
        f"data {training.state.batches.place}, into {place}"
    )
    if training.state.step:
        out.talk(f"from step {training.state.step}")
    with Interruption() as interruption, _display(training) as display:
        training.should_stop = interruption.requested
        for record in training:
            display.update(record)
    if json:
        records = run.records()
        out.json(
            {
                "run": place,
                "finished": training.finished,
                "step": training.state.step,
                "seed": settings.seed,
                "last_record": records[-1] if records else None,
            }
        )
    else:
        out.line(place)
    if not training.finished:
        out.talk(f"Stopped after step {training.state.step}; everything is saved. Go on: ganzoo resume {place}")
        raise typer.Exit(130)
    out.talk(f"Done in {training.state.seconds:.1f} s. Next: ganzoo sample {place} --out samples.png")


def as_reference(path: Path) -> str:
    """Write a folder so that commands take it for one: a bare name would be that of weights."""
    return f"./{path}" if len(path.parts) == 1 and not path.is_absolute() else str(path)


@contextlib.contextmanager
def _display(training: Training) -> Iterator[Display]:
    console = out.progress_console()
    if console is None:
        yield Lines(training)
        return
    with Bar(training, console) as bar:
        yield bar


def _speed(training: Training, record: Record) -> str:
    images = record.steps_per_second * record.images / record.step
    return f"{record.steps_per_second:,.0f} steps/s, {images:,.0f} images/s"


class Lines:
    """A line now and then, for logs."""

    def __init__(self, training: Training) -> None:
        self._training, self._last = training, time.monotonic()

    def update(self, record: Record) -> None:
        """Print a line when the last one is old enough."""
        if time.monotonic() - self._last < LINE_SECONDS:
            return
        self._last = time.monotonic()
        losses = f"loss_d {record.loss_d:.3f}, loss_g {record.loss_g:.3f}"
        out.talk(
            f"step {record.step}/{self._training.run.settings.recipe.steps}: {losses}, {_speed(self._training, record)}"
        )


class Bar:
    """A progress bar with speed, losses and the time that is left."""

    def __init__(self, training: Training, console: Console) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._training = training
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
            TextColumn("{task.fields[losses]}"),
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

    def update(self, record: Record) -> None:
        """Move the bar."""
        self._progress.update(
            self._task,
            completed=record.step,
            speed=_speed(self._training, record),
            losses=f"D {record.loss_d:.3f}  G {record.loss_g:.3f}",
        )
