"""config.json: the description of a generator, with which its weights are loaded."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Len

from ganzoo.errors import SettingsError, WeightsFormatError, shortened
from ganzoo.requirements import Requirement, recipe_requirements
from ganzoo.specs import LatentSpec, Recipe, SampleSpec
from ganzoo.validation import parse_json, plain, validated
from ganzoo.weights.manifest import check_types

SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The file of another program that weights were imported from."""

    file: Annotated[str, Len(1, 255)]
    """Its name."""
    sha256: Annotated[str, Len(64, 64)]
    """Its digest, 64 hex digits."""
    source: Annotated[str, Len(1, 1000)] | None = None
    """Where it was published: an address or a citation."""
    license: Annotated[str, Len(1, 100)] | None = None
    """SPDX identifier of its licence."""


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The contents of config.json."""

    schema: int = SCHEMA_VERSION
    """Version of this format."""
    recipe: str
    """Name of the recipe that the model was trained with."""
    architecture: str
    """Name of a registered architecture."""
    config: Mapping[str, Any]
    """Values of the architecture's config."""
    dataset: str
    """Name of the dataset that the model was trained on."""
    dataset_config: Mapping[str, Any] | None = None
    """The value of every setting of the dataset; None for a dataset without settings."""
    latent: LatentSpec
    """The generator's input."""
    sample: SampleSpec
    """The generator's output; `classes` only for a class-conditional model, `text` only for a text-conditional one."""
    output_range: tuple[float, float] | None = None
    """Images only: what the architecture's output layer was trained to reach, if that is not [-1, 1]. The generator is
    then built with a last step that maps this range to [-1, 1]."""
    origin: Origin | None = None
    """Only for imported weights."""
    requires: tuple[Requirement, ...] = ()
    """The third-party plugins that took part in the training."""

    def to_bytes(self) -> bytes:
        """Return the file's content, without the optional fields that are empty: files are pinned by digest."""
        document = {name: value for name, value in plain(self).items() if value not in (None, [])}
        return (json.dumps(document, indent=2) + "\n").encode()


def model_config(recipe: Recipe, sample: SampleSpec, dataset_config: Mapping[str, Any] | None = None) -> ModelConfig:
    """Describe the generator of a recipe, whose dataset has these samples and settings.

    Raises SettingsError when it needs classes or texts that the samples do not have.
    """
    condition = recipe.condition if recipe.conditional else None
    if condition is not None and getattr(sample, condition) is None:
        what, rows = {"classes": ("classes", "labels"), "text": ("texts", "texts")}[condition]
        raise SettingsError(
            f"recipe {recipe.name}: the dataset {recipe.dataset!r} has no {what} to condition on.",
            hint=f"Set conditional=false, or choose a dataset with {rows}.",
        )
    return ModelConfig(
        recipe=recipe.name,
        architecture=recipe.architecture,
        config=recipe.config,
        dataset=recipe.dataset,
        dataset_config=dataset_config or None,
        latent=recipe.latent,
        sample=dataclasses.replace(
            sample,
            classes=sample.classes if condition == "classes" else None,
            text=sample.text if condition == "text" else None,
        ),
        requires=recipe_requirements(recipe),
    )


def parse_model_config(content: bytes, where: Path | str) -> ModelConfig:
    """Read a config.json. Raises WeightsFormatError for missing or unknown fields and for wrong values."""
    hint = "Replace it with the config.json that was saved with the weights."
    try:
        document = parse_json(content)
    except (ValueError, RecursionError) as error:
        raise WeightsFormatError(f"{where} is not JSON: {shortened(error)}.", hint=hint) from error
    if not isinstance(document, dict):
        raise WeightsFormatError(f"{where} is not a JSON object.", hint=hint)
    if isinstance(document.get("schema"), int) and document["schema"] > SCHEMA_VERSION:
        raise WeightsFormatError(
            f"{where} has schema {shortened(document['schema'])}; this ganzoo reads {SCHEMA_VERSION}.",
            hint="Update ganzoo: pip install --upgrade ganzoo",
        )
    try:
        return validated(ModelConfig, document, str(where))
    except SettingsError as error:
        raise WeightsFormatError(str(error), hint=hint) from error


_RECORD_TYPES: Mapping[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("steps", "batch_size", "seed"), int),
    **dict.fromkeys(("device", "ganzoo", "torch"), str),
    "seconds": (int, float),
    "settings": dict,
}


def parse_training_record(content: bytes, where: Path | str) -> Mapping[str, Any]:
    """Return what a training.json says about the training. Raises WeightsFormatError."""
    try:
        record = parse_json(content)
        check_types(record, _RECORD_TYPES, "record")
        check_types(record["settings"], {"seed": int, "precision": str, "recipe": dict}, "settings")
        check_types(record["settings"]["recipe"], {"name": str}, "recipe")
        return {name: record[name] for name in _RECORD_TYPES}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise WeightsFormatError(
            f"{where} is not a training record: {shortened(repr(error))}.",
            hint="Restore it, or delete it to go on without it.",
        ) from error
