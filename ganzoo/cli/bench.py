"""`ganzoo bench`."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganzoo.cli.options import Assignments, DataDir, Device, Json, Threads
from ganzoo.cli.output import out
from ganzoo.errors import UsageError

if TYPE_CHECKING:
    from ganzoo.bench.compare import Speed
    from ganzoo.bench.startup import StartUp


class EngineName(StrEnum):
    """Engines to compare."""

    eager = "eager"
    graph = "graph"
    compile = "compile"


class PrecisionName(StrEnum):
    """Precisions to compare."""

    fp32 = "fp32"
    bf16 = "bf16"


def bench(
    recipe: Annotated[str | None, typer.Argument(metavar="RECIPE", help="Name of a recipe, such as mnist-mlp.")] = None,
    startup: Annotated[bool, typer.Option("--startup", help="Measure the start-up time of commands instead.")] = False,
    engine: Annotated[
        list[EngineName] | None, typer.Option(help="Engine to measure (repeatable); default: eager and graph.")
    ] = None,
    precision: Annotated[
        list[PrecisionName] | None,
        typer.Option(help="Precision (repeatable); default: fp32, and bf16 where supported."),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Number of rounds; in each round all variants run in turn.")] = 5,
    seconds: Annotated[float, typer.Option(min=0.001, help="Time for each variant, over all rounds.")] = 5.0,
    samples: Annotated[int, typer.Option(min=1, help="Number of samples in each call of GAN.sample.")] = 1000,
    with_evaluation: Annotated[
        bool,
        typer.Option("--with-evaluation", help="Also report the speed with an evaluation every eval_every steps."),
    ] = False,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Append the rows to a CSV file.")] = None,
    device: Device = "auto",
    threads: Threads = None,
    data_dir: DataDir = None,
    assignments: Assignments = None,
    json: Json = False,
) -> None:
    """Benchmark training and sampling against a plain PyTorch loop."""
    if startup == (recipe is not None):
        raise UsageError("name a recipe, or --startup.", hint="For example: ganzoo bench mnist-mlp")
    if recipe is None:
        _start_ups(rounds, csv, json)
        return
    from ganzoo.registry import recipes

    recipes.get(recipe)  # reports a wrong name before torch is imported
    from ganzoo.bench.compare import Request, Speed, compare
    from ganzoo.bench.table import CsvTable
    from ganzoo.config import Layer, assignments_layer, resolve

    table = None if csv is None else CsvTable(csv, Speed)
    flags = {"device": device} | ({} if threads is None else {"threads": threads})
    layers = [assignments_layer(assignments or ()), Layer("flags", flags)]
    request = Request(
        settings=resolve(recipes.get(recipe), layers, seed=0),
        data_dir=data_dir,
        engines=engine or ("eager", "graph"),
        precisions=precision or (),
        rounds=rounds,
        seconds=seconds,
        samples=samples,
        with_evaluation=with_evaluation,
    )
    speeds = compare(request, out.talk)
    if table is not None:
        table.append(speeds)
    if json:
        out.json({"speeds": [asdict(speed) for speed in speeds]})
    else:
        _show(speeds)


def _show(speeds: list[Speed]) -> None:
    first = speeds[0]
    threads = f"{first.threads} thread{'s' if first.threads > 1 else ''}"
    out.table(
        f"{first.recipe} on {first.machine} ({first.device}, {threads}): median of {first.rounds} rounds",
        [
            "variant",
            "precision",
            "batch",
            "steps/s",
            "slowest",
            "fastest",
            "× baseline",
            "images/s",
            "µs/step",
            "peak MiB",
        ],
        [
            (
                speed.variant,
                speed.precision,
                speed.batch,
                _number(speed.steps_per_second),
                _number(speed.slowest),
                _number(speed.fastest),
                "" if speed.times_baseline is None else f"{speed.times_baseline:.2f}",
                _number(speed.images_per_second),
                _number(speed.microseconds_per_step),
                _number(speed.peak_memory_mib),
            )
            for speed in speeds
        ],
    )
    for speed in speeds:
        if speed.images_per_second_evaluated is not None:
            out.line(
                f"{speed.variant} {speed.precision}: {_number(speed.images_per_second_evaluated)} images/s "
                f"with an evaluation of {speed.evaluation_seconds:.3g} s every {speed.evaluate_every:,} steps"
            )
    out.line(f"ganzoo {first.ganzoo}, torch {first.torch}, Python {first.python}")


def _number(value: float | None) -> str:
    """Format a measured number with at most four significant digits."""
    if value is None:
        return "unknown"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def _start_ups(rounds: int, csv: Path | None, json: bool) -> None:
    from ganzoo.bench.startup import StartUp, start_ups
    from ganzoo.bench.table import CsvTable

    table = None if csv is None else CsvTable(csv, StartUp)
    found = start_ups(rounds)
    if table is not None:
        table.append(found)
    if json:
        out.json({"start_ups": [asdict(start_up) for start_up in found]})
    else:
        _show_start_ups(found)


def _show_start_ups(found: list[StartUp]) -> None:
    rows = [
        (
            start_up.command,
            f"{start_up.seconds:.3f}",
            f"{start_up.fastest:.3f}",
            f"{start_up.slowest:.3f}",
            start_up.modules,
            "yes" if start_up.loads_torch else "no",
        )
        for start_up in found
    ]
    columns = ["command", "seconds", "fastest", "slowest", "modules", "torch"]
    out.table(f"{found[0].machine}: median of {found[0].rounds} rounds", columns, rows)
