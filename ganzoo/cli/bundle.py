"""`ganzoo bundle`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ganzoo.cli.options import DataDir
from ganzoo.cli.output import human_size, out


def bundle(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A finished run.")],
    package: Annotated[Path, typer.Argument(metavar="PACKAGE", help="Folder of the package that will ship it.")],
    version: Annotated[str, typer.Option(help="Version of the weights, such as v1.")],
    license: Annotated[str, typer.Option(help="SPDX identifier of the weights' licence.")],
    manifest: Annotated[
        Path | None, typer.Option(help="The manifest to enter it in; default: the package's weights_manifest.json.")
    ] = None,
    protocols: Annotated[
        list[str] | None,
        typer.Option("--protocol", help="Measure under it (repeatable); default: the first one."),
    ] = None,
    with_discriminator: Annotated[
        bool, typer.Option("--with-discriminator", help="Ship the discriminator too; sampling does not need it.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """For plugin authors: copy a finished run into a package, measure it, and pin it in a manifest."""
    from ganzoo.release.bundle import bundle
    from ganzoo.weights.manifest import MANIFEST_NAME, measured

    entry = bundle(
        run,
        package,
        version=version,
        license=license,
        manifest=manifest or package / MANIFEST_NAME,
        data_dir=data_dir,
        protocols=protocols or (),
        with_discriminator=with_discriminator,
    )
    out.line(entry.reference)
    for metric in entry.metrics:
        out.talk(f"{metric['name']} {measured(metric['value'], metric['std'])} ({metric['protocol']})")
    out.talk(f"{human_size(entry.size)} in {package}; commit them together with the manifest.")
