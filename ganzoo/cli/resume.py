"""`ganzoo resume`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ganzoo.cli.options import Assignments, DataDir, Json, LiveView, Loggers


def resume(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")],
    steps: Annotated[int | None, typer.Option(min=1, help="Train to this step instead of the run's last.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1, max=1024, metavar="N", help="CPU threads; default: the run's. Others change the last bits."
        ),
    ] = None,
    data_dir: DataDir = None,
    loggers: Loggers = None,
    live: LiveView = True,
    assignments: Assignments = None,
    json: Json = False,
) -> None:
    """Continue a run from its newest checkpoint.

    On a CPU the result is bit for bit the same as without the interruption, with the run's number of threads.
    """
    from ganzoo.cli.opening import open_dataset
    from ganzoo.cli.watch import watch
    from ganzoo.config import Layer, assignments_layer
    from ganzoo.training import Training

    flags = {"steps": steps, "device": device, "threads": threads, "loggers": loggers or None}
    given = Layer("flags", {key: value for key, value in flags.items() if value is not None})
    layers = [assignments_layer(assignments or ()), given]
    watch(Training.resume(run, layers, data_dir, open_dataset), json=json, live=live)
