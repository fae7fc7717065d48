"""`ganzoo neighbours`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ganzoo.cli.options import DataDir, Device, Json, Reference, Threads
from ganzoo.cli.output import out
from ganzoo.cli.progress import counting_bar
from ganzoo.system.devices import cpu_threads

if TYPE_CHECKING:
    from ganzoo.evaluation.neighbours import Neighbours


def neighbours(
    reference: Reference,
    num: Annotated[int, typer.Option("--num", "-n", min=1, max=10_000, help="Number of samples to measure.")] = 256,
    shown: Annotated[int, typer.Option(min=1, max=200, help="Number of samples in the picture, closest first.")] = 24,
    k: Annotated[int, typer.Option("--neighbours", "-k", min=1, max=20, help="Real images beside each sample.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Random seed of the samples.")] = 0,
    features: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="An extractor, or pixels; default: inception-2015 if its weights are at hand.",
        ),
    ] = None,
    split: Annotated[str | None, typer.Option(help="Split of the dataset; default: what it was trained on.")] = None,
    num_real: Annotated[
        int, typer.Option("--num-real", min=3, max=100_000, metavar="N", help="Compare with N real images at most.")
    ] = 100_000,
    target: Annotated[
        str | None, typer.Option("--out", "-o", metavar="FILE", help="A .png; default: neighbours.png in the run.")
    ] = None,
    device: Device = "cpu",
    threads: Threads = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Show samples beside the most similar real images, and measure whether the model copies them."""
    from ganzoo.sources import resolve

    resolve(reference)  # reports a wrong name before torch is imported
    from ganzoo.evaluation.neighbours import neighbours as find

    with cpu_threads(threads), counting_bar("features") as progress:
        found = find(
            reference,
            num,
            out=target,
            seed=seed,
            shown=shown,
            k=k,
            features=features,
            split=split,
            num_real=num_real,
            device=device,
            data_dir=data_dir,
            progress=progress,
        )
    if json:
        out.json(found.to_json())
    else:
        _show(found)


def _show(found: Neighbours) -> None:
    part = "" if found.num_real == found.num_split else f" of {found.num_split:,}"
    rows = [
        ("samples", f"{found.num:,}, seed {found.seed}"),
        ("real images", f"{found.num_real:,}{part} of {found.dataset} {found.split}"),
        ("distance", found.distance),
        ("authenticity", f"{found.authenticity:.3f}"),
        ("of real images left out", f"{found.authenticity_of_real:.3f}"),
    ]
    out.table(found.reference, ["quantity", "value"], rows)
    if found.is_training_data is False:
        out.line("These are not the images that the model was trained on, so nothing is known about copies of those.")
    elif found.is_copying:
        out.line("The model copies: fewer of its samples are authentic than of real images left out one at a time.")
    else:
        out.line(
            "No sign of copying: about as many samples are authentic as real images left out one at a time, or more."
        )
    if found.sheet is not None:
        out.line(found.sheet)
    else:
        out.talk("For a picture of the closest samples: --out neighbours.png")
