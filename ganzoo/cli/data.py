"""`ganzoo data`: list and prepare datasets; `show` is in `ganzoo.cli.data_show`."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ganzoo.cli.data_show import show
from ganzoo.cli.opening import configured_dataset, open_dataset
from ganzoo.cli.options import DataDir, DatasetSettings, Json
from ganzoo.cli.output import out
from ganzoo.errors import GanzooError, MissingDatasetError

if TYPE_CHECKING:
    from ganzoo.data import OpenedDataset
    from ganzoo.specs import DatasetSpec

MAX_WORKERS = 61
"""Windows cannot wait for more processes at once."""

app = typer.Typer(help="List, prepare or look at datasets.", no_args_is_help=True)


@app.command("list")
def list_(data_dir: DataDir = None, json: Json = False) -> None:
    """List the installed datasets, and which of their splits are packed in the store.

    With --data-dir, also which of their splits are in that folder.
    """
    from ganzoo.data.location import packed_copies
    from ganzoo.registry import datasets

    rows: list[dict[str, Any]] = [
        {
            "name": name,
            "plugins": [str(origin) for origin in origins],
            "packed": sorted({copy.split for copy in packed_copies(name)}),
        }
        for name, origins in datasets.origins().items()
    ]
    if data_dir is not None:
        for row in rows:
            row["path"], row["found"] = _found(row["name"], data_dir)
    if json:
        out.json({"datasets": rows})
        return
    columns = ["name", "plugins", "packed", *(["found"] if data_dir is not None else [])]
    table = [[row["name"], " and ".join(row["plugins"]), *(", ".join(row[key]) for key in columns[2:])] for row in rows]
    out.table("", ["dataset", "plugin", *columns[2:]], table)


def _found(name: str, data_dir: Path) -> tuple[str | None, list[str]]:
    """Return the folder of a dataset under --data-dir and the splits in it; None and nothing if there are none."""
    from ganzoo.data.location import dataset_folder
    from ganzoo.data.pack import read_errors
    from ganzoo.data.settings import configured
    from ganzoo.registry import datasets

    folder, found = dataset_folder(data_dir, name), []
    try:
        spec = configured(datasets.get(name))
        for split in [split for split, num in spec.splits.items() if isinstance(num, int)]:
            with contextlib.suppress(MissingDatasetError), read_errors(spec):
                spec.load(folder, split, False)
                found.append(split)
    except GanzooError as error:
        out.error(error)  # a broken plugin, or damaged files, hide only themselves
    return str(folder) if found else None, found


@app.command()
def prepare(
    name: Annotated[str, typer.Argument(metavar="DATASET", help="Name of a dataset, such as mnist.")],
    data_dir: DataDir = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, max=MAX_WORKERS, help="Number of processes that decode images; default: one per core."),
    ] = None,
    assignments: DatasetSettings = None,
    force: Annotated[
        bool, typer.Option("--force", help="Read all files again, for example after repairing unreadable ones.")
    ] = False,
    json: Json = False,
) -> None:
    """Download a dataset (or read it from --data-dir), check it, and pack it for training.

    After an interruption the same command continues where it stopped.
    A missing split is reported; only if all are missing, that is an error.
    """
    spec = configured_dataset(name, assignments)
    found: dict[str, OpenedDataset | MissingDatasetError] = {}
    try:
        for split in spec.splits:
            found[split] = _prepared(spec, split, data_dir, workers, force)
    except KeyboardInterrupt:
        out.talk("Stopped. What is packed so far is kept; run the same command again to continue.")
        raise typer.Exit(130) from None
    missing = [error for error in found.values() if isinstance(error, MissingDatasetError)]
    if len(missing) == len(found):
        raise missing[0]
    for error in missing:
        out.talk(str(error))
    rows = [_row(split, opened) for split, opened in found.items()]
    if json:
        settings = {"settings": dict(spec.settings)} if spec.settings else {}
        out.json({"dataset": name, **settings, "splits": rows})
    else:
        columns = ["split", "samples", "skipped", "sha256"]
        out.table(
            name, columns, [["missing" if row[column] is None else row[column] for column in columns] for row in rows]
        )


app.command()(show)


def _prepared(
    spec: DatasetSpec, split: str, data_dir: Path | None, workers: int | None, force: bool
) -> OpenedDataset | MissingDatasetError:
    from ganzoo.specs import ArrayData

    try:
        opened = open_dataset(spec, split, data_dir, workers=workers, force=force)
    except MissingDatasetError as error:
        return error
    official = spec.splits[split]
    if isinstance(opened.data, ArrayData) and isinstance(official, int):
        num = len(opened.data.samples) + opened.num_skipped
        if num != official:
            out.talk(f"{split}: {num:,} of the official {official:,}")
    return opened


def _row(split: str, opened: OpenedDataset | MissingDatasetError) -> dict[str, Any]:
    from ganzoo.specs import ArrayData

    if isinstance(opened, MissingDatasetError):
        return {"split": split, "samples": None, "skipped": None, "sha256": None}
    num = len(opened.data.samples) if isinstance(opened.data, ArrayData) else "unlimited"
    return {"split": split, "samples": num, "skipped": opened.num_skipped, "sha256": opened.digest}
