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
        Path | None,
        typer.Option(metavar="KEY", help="Also check the signature with a public key (PEM; extra `sign`)."),
    ] = None,
    json: Json = False,
) -> None:
    """Verify the checksums and tensors of weights; exit 1 on any fault."""
    from ganzoo.sources import verify

    results = {reference: verify(reference, key=key) for reference in references}
    if json:
        weights = [{"reference": name, "files": [asdict(file) for file in files]} for name, files in results.items()]
        out.json({"weights": weights})
        return
    for reference, files in results.items():
        out.table(reference, ["file", "size", "sha256"], [(file.path, file.size, file.sha256) for file in files])
        if key is not None:
            out.talk(f"{reference}: signed by the owner of {key}")
