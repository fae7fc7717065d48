"""`ganzoo data`."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ganzoo.cli.options import DataDir, Json
from ganzoo.cli.output import out
from ganzoo.errors import MissingDatasetError

if TYPE_CHECKING:
    from ganzoo.data import OpenedDataset
    from ganzoo.specs import DatasetSpec

app = typer.Typer(help="Datasets: list them, fetch or import them into the packed form.", no_args_is_help=True)


@app.command("list")
def list_(json: Json = False) -> None:
    """List the installed datasets."""
    from ganzoo.registry import datasets

    origins = {name: [str(origin) for origin in found] for name, found in datasets.origins().items()}
    if json:
        out.json(origins)
    else:
        out.table("", ["dataset", "registered by"], [(name, " and ".join(found)) for name, found in origins.items()])


@app.command()
def prepare(
    name: Annotated[str, typer.Argument(metavar="DATASET", help="Name of a dataset, such as mnist.")],
    data_dir: DataDir = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that decode images; default: one a core.")
    ] = None,
    json: Json = False,
) -> None:
    """Fetch a dataset (or read it from --data-dir), check it, and pack every split into the store.

    A large set that is interrupted goes on where it stopped. Splits that are not there are named, and are an error only
    when none is there.
    """
    from ganzoo.registry import datasets

    spec = datasets.get(name)
    found: dict[str, OpenedDataset | MissingDatasetError] = {}
    try:
        for split in spec.splits:
            found[split] = _prepared(spec, split, data_dir, workers or _cores())
    except KeyboardInterrupt:
        out.talk("Stopped. What is packed so far is kept: the same command goes on there.")
        raise typer.Exit(130) from None
    missing = [error for error in found.values() if isinstance(error, MissingDatasetError)]
    if len(missing) == len(found):
        raise missing[0]
    for error in missing:
        out.talk(str(error))
    rows = [_row(split, opened) for split, opened in found.items()]
    if json:
        out.json({"dataset": name, "splits": rows})
    else:
        columns = ["split", "samples", "skipped", "digest"]
        out.table(
            name, columns, [["missing" if row[column] is None else row[column] for column in columns] for row in rows]
        )


def _cores() -> int:
    """Return the cores that this process may use, but no more than one process that writes can follow."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, 16)


def _prepared(
    spec: DatasetSpec, split: str, data_dir: Path | None, workers: int
) -> OpenedDataset | MissingDatasetError:
    from ganzoo.data import open_dataset

    try:
        with _bar(f"{spec.name} {split}") as progress:
            opened = open_dataset(spec, split, data_dir, workers=workers, progress=progress)
    except MissingDatasetError as error:
        return error
    if opened.skipped_file is not None:
        num = opened.num_skipped + len(opened.data.samples)  # type: ignore[union-attr]  # laws skip nothing
        out.talk(f"{split}: {opened.num_skipped:,} of {num:,} could not be read; see {opened.skipped_file}")
    return opened


def _row(split: str, opened: OpenedDataset | MissingDatasetError) -> dict[str, Any]:
    from ganzoo.specs import ArrayData

    if isinstance(opened, MissingDatasetError):
        return {"split": split, "samples": None, "skipped": None, "digest": None}
    num = len(opened.data.samples) if isinstance(opened.data, ArrayData) else "unlimited"
    return {"split": split, "samples": num, "skipped": opened.num_skipped, "digest": opened.digest}


@contextlib.contextmanager
def _bar(title: str) -> Iterator[Callable[[int, int], None] | None]:
    """Show how far a packing is, once it says so; None where nobody would see it."""
    console = out.progress_console()
    if console is None:
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        console=console,
    ) as bar:
        task = bar.add_task(title, total=None, visible=False, speed="")
        first: list[tuple[int, float]] = []

        def update(done: int, total: int) -> None:
            first.append((done, time.monotonic()))
            del first[1:]
            (begun, at), now = first[0], time.monotonic()
            speed = f"{(done - begun) / (now - at):,.0f} images/s" if done > begun else ""
            bar.update(task, completed=done, total=total, visible=True, speed=speed)

        yield update
