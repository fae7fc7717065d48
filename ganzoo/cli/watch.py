"""Running a training in the terminal: progress, Ctrl-C, and the next command."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from ganzoo.cli.live import LiveView, large_enough
from ganzoo.cli.output import out
from ganzoo.cli.progress import TrainingBar, loss, speed
from ganzoo.system.shell import as_reference, quoted
from ganzoo.training.initial import described
from ganzoo.training.interruption import Interruption
from ganzoo.training.resumption import has_fixed_length

if TYPE_CHECKING:
    from ganzoo.training import Record, Training

LINE_SECONDS = 10
"""Time between two lines of progress without a terminal."""


def watch(training: Training, *, json: bool, live: bool = True, data: bool = True) -> None:
    """Run a training until it ends or is interrupted; `live` shows pictures in a terminal that is large enough.

    With `data`, the run's folder or JSON document is printed at the end. Raises Exit with 130 after an interruption.
    """
    if not training.state.processes.is_main:
        _follow(training)
        return
    settings, run = training.state.settings, training.run
    path = as_reference(run.path)
    several = f", {training.state.processes.world_size} processes" if training.state.processes.world_size > 1 else ""
    how: str = settings.precision
    if settings.threads is not None:
        how += f", {settings.threads} thread" + "s" * (settings.threads > 1)
    out.talk(
        f"{settings.recipe.name} on {training.state.device}{several} ({how}), seed {settings.seed}, "
        f"data {training.state.batches.place}, into {path}"
    )
    if run.initial is not None and not training.state.step:
        out.talk(described(run.initial))
    if training.state.config.sample.kind == "tensor":
        out.talk(f"samples are tensors, which are not drawn; {path}/samples gets arrays (.npy) instead of pictures")
    was_finished = training.finished
    if training.state.step and not was_finished:
        out.talk(f"resuming from step {training.state.step}")
    if settings.engine == "compile" and not was_finished:
        out.talk("torch's compiler prepares the first steps, which may take minutes")
    named = ""
    with _interruption(training) as interruption, _display(training, live) as display:
        training.should_stop = interruption.requested
        for record in training:
            engine = training.engine
            if engine.name and engine.name != named:
                named = engine.name
                out.talk(f"engine {named}" + (f": {engine.reason}" if engine.reason else ""))
            display.update(record)
    if data and json:
        records = run.records()
        out.json(
            {
                "path": path,
                "recipe": settings.recipe.name,
                "finished": training.finished,
                "step": training.state.step,
                "seed": settings.seed,
                "last_record": records[-1] if records else None,
            }
        )
    elif data:
        out.line(path)
    word = quoted(path)
    if not training.finished:
        out.talk(f"Stopped after step {training.state.step}; the run is saved. Continue: ganzoo resume {word}")
        raise typer.Exit(130)
    if was_finished:
        further = f"resume {word} --steps {2 * training.state.step}"
        if has_fixed_length(settings.recipe):
            further = f"train {settings.recipe.name} --from {word}"
        done = f"The run was already finished. Train further: ganzoo {further}"
    else:
        done = f"Done in {training.state.seconds:.1f} s"
    file = "samples.npy" if training.state.config.sample.kind == "tensor" else "samples.png"
    out.talk(f"{done}. Next: ganzoo sample {word} --out {file}")


def _follow(training: Training) -> None:
    """Run this process's part of a training that the main process shows and saves. Raises Exit as `watch` does."""
    with _interruption(training) as interruption:
        training.should_stop = interruption.requested
        for _ in training:
            pass
    if not training.finished:
        raise typer.Exit(130)


def _interruption(training: Training) -> Interruption:
    return Interruption(patient=training.state.processes.world_size > 1)


@contextlib.contextmanager
def _display(training: Training, live: bool) -> Iterator[LiveView | TrainingBar | Lines]:
    console = out.progress_console()
    if console is None:
        yield Lines(training)
        return
    with LiveView(training, console) if live and large_enough(console) else TrainingBar(training, console) as display:
        yield display


class Lines:
    """A line every few seconds, for logs."""

    def __init__(self, training: Training) -> None:
        self._training, self._last = training, time.monotonic()

    def update(self, record: Record) -> None:
        """Print a line if the last one is old enough, or if there is an evaluation."""
        if time.monotonic() - self._last < LINE_SECONDS and not record.metrics:
            return
        self._last = time.monotonic()
        losses = f"loss_d {loss(record.loss_d)}, loss_g {loss(record.loss_g)}"
        losses += "".join(f", {name} {value:.4g}" for name, value in record.metrics.items())
        out.talk(f"step {record.step}/{self._training.run.settings.recipe.steps}: {losses}, {speed(record)}")
