"""`ganzoo train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ganzoo.cli.options import Assignments, ConfigFile, DataDir, Json, LiveView, TensorBoard


def train(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="Name of a recipe, such as mnist-mlp.")],
    out_dir: Annotated[
        Path | None, typer.Option("--out", "-o", help="The run's folder; default runs/<recipe>-<time>.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Generator updates, instead of the recipe's.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Fixes all random numbers; a random one is printed.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = None,
    engine: Annotated[str | None, typer.Option(help="How steps are taken: auto, eager, graph or compile.")] = None,
    precision: Annotated[str | None, typer.Option(help="Type of the products: auto, fp32 or bf16.")] = None,
    eval_every: Annotated[
        int | None, typer.Option(min=1, help="Steps between evaluations; their best weights are kept in RUN/best.")
    ] = None,
    data_dir: DataDir = None,
    tensorboard: TensorBoard = None,
    live: LiveView = True,
    config: ConfigFile = None,
    assignments: Assignments = None,
    json: Json = False,
) -> None:
    """Train a recipe and print the run's folder, which sample, eval and load take.

    Settings: recipe < user file < GANZOO_ variables < --config < --set and flags. Several processes share each batch:
    torchrun --nproc-per-node 2 -m ganzoo train RECIPE.
    """
    from ganzoo.cli.watch import watch
    from ganzoo.config import Layer, assignments_layer, environment_layer, file_layer, user_layer
    from ganzoo.registry import recipes

    recipes.get(recipe)  # a wrong name is said before torch is imported
    flags: dict[str, Any] = {
        "steps": steps,
        "seed": seed,
        "device": device,
        "engine": engine,
        "precision": precision,
        "eval_every": eval_every,
        "tensorboard": tensorboard,
    }
    layers = [user_layer(), environment_layer()]
    if config is not None:
        layers.append(file_layer(config))
    layers.append(assignments_layer(assignments or ()))
    layers.append(Layer("flags", {key: value for key, value in flags.items() if value is not None}))

    from ganzoo.cli.packing import open_dataset
    from ganzoo.training import Training

    watch(Training.start_or_resume(recipe, out_dir, layers, data_dir, open_dataset), json=json, live=live)
