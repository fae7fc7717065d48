"""`ganzoo animate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ganzoo.cli.options import Json
from ganzoo.cli.output import out


def animate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")],
    target: Annotated[Path, typer.Option("--out", "-o", help="A .gif, .webp or .mp4 file.")],
    seconds: Annotated[float, typer.Option(min=0.1, max=600, help="Length of the animation.")] = 8,
    json: Json = False,
) -> None:
    """Animate how a run's samples changed during training."""
    from ganzoo.rendering import animate_run
    from ganzoo.system.files import expanded

    target = expanded(target)
    frames = animate_run(run, target, seconds)
    if json:
        out.json({"path": str(target), "num_frames": frames, "size": target.stat().st_size})
    else:
        out.line(target)
