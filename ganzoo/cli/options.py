"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Reference = Annotated[
    str, typer.Argument(metavar="REF", help="mnist-mlp, mnist-mlp@v1, a run or any weights folder (./my-run).")
]
References = Annotated[list[str], typer.Argument(metavar="REF...", help="Names of weights, such as mnist-mlp.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Seed = Annotated[int | None, typer.Option(min=0, help="Fixes all random numbers; a random one is printed.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Folder with the dataset's files; else they are downloaded.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change any setting; `ganzoo show RECIPE` lists them."),
]
ConfigFile = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="TOML file of settings.")]
TensorBoard = Annotated[
    bool | None,
    typer.Option("--tensorboard/--no-tensorboard", help="Write TensorBoard events into the run (extra `logging`)."),
]
LiveView = Annotated[
    bool, typer.Option("--live/--no-live", help="In a terminal of some size: samples and losses while it trains.")
]
