"""`ganzoo report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ganzoo.cli.options import Json
from ganzoo.cli.output import out


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run, finished or not.")],
    target: Annotated[Path | None, typer.Option("--out", "-o", help="The HTML file; default: RUN/report.html.")] = None,
    json: Json = False,
) -> None:
    """Write a run's report: samples over time, curves, metrics and settings in one HTML file."""
    from ganzoo.rendering import write_report
    from ganzoo.system.files import expanded

    path = write_report(expanded(run), None if target is None else expanded(target))
    if json:
        out.json({"path": str(path), "size": path.stat().st_size})
    else:
        out.line(path)
