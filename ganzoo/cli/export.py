"""`ganzoo export`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from ganzoo.cli.options import Json, Reference
from ganzoo.cli.output import out
from ganzoo.cli.progress import download_bars
from ganzoo.errors import UsageError
from ganzoo.system.shell import quoted
from ganzoo.units import human_size

if TYPE_CHECKING:
    from ganzoo.exporting.folder import Format

FORMATS = ("onnx", "torch", "web")


def export(
    reference: Reference,
    format: Annotated[  # noqa: A002 - the name of the option
        str, typer.Option("--format", "-f", metavar="FORMAT", help="onnx, torch (torch.export), or web (a page).")
    ] = "onnx",
    target: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="A new folder; default: NAME-FORMAT.")
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Sampling option; `ganzoo show ARCHITECTURE` lists them."),
    ] = None,
    runtime: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="For web: onnxruntime-web as a .tgz or folder; default: npm gets it."),
    ] = None,
    json: Json = False,
) -> None:
    """Export a generator to ONNX, torch.export or a web page.

    Example: ganzoo export mnist-mlp --format web
    """
    if format not in FORMATS:  # before torch is imported, which takes seconds
        raise UsageError(f"unknown format {format!r}.", hint=f"Choose {', '.join(FORMATS)}.")
    if runtime is not None and format != "web":
        raise UsageError("--runtime is for pages.", hint="Add --format web, or leave it out.")

    from ganzoo.config import assignments_layer
    from ganzoo.exporting import export

    options = assignments_layer(assignments or ()).values
    with download_bars() as access:
        exported = export(
            reference, cast("Format", format), out=target, options=options, runtime=runtime, access=access
        )
    parity = exported.parity
    out.talk(
        f"{exported.reference}: {human_size(exported.size)}; samples differ from torch's by at most "
        f"{parity.max_difference:.1g} (limit {parity.tolerance:g})"
    )
    if json:
        paths = {"path": str(exported.path), "file": str(exported.file)}
        out.json({**asdict(exported), **paths})
    else:
        out.line(exported.path)
    if format == "web":
        out.talk(f"Next: python -m http.server --bind 127.0.0.1 --directory {quoted(exported.path)} 8000")
    else:
        out.talk(f"Next: python {quoted(exported.path / 'example.py')}")
