"""Files of latents: `.safetensors` with `latents` and, for class-conditional models, `labels`; or a plain `.npy`."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ganzoo.conditions import class_labels
from ganzoo.errors import StoreError, UsageError, WeightsFormatError, first_sentence, hint_for
from ganzoo.latents import checked_latents
from ganzoo.system.files import read_regular, write_atomically
from ganzoo.weights.model_config import ModelConfig
from ganzoo.weights.tensors import deserialize, serialize

MAX_BYTES = 1 << 30


class SavedLatents(NamedTuple):
    """The contents of a file."""

    latents: Tensor
    """float32 [num, dim, *grid]."""
    labels: Tensor | None = None
    """int64 [num], or None."""


def write_latents(path: Path, saved: SavedLatents, metadata: Mapping[str, str]) -> None:
    """Write latents as safetensors, the whole file or none. Raises StoreError."""
    tensors = {"latents": saved.latents, **({} if saved.labels is None else {"labels": saved.labels})}
    try:
        write_atomically(path, serialize(tensors, {"format": "pt", **metadata}))
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror}.", hint=hint_for(error)) from error


def read_latents(path: Path, config: ModelConfig) -> SavedLatents:
    """Read latents for a model.

    Raises UsageError for a file that is not there or does not fit the model, WeightsFormatError for a damaged one.
    """
    if path.suffix.lower() not in (".safetensors", ".npy"):
        raise UsageError(
            f"{path} is not a file of latents.",
            hint="Name a .safetensors file that `ganzoo project` wrote, or a .npy array.",
        )
    try:
        content = read_regular(path, MAX_BYTES)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}.", hint=hint_for(error)) from error
    labels = None
    if path.suffix.lower() == ".npy":
        try:
            latents = torch.from_numpy(np.load(io.BytesIO(content), allow_pickle=False))
        except (ValueError, TypeError, EOFError, OSError, SyntaxError) as error:
            raise WeightsFormatError(
                f"{path} is not an array: {first_sentence(error)}.", hint="Write it with numpy.save, without objects."
            ) from error
    else:
        tensors, _ = deserialize(content, path)
        if "latents" not in tensors:
            raise WeightsFormatError(
                f"{path} has no tensor 'latents'.", hint="Name a file that `ganzoo project` wrote, not weights."
            )
        latents, labels = tensors["latents"], tensors.get("labels")
    latents = checked_latents(config.latent, latents)
    if labels is not None and config.sample.classes is not None:
        labels = class_labels(config.sample, len(latents), labels)  # type: ignore[arg-type]
    return SavedLatents(latents, labels if config.sample.classes is not None else None)
