"""A dataset with its settings chosen: what its samples are and how they are loaded then."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ganzoo.errors import DatasetError, SettingsError
from ganzoo.registry import datasets
from ganzoo.specs import ArrayData, DatasetSpec, Recipe, SampleSpec, StreamedData, SyntheticData
from ganzoo.validation import hint_to_show, plain, validated


@dataclass(frozen=True, kw_only=True)
class ConfiguredDataset(DatasetSpec):
    """A dataset whose `sample` and `load` no longer depend on settings."""

    sample: SampleSpec
    load: Callable[[Path, str, bool], ArrayData | StreamedData | SyntheticData]
    settings: Mapping[str, Any]
    """The chosen value of every setting, as plain data; empty for a dataset without settings."""


def configured(
    spec: DatasetSpec, values: Mapping[str, Any] | None = None, source: str = "dataset_config"
) -> ConfiguredDataset:
    """Choose the settings of a dataset; those that are not given have their defaults.

    Args:
        spec: the dataset; returned as it is if its settings are already chosen.
        values: field of `spec.config` -> value.
        source: where the values come from, for errors.

    Raises SettingsError for an unknown setting, a value that does not fit, or settings that contradict each other.
    """
    if isinstance(spec, ConfiguredDataset):
        return spec
    given = {field.name: getattr(spec, field.name) for field in fields(spec)}
    config = _config(spec, values or {}, source)
    if config is None:
        return ConfiguredDataset(**given, settings={})
    if isinstance(spec.sample, SampleSpec):
        sample = spec.sample
    else:
        try:
            sample = spec.sample(config)
        except ValueError as error:  # such as a crop that is larger than the image
            raise SettingsError(
                f"{source}: settings of {spec.name!r}: {error}.", hint=hint_to_show(spec.name)
            ) from error
        if not isinstance(sample, SampleSpec):
            raise DatasetError(
                f"{spec.name}: `sample` returned {type(sample).__name__}, not SampleSpec.",
                hint="Report this to the plugin's author.",
            )
    load = functools.partial(_load, spec.load, config)
    return ConfiguredDataset(**{**given, "sample": sample, "load": load}, settings=plain(config))


def settings_of(spec: DatasetSpec, values: Mapping[str, Any], source: str) -> Mapping[str, Any]:
    """Return the value of every setting, as plain data, when these are given. Raises SettingsError."""
    config = _config(spec, values, source)
    return {} if config is None else plain(config)


def _config(spec: DatasetSpec, values: Mapping[str, Any], source: str) -> Any:
    if spec.config is not None:
        return validated(spec.config, values, f"{source}: settings of {spec.name!r}", hint_to_show(spec.name))
    if values:
        raise SettingsError(f"{source}: the dataset {spec.name!r} has no settings.", hint="Leave them out.")
    return None


def _load(
    load: Callable[..., ArrayData | StreamedData | SyntheticData], config: Any, root: Path, split: str, download: bool
) -> ArrayData | StreamedData | SyntheticData:
    return load(root, split, download, config)


def dataset_of(recipe: Recipe) -> ConfiguredDataset:
    """Return the dataset of a recipe, with the recipe's settings.

    Raises UnknownNameError, PluginError, SettingsError.
    """
    return configured(datasets.get(recipe.dataset), recipe.dataset_config, f"recipe {recipe.name}")
