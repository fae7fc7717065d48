"""`ganzoo train --sweep`: several runs of a recipe, one after the other, and their table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ganzoo.cli.output import out
from ganzoo.cli.progress import loss
from ganzoo.config import Layer
from ganzoo.errors import DivergedError, UsageError
from ganzoo.system.shell import as_reference


def run_sweep(
    recipe: str,
    folder: Path | None,
    layers: Sequence[Layer],
    data_dir: Path | None,
    assignments: Sequence[str],
    *,
    json: bool,
    live: bool,
) -> None:
    """Train each combination of the values and print one table.

    Runs that are in the folder already are resumed, and finished ones kept, so the same command continues a sweep that
    was interrupted. A run that diverges is noted, and the next one begins. Raises Exit with 130 after an interruption.
    """
    from ganzoo.cli.opening import open_dataset
    from ganzoo.cli.watch import watch
    from ganzoo.config import resolve
    from ganzoo.data.settings import dataset_of
    from ganzoo.distributed.torchrun import init_processes
    from ganzoo.randomness import random_seed
    from ganzoo.registry import recipes
    from ganzoo.training import Training
    from ganzoo.training.run import Run, check_free, is_run, new_folder
    from ganzoo.training.state import check_trainable
    from ganzoo.training.sweep import sweep_runs, write_table
    from ganzoo.weights.model_config import model_config

    if init_processes().world_size > 1:
        raise UsageError("a sweep is for one process, not several.", hint="Start each run of it with torchrun.")
    folder = folder or new_folder(f"{recipe}-sweep")
    if not (folder / "sweep.csv").exists():
        check_free(folder)
    runs = sweep_runs(folder, assignments)
    # One for all runs that are not given another, so that only the swept settings differ.
    seed = next((Run.open(run.path).settings.seed for run in runs if is_run(run.path)), random_seed())
    for run in runs:  # wrong values end the sweep before its first run
        settings = resolve(recipes.get(recipe), [*layers, Layer("--sweep", run.values)], seed=seed)
        chosen = dataset_of(settings.recipe)
        check_trainable(settings, model_config(settings.recipe, chosen.sample, chosen.settings))
    rows: list[dict[str, Any]] = [run.row() for run in runs]
    for index, run in enumerate(runs):
        if rows[index]["state"] == "finished":
            continue
        out.talk(f"run {index + 1} of {len(runs)}: {run.path}")
        failed = ""
        try:
            if is_run(run.path):
                training = Training.resume(run.path, (), data_dir, open_dataset)
            else:
                own = [Layer("the sweep", {"seed": seed}), *layers, Layer("--sweep", run.values)]
                training = Training.start(recipe, run.path, own, data_dir, open_dataset)
            watch(training, json=False, live=live, data=False)
        except DivergedError as error:
            out.error(error)
            failed = "diverged"
        finally:
            rows[index] = run.row(failed)
            write_table(folder, rows)
    columns = write_table(folder, rows)
    if json:
        out.json({"path": as_reference(folder), "runs": rows})
        return
    out.table("", columns, [[_cell(row.get(column, "")) for column in columns] for row in rows])
    out.talk(f"The table is in {folder / 'sweep.csv'}")


def _cell(value: object) -> object:
    return loss(value) if isinstance(value, float) and abs(value) >= 0.01 else value
