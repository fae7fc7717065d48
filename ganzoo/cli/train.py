"""`ganzoo train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ganzoo.cli.options import Assignments, ConfigFile, DataDir, Json, LiveView, Loggers, Seed


def train(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="Name of a recipe, such as mnist-mlp.")],
    out_dir: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of the run; default: runs/RECIPE-TIME.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Number of generator updates.")] = None,
    seed: Seed = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = None,
    engine: Annotated[str | None, typer.Option(help="Execution engine: auto, eager, graph or compile.")] = None,
    precision: Annotated[str | None, typer.Option(help="Compute precision: auto, fp32 or bf16.")] = None,
    threads: Annotated[
        int | None,
        typer.Option(min=1, max=1024, metavar="N", help="CPU threads; default: one for small nets, else PyTorch's."),
    ] = None,
    eval_every: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Evaluate every N steps; the best weights go to RUN/best."),
    ] = None,
    data_dir: DataDir = None,
    loggers: Loggers = None,
    live: LiveView = True,
    config: ConfigFile = None,
    assignments: Assignments = None,
    json: Json = False,
) -> None:
    """Train a recipe, and print the folder of the run.

    Settings come from the recipe, the user's config file, GANZOO_ variables, --config, --set and flags; later ones win.
    On several GPUs: torchrun --nproc-per-node 2 -m ganzoo train RECIPE.
    """
    from ganzoo.config import Layer, assignments_layer, environment_layer, file_layer, user_layer
    from ganzoo.registry import recipes

    recipes.get(recipe)  # reports a wrong name before torch is imported
    flags: dict[str, Any] = {
        "steps": steps,
        "seed": seed,
        "device": device,
        "engine": engine,
        "precision": precision,
        "threads": threads,
        "eval_every": eval_every,
        "loggers": loggers or None,
    }
    layers = [user_layer(), environment_layer()]
    if config is not None:
        layers.append(file_layer(config))
    layers.append(assignments_layer(assignments or ()))
    layers.append(Layer("flags", {key: value for key, value in flags.items() if value is not None}))

    from ganzoo.cli.data import open_dataset
    from ganzoo.cli.watch import watch
    from ganzoo.training import Training

    watch(Training.start_or_resume(recipe, out_dir, layers, data_dir, open_dataset), json=json, live=live)
