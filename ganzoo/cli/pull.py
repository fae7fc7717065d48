"""`ganzoo pull`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from ganzoo.cli.options import Json, References
from ganzoo.cli.output import out
from ganzoo.cli.progress import download_bars
from ganzoo.system.shell import quoted
from ganzoo.units import human_size


def pull(
    references: References,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of a Hub repository.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Download again, even if already present.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be downloaded.")] = False,
    json: Json = False,
) -> None:
    """Download weights, verify their checksums, and print the path."""
    from ganzoo.sources import planned, pull

    if dry_run:
        files = [file for reference in references for file in planned(reference, revision=revision, force=force)]
        if json:
            out.json({"files": [asdict(file) for file in files]})
        else:
            out.table("would be downloaded", ["file", "size"], [(file.path, human_size(file.size)) for file in files])
        return
    with download_bars() as access:
        pulled = [pull(reference, revision=revision, force=force, access=access) for reference in references]
    for one in pulled:
        state = f"verified, {human_size(one.size)}" if one.written else "already in the store, verified"
        out.talk(f"{one.reference}: {state}")
        if not json:
            out.line(one.path)
    if json:
        out.json({"weights": [asdict(one) for one in pulled]})
    if pulled:
        out.talk(f"Next: ganzoo sample {quoted(references[0])} --out samples.png")
