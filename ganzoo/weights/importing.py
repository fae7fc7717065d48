"""Checkpoints of other programs -> generators. Only tensors are read; no code in a file is ever run."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganzoo.errors import UsageError, WeightsFormatError, first_sentence
from ganzoo.system.files import read_regular
from ganzoo.weights.building import build_on_meta, build_with_weights, generator_builder
from ganzoo.weights.model_config import ModelConfig
from ganzoo.weights.tensors import deserialize

COMMON_KEYS = ("generator", "netG", "G_ema", "G", "g", "state_dict", "model", "model_state_dict", "params_ema")
"""Where checkpoints keep the generator's tensors, tried in this order when the file holds more than tensors."""


@dataclass(frozen=True)
class Imported:
    """A generator with weights from a file, in evaluation mode."""

    generator: nn.Module
    mapping: Mapping[str, str]
    """Name of a tensor in the file -> its name in the generator."""


def import_weights(path: Path, config: ModelConfig, key: str | None = None) -> Imported:
    """Load a `.pth` or `.safetensors` file into the generator that a config describes.

    Args:
        path: the file; pickles are read with `weights_only=True`, which builds tensors and plain containers only.
        config: the description of the generator.
        key: dotted path to the tensors inside the file; None tries the common ones.

    Names may match as they are or without a wrapper's prefix; otherwise tensors are matched by order, if all shapes and
    all kinds (the last part of a name) agree.
    Raises WeightsFormatError, UsageError.
    """
    tensors = _tensors(_read(path), path, key)
    builder = generator_builder(config, str(path))
    ours = {name: tuple(tensor.shape) for name, tensor in build_on_meta(builder).state_dict().items()}
    mapping = _mapping({name: tuple(tensor.shape) for name, tensor in tensors.items()}, ours, path)
    expected = build_on_meta(builder).state_dict()
    renamed = {our: tensors[their].to(expected[our].dtype) for their, our in mapping.items()}
    generator = build_with_weights(builder, renamed, path).eval().requires_grad_(False)
    return Imported(generator, mapping)


def _read(path: Path) -> Any:
    try:
        content = read_regular(path)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}.", hint="Name a .pth or .safetensors file.") from error
    if path.suffix == ".safetensors":
        return deserialize(content, path)[0]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about a pickle's version, which does not matter: it loads or it does not
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can fail in any way
        # torch's own text goes on for lines and advises to load the pickle unsafely.
        reason = first_sentence(error)[:120]
        raise WeightsFormatError(
            f"{path} holds more than tensors, or is damaged: {reason}.",
            hint="Save only its state dict, with torch.save(generator.state_dict(), PATH), where you trust the file.",
        ) from error


def _tensors(content: Any, path: Path, key: str | None) -> dict[str, Tensor]:
    """Find the generator's tensors inside what was read."""
    if key is not None:
        for part in key.split("."):
            if not isinstance(content, Mapping) or part not in content:
                raise UsageError(f"{path} has no {key!r}.", hint=f"It has: {_keys(content)}.")
            content = content[part]
    else:
        while isinstance(content, Mapping) and not _is_state_dict(content):
            found = next((name for name in COMMON_KEYS if isinstance(content.get(name), Mapping)), None)
            if found is None:
                break
            content = content[found]
    if not isinstance(content, Mapping) or not _is_state_dict(content):
        raise UsageError(
            f"{path} does not hold a state dict there.", hint=f"Name one with --key; it has: {_keys(content)}."
        )
    return dict(content)


def _is_state_dict(content: Mapping[Any, Any]) -> bool:
    return bool(content) and all(
        isinstance(name, str) and isinstance(value, Tensor) and value.layout == torch.strided
        for name, value in content.items()
    )


def _keys(content: Any) -> str:
    return ", ".join(map(str, list(content)[:12])) if isinstance(content, Mapping) else type(content).__name__


Shapes = Mapping[str, tuple[int, ...]]


def _mapping(theirs: Shapes, ours: Shapes, path: Path) -> dict[str, str]:
    """Return which tensor of the file is which of the generator. Raises WeightsFormatError when no rule fits all."""
    for prefix in ("", "module.", "_orig_mod.", "generator.", "layers.", "model.", "main.", "net."):
        stripped = {name.removeprefix(prefix): name for name in theirs}
        if stripped.keys() == ours.keys() and len(stripped) == len(theirs):
            return {stripped[name]: name for name in ours}
    # The order of a state dict is that of the layers: safe where every shape agrees, and every kind of tensor.
    pairs = list(zip(theirs, ours, strict=False))
    if len(theirs) == len(ours) and all(
        theirs[their] == ours[our] and their.rpartition(".")[2] == our.rpartition(".")[2] for their, our in pairs
    ):
        return dict(pairs)
    their, our = next(
        ((their, our) for their, our in pairs if theirs[their] != ours[our]), (f"{len(theirs)} tensors", f"{len(ours)}")
    )
    seen, wanted = list(theirs.get(their, ())), list(ours.get(our, ()))
    raise WeightsFormatError(
        f"{path} does not fit: it has {their} {seen} where {our} {wanted} is expected.",
        hint="Choose the recipe, or the architecture and its config, that the file was trained with.",
    )
