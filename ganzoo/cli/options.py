"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Reference = Annotated[
    str, typer.Argument(metavar="REF", help="A name (mnist-mlp, mnist-mlp@v1), hf:OWNER/NAME, or a folder (./my-run).")
]
References = Annotated[list[str], typer.Argument(metavar="REF...", help="Names (mnist-mlp) or hf:OWNER/NAME.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Seed = Annotated[int | None, typer.Option(min=0, help="Random seed; default: chosen at random and printed.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        help="Folder with the files, or with a folder for each dataset; default: packed before, else downloaded.",
    ),
]
Threads = Annotated[int | None, typer.Option(min=1, max=1024, metavar="N", help="Number of CPU threads.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a setting; `ganzoo show RECIPE -a` lists them."),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="TOML file with settings, or the run.json of a run to repeat."),
]
Loggers = Annotated[
    list[str] | None,
    typer.Option("--logger", metavar="NAME", help="Also log to tensorboard, wandb, mlflow or a plugin's (repeatable)."),
]
LiveView = Annotated[
    bool, typer.Option("--live/--no-live", help="Show samples and losses live (needs a 76x20 terminal).")
]

DatasetSettings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a setting; `ganzoo show DATASET -a` lists them."),
]
