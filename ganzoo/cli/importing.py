"""`ganzoo import`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganzoo.cli.options import Assignments
from ganzoo.cli.output import out
from ganzoo.errors import UsageError

if TYPE_CHECKING:
    from ganzoo.specs import Recipe


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .pth or .safetensors file with a generator.")],
    recipe: Annotated[str | None, typer.Option(help="The recipe whose generator it is, such as mnist-mlp.")] = None,
    architecture: Annotated[
        str | None, typer.Option(help="The architecture, where no recipe fits; say the rest with --set.")
    ] = None,
    assignments: Assignments = None,
    key: Annotated[str | None, typer.Option(help="Where in the file the tensors are, such as netG.")] = None,
    out_dir: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder to write; default: the file's name without its ending.")
    ] = None,
) -> None:
    """Turn somebody's checkpoint into a ganzoo folder: tensors only, every name and shape held to the architecture."""
    from ganzoo.cli.watch import as_reference
    from ganzoo.config import Layer, assignments_layer, resolve
    from ganzoo.model import GAN
    from ganzoo.registry import datasets, recipes
    from ganzoo.weights.importing import import_weights
    from ganzoo.weights.model_config import model_config

    layers = [assignments_layer(assignments or ())]
    if recipe is not None:
        base = recipes.get(recipe)
        if architecture is not None:
            layers.insert(0, Layer("--architecture", {"architecture": architecture}))
    else:
        base = _nameless(file, architecture, layers[0].values)
    folder = out_dir or Path(file.stem)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not empty.", hint="Choose another --out.")
    settings = resolve(base, layers, seed=0)
    config = model_config(settings.recipe, datasets.get(settings.recipe.dataset).sample)
    imported = import_weights(file, config, key)
    for their, our in imported.mapping.items():
        out.talk(f"{their} -> {our}")
    out.line(as_reference(GAN(imported.generator, config).save(folder)))


def _nameless(file: Path, architecture: str | None, values: object) -> Recipe:
    """Describe a generator that no recipe made. Raises UsageError when too little is said about it."""
    from ganzoo.specs import Adam, LatentSpec, Optimizers, Recipe

    if architecture is None or not isinstance(values, dict) or not {"dataset", "latent.dim"} <= values.keys():
        raise UsageError(
            "say what the file is.",
            hint="--recipe NAME, or --architecture NAME --set dataset=mnist --set latent.dim=100 --set config.…",
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
