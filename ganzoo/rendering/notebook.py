"""What a notebook shows of a model: samples beside facts. `ganzoo.training.display` shows a training.

IPython is not a dependency: a notebook has imported it already, and elsewhere nothing is shown.
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any

from ganzoo.rendering.picture import png_bytes

if TYPE_CHECKING:
    from ganzoo.model import GAN

_NUM = 16
"""Samples in the picture of a model."""


def model_html(gan: GAN) -> str:
    """Return a model as HTML: samples of seed 0, facts, and a line of code to start with."""
    config = gan.config
    facts = {
        "architecture": config.architecture,
        "dataset": config.dataset,
        "samples": f"{config.sample.kind} {' × '.join(map(str, config.sample.shape))}",
        "latents": f"{config.latent.distribution} {' × '.join(map(str, config.latent.shape))}",
    }
    if gan.classes:
        shown = ", ".join(gan.classes[:10]) + (", …" if len(gan.classes) > 10 else "")
        facts["classes"] = f"{len(gan.classes)}: {shown}"
    facts["parameters"] = f"{sum(parameter.numel() for parameter in gan.generator.parameters()):,}"
    facts["device"] = f"{gan.device}, {str(gan.dtype).removeprefix('torch.')}"
    for metric in gan.entry.metrics if gan.entry is not None else ():
        facts[str(metric["name"])] = f"{metric['value']:.4g} ({metric['protocol']})"
    rows = "".join(
        f"<tr><th style='text-align:left'>{escape(name)}</th><td style='text-align:left'>{escape(value)}</td></tr>"
        for name, value in facts.items()
    )
    call = "gan.grid(16, seed=0" + (f", labels={gan.classes[0]!r}" if gan.classes else "") + ")"
    if config.sample.kind == "tensor":  # not drawn
        drawn, call = "", "gan.sample(16, seed=0)"
    else:
        drawn = image_html(png_bytes(gan.grid(_NUM, seed=0)), f"{_NUM} samples of {gan.name}")
    return (
        f"<div><b>{escape(gan.name)}</b><div style='display:flex;gap:1em;align-items:flex-start;flex-wrap:wrap'>"
        f"{drawn}<table>{rows}</table></div><code>{escape(call)}</code></div>"
    )


def image_html(png: bytes, alt: str) -> str:
    """Return a PNG as an element that holds its bytes."""
    source = base64.b64encode(png).decode()
    return f"<img alt='{escape(alt)}' style='max-width:320px' src='data:image/png;base64,{source}'>"


def notebook_display() -> Callable[[str], None] | None:
    """Return a function that shows HTML in this cell's output, replacing what it showed before; None elsewhere."""
    ipython: Any = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    if shell is None or not hasattr(shell, "kernel"):  # a terminal's IPython has no kernel, and draws no HTML
        return None
    from IPython.display import HTML, display  # type: ignore[import-not-found,unused-ignore]

    handle: Any = None

    def show(html: str) -> None:
        nonlocal handle
        if handle is None:
            handle = display(HTML(html), display_id=True)
        else:
            handle.update(HTML(html))

    return show
