"""`ganzoo verify`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ganzoo.cli.options import Json
from ganzoo.cli.output import out


def verify(
    references: Annotated[
        list[str], typer.Argument(metavar="REF...", help="Names (mnist-mlp), hf:OWNER/NAME or folders (./my-run).")
    ],
    key: Annotated[
        Path | None,
        typer.Option(metavar="KEY", help="Also check the signature with a public key (PEM; extra `sign`)."),
    ] = None,
    json: Json = False,
) -> None:
    """Verify checksums and tensors; exit 1 if anything is wrong."""
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
