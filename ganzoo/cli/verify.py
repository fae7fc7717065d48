"""`ganzoo verify`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ganzoo.cli.options import Json, References
from ganzoo.cli.output import out


def verify(
    references: References,
    key: Annotated[
        Path | None, typer.Option(metavar="KEY", help="Check the signature too, with a public key (PEM; extra `sign`).")
    ] = None,
    json: Json = False,
) -> None:
    """Hash every file again, check header and tensors, and build the model; exit 1 when anything is wrong."""
    from ganzoo.sources import verify

    results = {reference: verify(reference, key=key) for reference in references}
    if json:
        out.json({reference: [asdict(file) for file in files] for reference, files in results.items()})
        return
    for reference, files in results.items():
        out.table(reference, ["file", "size", "sha256"], [(file.path, file.size, file.sha256) for file in files])
        if key is not None:
            out.talk(f"{reference}: signed by the owner of {key}")
