"""`ganzoo animate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ganzoo.cli.options import Json
from ganzoo.cli.output import out


def animate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")],
    target: Annotated[Path, typer.Option("--out", "-o", help="FILE.gif or FILE.webp.")],
    seconds: Annotated[float, typer.Option(min=0.1, max=600, help="How long it plays.")] = 8,
    json: Json = False,
) -> None:
    """Show a run's sample pictures one after the other: what the same latents became while it trained."""
    from ganzoo.rendering import animate_run

    target = target.expanduser()
    frames = animate_run(run, target, seconds)
    if json:
        out.json({"path": str(target), "frames": frames, "size": target.stat().st_size})
    else:
        out.line(target)
