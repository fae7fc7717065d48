"""`ganzoo bench`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from ganzoo.cli.options import Assignments, DataDir, Json
from ganzoo.cli.output import out


def bench(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="Name of a recipe, such as mnist-mlp.")],
    rounds: Annotated[int, typer.Option(min=1, help="Rounds in which the loops take turns.")] = 5,
    steps: Annotated[int, typer.Option(min=1, help="Steps of each loop in each round.")] = 200,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    data_dir: DataDir = None,
    assignments: Assignments = None,
    json: Json = False,
) -> None:
    """Compare our training step with a plain loop of the same nets, in one run on this machine."""
    from ganzoo.bench import bench
    from ganzoo.config import Layer, assignments_layer, resolve
    from ganzoo.registry import recipes

    layers = [assignments_layer(assignments or ()), Layer("--device", {"device": device})]
    speeds = bench(resolve(recipes.get(recipe), layers, seed=0), data_dir, rounds=rounds, steps=steps)
    if json:
        out.json([asdict(speed) for speed in speeds])
        return
    columns = ["loop", "steps/s", "slowest", "fastest", "times plain"]
    rows = [
        (speed.loop, f"{speed.median:.1f}", f"{speed.slowest:.1f}", f"{speed.fastest:.1f}", f"{speed.ratio:.2f}")
        for speed in speeds
    ]
    out.table(f"{recipe}: median of {rounds} rounds of {steps} steps", columns, rows)
