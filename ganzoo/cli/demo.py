"""`ganzoo demo`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from ganzoo.cli.options import Device, Threads
from ganzoo.cli.output import out
from ganzoo.cli.progress import download_bars
from ganzoo.system.devices import cpu_threads
from ganzoo.system.files import scratch_folder
from ganzoo.system.shell import quoted


def demo(
    references: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[REF]...", help="Models, by name, hf:OWNER/NAME or folder; default: all on this machine."
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines in.")] = "127.0.0.1",
    port: Annotated[int | None, typer.Option(min=1, max=65_535, help="Default: a free one, from 7860.")] = None,
    space: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write a Hugging Face Space instead of serving the page.")
    ] = None,
    device: Device = "cpu",
    threads: Threads = None,
) -> None:
    """Try models on a local page (extra `demo`).

    Example: ganzoo demo mnist-mlp
    """
    if space is not None:
        from ganzoo.exporting.space import write_space

        out.line(write_space(references or [], space))
        out.talk(f"Next: python {quoted(space / 'app.py')} to try it; README.md says how to publish it.")
        return
    from ganzoo.exporting.demo import build, launch

    with scratch_folder() as folder:
        os.environ["GRADIO_TEMP_DIR"] = str(folder)  # pictures go there, and it is removed at the end
        with download_bars() as access:
            page = build(references or [], device=device, access=access)
        with cpu_threads(threads):
            address = launch(page, host=host, port=port, block=False)
            out.talk("Ctrl-C ends the page.")
            out.line(address)
            page.block_thread()
