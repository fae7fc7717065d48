"""`ganzoo import`."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganzoo.cli.options import Assignments, Json
from ganzoo.cli.output import out
from ganzoo.errors import UsageError
from ganzoo.system.shell import quoted

if TYPE_CHECKING:
    from ganzoo.specs import Recipe


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .pth or .safetensors file with a generator.")],
    recipe: Annotated[str | None, typer.Option(help="The recipe whose generator it is, such as mnist-mlp.")] = None,
    architecture: Annotated[
        str | None, typer.Option(help="The architecture, if no recipe fits; use --set for the rest.")
    ] = None,
    assignments: Assignments = None,
    key: Annotated[str | None, typer.Option(help="Key of the generator in the file, such as netG.")] = None,
    prefix: Annotated[
        str, typer.Option(help="What the names of the generator's tensors begin with, such as generator.")
    ] = "",
    output_range: Annotated[
        str | None,
        typer.Option("--range", metavar="LOW,HIGH", help="Range of the generator's images, if not -1,1; such as 0,1."),
    ] = None,
    source: Annotated[str | None, typer.Option(help="Where the file was published, to be kept with it.")] = None,
    license_: Annotated[
        str | None, typer.Option("--license", help="SPDX identifier of its licence, such as mit.")
    ] = None,
    out_dir: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder to write; default: FILE without its suffix.")
    ] = None,
    json: Json = False,
) -> None:
    """Convert a .pth or .safetensors checkpoint to a ganzoo folder."""
    from ganzoo.config import Layer, assignments_layer, resolve
    from ganzoo.data.settings import dataset_of
    from ganzoo.registry import recipes
    from ganzoo.system.files import contents

    layers = [assignments_layer(assignments or ())]
    if recipe is not None:
        base = recipes.get(recipe)
        if architecture is not None:
            layers.insert(0, Layer("--architecture", {"architecture": architecture}))
    else:
        base = _nameless(file, architecture, layers[0].values)
    folder = out_dir or Path(file.stem)
    if folder.exists() and (not folder.is_dir() or contents(folder)):
        raise UsageError(f"{folder} is not empty.", hint="Choose another folder with --out.")
    settings = resolve(base, layers, seed=0)
    dataset = dataset_of(settings.recipe)

    # Only now, because they import torch, which takes seconds: wrong names are reported before.
    from ganzoo.model import GAN
    from ganzoo.system.shell import as_reference
    from ganzoo.weights.importing import import_weights
    from ganzoo.weights.model_config import model_config

    config = model_config(settings.recipe, dataset.sample, dataset.settings)
    if output_range is not None:
        config = replace(config, output_range=_range(output_range))
    imported = import_weights(file, config, key, prefix, source=source, license=license_)
    path = as_reference(GAN(imported.generator, imported.config).save(folder))
    if json:
        tensors = [{"file": file, "model": ours} for file, ours in imported.mapping.items()]
        out.json({"path": path, "tensors": tensors, "by_order": imported.by_order, "left_out": imported.left_out})
        return
    for theirs, ours in imported.mapping.items():
        if theirs != ours:
            out.talk(f"{theirs} -> {ours}")
    how = "by the order of the layers, because their names differ" if imported.by_order else "by name"
    out.talk(f"{len(imported.mapping)} tensors, matched {how}.")
    if imported.left_out:
        nets = sorted({name.partition(".")[0] for name in imported.left_out})
        out.talk(f"{len(imported.left_out)} tensors of other nets were left out: {', '.join(nets[:6])}.")
    out.line(path)
    word = quoted(path)
    out.talk(
        "Shapes do not tell activations, the eps of batch normalisation, the distribution of latents or the range of "
        f"images. Look at samples. Next: ganzoo sample {word} --out {quoted(f'{path}.png')}"
    )


def _range(text: str) -> tuple[float, float]:
    """Parse LOW,HIGH. Raises UsageError."""
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        low = high = math.nan
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise UsageError(f"--range {text} is not a range.", hint="Two numbers, the lower one first: --range 0,1")
    return low, high


def _nameless(file: Path, architecture: str | None, values: object) -> Recipe:
    """Return a recipe for a generator without one. Raises UsageError if the options do not describe it."""
    from ganzoo.specs import Adam, LatentSpec, Optimizers, Recipe

    if architecture is None or not isinstance(values, dict) or not {"dataset", "latent.dim"} <= values.keys():
        raise UsageError(
            "the architecture of the checkpoint is not known.",
            hint="Pass --recipe NAME, or --architecture NAME --set dataset=mnist --set latent.dim=100 --set config.…",
        )
    optimizer = Adam(learning_rate=1e-4)
    return Recipe(
        name=f"{architecture}-import",
        summary=f"imported from {file.name}",
        architecture=architecture,
        config={},
        dataset=values["dataset"],
        latent=LatentSpec(dim=1),
        optimizers=Optimizers(generator=optimizer, discriminator=optimizer),
        batch_size=64,
        steps=1,
    )
