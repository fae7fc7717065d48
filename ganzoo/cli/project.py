"""`ganzoo project`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ganzoo.cli.options import Device, Json, Reference, Threads
from ganzoo.cli.output import out
from ganzoo.cli.progress import counting_bar, download_bars
from ganzoo.errors import UsageError
from ganzoo.system.devices import cpu_threads


def project(
    reference: Reference,
    pictures: Annotated[list[str], typer.Argument(metavar="PICTURE...", help="Photographs or drawings.")],
    target: Annotated[
        Path, typer.Option("--out", "-o", help="A .safetensors file; the comparison goes beside it, as a .png.")
    ] = Path("projected.safetensors"),
    label: Annotated[
        str | None, typer.Option(help="Name of the class, for class-conditional models; default: the one that fits.")
    ] = None,
    features: Annotated[
        str | None,
        typer.Option(metavar="EXTRACTOR", help="Compare features too, such as those of inception-2015."),
    ] = None,
    starts: Annotated[int, typer.Option(min=1, max=1024, help="Latents improved for each picture.")] = 8,
    steps: Annotated[int, typer.Option(min=1, max=100_000, help="Steps of gradient descent.")] = 300,
    seed: Annotated[int, typer.Option(min=0, help="Random seed of the starts.")] = 0,
    device: Device = "cpu",
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Find the latents with which a model comes closest to pictures.

    Example: ganzoo project mnist-mlp seven.png, then ganzoo sample mnist-mlp --latents projected.safetensors.
    """
    from ganzoo.system.files import expanded

    target = expanded(target)
    if target.suffix.lower() != ".safetensors":
        raise UsageError(f"{target} is not a .safetensors file.", hint="Name one: --out projected.safetensors")
    from ganzoo.sources import load

    with download_bars() as access:
        gan = load(reference, device=device, access=access)
    from ganzoo.projection import project as find_latents
    from ganzoo.rendering.request import class_index

    with cpu_threads(threads), counting_bar("projecting", "steps") as progress:
        found = find_latents(
            gan,
            pictures,
            labels=class_index(gan, label),
            features=features,
            starts=starts,
            steps=steps,
            seed=seed,
            progress=progress,
        )
    found.save(target, gan)
    classes = None if found.labels is None else [gan.classes[label] for label in found.labels.tolist()]
    if json:
        rows = [
            {"picture": picture, "distance": distance, "class": None if classes is None else classes[index]}
            for index, (picture, distance) in enumerate(zip(pictures, found.distances, strict=True))
        ]
        out.json({"path": str(target), "comparison": str(target.with_suffix(".png")), "seed": seed, "pictures": rows})
        return
    for index, (picture, distance) in enumerate(zip(pictures, found.distances, strict=True)):
        of_class = "" if classes is None else f", class {classes[index]}"
        out.talk(f"{picture}: distance {distance:.3f}{of_class}")
    out.talk(f"comparison: {target.with_suffix('.png')}")
    out.line(target)
