"""`ganzoo import`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from ganzoo.cli.options import Assignments
from ganzoo.cli.output import out
from ganzoo.errors import UsageError


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .pth or .safetensors file with a generator.")],
    recipe: Annotated[str, typer.Option(help="The recipe whose generator it is, such as mnist-mlp.")],
    out_dir: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")],
    architecture: Annotated[str | None, typer.Option(help="Another architecture than the recipe's.")] = None,
    assignments: Assignments = None,
    key: Annotated[str | None, typer.Option(help="Where in the file the tensors are, such as netG.")] = None,
) -> None:
    """Turn somebody's checkpoint into a ganzoo folder: tensors only, every name and shape held to the architecture."""
    from ganzoo.config import Layer, assignments_layer, resolve
    from ganzoo.importing import import_weights
    from ganzoo.model_config import model_config
    from ganzoo.registry import datasets, recipes

    layers = [assignments_layer(assignments or ())]
    if architecture is not None:
        layers.insert(0, Layer("--architecture", {"architecture": architecture}))
    settings = resolve(recipes.get(recipe), layers, seed=0)
    if out_dir.exists() and any(out_dir.iterdir()):
        raise UsageError(f"{out_dir} is not empty.", hint="Choose another --out.")
    config = model_config(settings.recipe, datasets.get(settings.recipe.dataset).sample)
    imported = import_weights(file, dataclasses.replace(config), key)
    for their, our in imported.mapping.items():
        out.talk(f"{their} -> {our}")
    out.line(imported.gan.save(out_dir))
