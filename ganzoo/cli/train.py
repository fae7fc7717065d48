"""`ganzoo train`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ganzoo.cli.options import Assignments, ConfigFile, DataDir, Json, LiveView, Loggers, Seed
from ganzoo.cli.output import out
from ganzoo.errors import UsageError
from ganzoo.system.shell import quoted

if TYPE_CHECKING:
    from ganzoo.config import Layer
    from ganzoo.targets import Target

PICTURES, START, SAFETY = "Your own pictures", "Start from a model", "Safe starts"


def train(
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="RECIPE|PATH", show_default=False, help="A recipe (mnist-mlp), or a folder or archive of pictures."
        ),
    ] = None,
    out_dir: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of the run; default: runs/RECIPE-TIME.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Number of generator updates.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=2, metavar="N", help="Real samples in each update.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option("--lr", metavar="X", help="Learning rate of both networks.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(hidden=True)] = None,
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
    recipe: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Recipe; default: the one that suits them.", rich_help_panel=PICTURES),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Height and width of the samples.", rich_help_panel=PICTURES),
    ] = None,
    classes: Annotated[
        bool, typer.Option("--classes", help="Each sub-folder is a class.", rich_help_panel=PICTURES)
    ] = False,
    initial: Annotated[
        str | None,
        typer.Option("--from", metavar="REF", help="Begin with these weights, where they fit.", rich_help_panel=START),
    ] = None,
    discriminator: Annotated[
        str | None,
        typer.Option(
            "--from-discriminator",
            metavar="keep|new",
            help="Begin with their discriminator, or a new one; default: theirs if it fits.",
            rich_help_panel=START,
        ),
    ] = None,
    freeze: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN", help="Do not train parameters such as discriminator.layers.0.*", rich_help_panel=START
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Only show settings, sizes, memory and time, measured in 20 steps.",
            rich_help_panel=SAFETY,
        ),
    ] = False,
    sweep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=A,B", help="Train once for each value; several --sweep combine.", rich_help_panel=SAFETY
        ),
    ] = None,
    rollbacks: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Return to the newest checkpoint up to N times if a loss becomes NaN.",
            rich_help_panel=SAFETY,
        ),
    ] = None,
) -> None:
    """Train a recipe, or on your own pictures, and print the folder of the run.

    Settings come from the recipe, the user's config file, GANZOO_ variables, --config, --set and flags; later ones win.
    On several GPUs: torchrun --nproc-per-node 2 -m ganzoo train RECIPE.
    """
    from ganzoo.config import file_layer

    given = None if config is None else file_layer(config)
    found = _find(target, config, recipe, size, classes, data_dir)  # reports a wrong name before torch is imported
    if epochs is not None:
        raise UsageError("trainings are counted in steps, not in epochs.", hint=_steps_of(found.recipe, epochs))
    flags: dict[str, Any] = {
        "steps": steps,
        "batch_size": batch_size,
        "optimizers.generator.learning_rate": learning_rate,
        "optimizers.discriminator.learning_rate": learning_rate,
        "seed": seed,
        "device": device,
        "engine": engine,
        "precision": precision,
        "threads": threads,
        "eval_every": eval_every,
        "initial_weights": initial,
        "initial_discriminator": discriminator,
        "freeze": freeze or None,
        "rollbacks": rollbacks,
        "loggers": loggers or None,
    }
    layers = _layers(found, given, assignments, flags)
    for message in found.messages:
        out.talk(message)

    from ganzoo.cli.opening import open_dataset
    from ganzoo.cli.watch import watch
    from ganzoo.training import Training

    if sweep and dry_run:
        raise UsageError("--dry-run is for one run, not for a sweep.", hint="Leave one of them out.")
    if sweep:
        from ganzoo.cli.sweep import run_sweep

        run_sweep(found.recipe, out_dir, layers, found.data_dir, sweep, json=json, live=live)
        return
    if dry_run:
        from ganzoo.cli.dry_run import show_estimate

        show_estimate(Training.plan(found.recipe, out_dir, layers, found.data_dir, open_dataset), json=json)
        return
    watch(Training.start_or_resume(found.recipe, out_dir, layers, found.data_dir, open_dataset), json=json, live=live)


def _find(
    target: str | None, config: Path | None, recipe: str | None, size: int | None, classes: bool, data_dir: Path | None
) -> Target:
    """Return what to train, and on which data; without a name, what the run of --config was."""
    from ganzoo.targets import find_target, run_target

    run = run_target(config) if config is not None and config.suffix == ".json" else None
    if run is not None and target in (None, run.recipe):
        return run if data_dir is None else replace(run, data_dir=data_dir)
    if run is not None:
        raise UsageError(
            f"{config} is of the recipe {run.recipe}, not {target}.",
            hint=f"Repeat that run: ganzoo train --config {quoted(str(config))}",
        )
    if target is None:
        raise UsageError(
            "nothing to train.", hint="Name a recipe (`ganzoo list`) or a folder of pictures: ganzoo train ./pictures"
        )
    return find_target(target, recipe=recipe, size=size, classes=classes, data_dir=data_dir)


def _layers(found: Target, given: Layer | None, assignments: list[str] | None, flags: dict[str, Any]) -> list[Layer]:
    """Return all settings beside the recipe's own; later ones win. Raises SettingsError."""
    from ganzoo.config import Layer, assignments_layer, environment_layer, user_layer

    return [
        found.layer,
        user_layer(),
        environment_layer(),
        *([] if given is None else [given]),
        assignments_layer(assignments or ()),
        Layer("flags", {key: value for key, value in flags.items() if value is not None}),
    ]


def _steps_of(recipe: str, epochs: int) -> str:
    """Return how to train for some epochs of a recipe's dataset."""
    from ganzoo.registry import datasets, recipes

    chosen = recipes.get(recipe)
    num = datasets.get(chosen.dataset).splits.get(chosen.split)
    if not isinstance(num, int):
        return "Use --steps; one epoch is as many steps as the number of samples divided by batch_size."
    steps = epochs * num // (chosen.batch_size * chosen.discriminator_steps)
    return f"{epochs} epochs of {num:,} samples at batch_size {chosen.batch_size} are --steps {steps}"
