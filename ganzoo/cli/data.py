"""`ganzoo data`."""

from __future__ import annotations

from typing import Annotated

import typer

from ganzoo.cli.options import DataDir, Json
from ganzoo.cli.output import out

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
    json: Json = False,
) -> None:
    """Fetch a dataset (or read it from --data-dir), check it, and pack every split into the store."""
    from ganzoo.data import open_dataset
    from ganzoo.registry import datasets
    from ganzoo.specs import ArrayData

    spec = datasets.get(name)
    rows = []
    for split in spec.splits:
        opened = open_dataset(spec, split, data_dir)
        num = len(opened.data.samples) if isinstance(opened.data, ArrayData) else "unlimited"
        rows.append({"split": split, "samples": num, "digest": opened.digest})
    if json:
        out.json({"dataset": name, "splits": rows})
    else:
        out.table(name, ["split", "samples", "digest"], [tuple(row.values()) for row in rows])
