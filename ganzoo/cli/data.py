"""`ganzoo data`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ganzoo.cli.options import DataDir, Json
from ganzoo.cli.output import out
from ganzoo.cli.packing import MOST_WORKERS, open_dataset
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
        int | None, typer.Option(min=1, max=MOST_WORKERS, help="Processes that decode images; default: one a core.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Read and pack anew what is packed: for files that were mended since.")
    ] = False,
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
            found[split] = _prepared(spec, split, data_dir, workers, again)
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


def _prepared(
    spec: DatasetSpec, split: str, data_dir: Path | None, workers: int | None, again: bool
) -> OpenedDataset | MissingDatasetError:
    from ganzoo.specs import ArrayData

    try:
        opened = open_dataset(spec, split, data_dir, workers=workers, again=again)
    except MissingDatasetError as error:
        return error
    official = spec.splits[split]
    if isinstance(opened.data, ArrayData) and official is not None:
        num = len(opened.data.samples) + opened.num_skipped
        if num != official:
            out.talk(f"{split}: {num:,} of the official {official:,}")
    return opened


def _row(split: str, opened: OpenedDataset | MissingDatasetError) -> dict[str, Any]:
    from ganzoo.specs import ArrayData

    if isinstance(opened, MissingDatasetError):
        return {"split": split, "samples": None, "skipped": None, "digest": None}
    num = len(opened.data.samples) if isinstance(opened.data, ArrayData) else "unlimited"
    return {"split": split, "samples": num, "skipped": opened.num_skipped, "digest": opened.digest}
