"""`ganzoo eval`."""

from __future__ import annotations

from typing import Annotated

import typer

from ganzoo.cli.options import DataDir, Device, Reference
from ganzoo.cli.output import out


def eval_(
    reference: Reference,
    protocol: Annotated[str | None, typer.Option(help="Name of a protocol; default: the dataset's first.")] = None,
    device: Device = "cpu",
    data_dir: DataDir = None,
) -> None:
    """Measure weights or a run; prints one JSON document with the whole protocol."""
    from ganzoo.evaluation import evaluate, save_beside_run

    result = evaluate(reference, protocol=protocol, device=device, data_dir=data_dir)
    out.json(result.to_json())
    saved = save_beside_run(reference, result)
    if saved is not None:
        out.talk(f"Saved as {saved}.")
    if result.deviation:
        out.talk(f"Not comparable: {result.deviation}.")
    for metric in result.metrics:
        out.talk(f"{metric.name} {metric.value:.4f} ± {metric.std:.4f} ({metric.better} is better, {metric.protocol})")
