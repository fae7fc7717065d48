"""Checkpoints of other programs -> generators. Only tensors are read; no code in a file is ever run."""

from __future__ import annotations

import os
import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor, nn

from ganzoo.errors import UsageError, WeightsFormatError
from ganzoo.system.files import open_regular
from ganzoo.weights.building import build_on_meta, build_with_weights, generator_builder
from ganzoo.weights.model_config import ModelConfig
from ganzoo.weights.tensors import deserialize, read_checked

COMMON_KEYS = (
    "generator",
    "netG",
    "G_ema",
    "G",
    "g",
    "gen",
    "generator_state_dict",
    "netG_state_dict",
    "G_state_dict",
    "gen_state_dict",
    "g_model_state_dict",
    "state_dict",
    "model",
    "model_state_dict",
    "params_ema",
)
"""Where checkpoints keep the generator's tensors, tried in this order when the file holds more than tensors."""

PREFIXES = ("", "module.", "_orig_mod.", "generator.", "netG.", "G.", "gen.", "layers.", "model.", "main.", "net.")
"""Before the names of the generator's tensors, where a wrapper or a file with several nets adds one."""


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

    Names may match as they are or without a prefix; tensors with another prefix are then left out. Otherwise tensors
    are matched by order, if all shapes and all kinds (the last part of a name) agree.
    Raises WeightsFormatError, UsageError.
    """
    tensors = _tensors(_read(path), path, key)
    builder = generator_builder(config, str(path))
    expected = build_on_meta(builder).state_dict()
    mapping = _mapping(_shapes(tensors), _shapes(expected), path)
    renamed = {our: _converted(tensors[their], expected[our].dtype, their, path) for their, our in mapping.items()}
    generator = build_with_weights(builder, renamed, path).eval().requires_grad_(False)
    return Imported(generator, mapping)


def _read(path: Path) -> Any:
    try:
        if path.suffix == ".safetensors":
            return deserialize(read_checked(path), path)[0]
        with open_regular(path) as file:
            return _load_pickle(file, path)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}.", hint="Name a .pth or .safetensors file.") from error


def _load_pickle(file: BinaryIO, path: Path) -> Any:
    """Read a .pth file, in about as much memory as it has bytes. Raises WeightsFormatError."""
    hint = "Save only its state dict, with torch.save(generator.state_dict(), PATH), where you trust the file."
    if _expands(file):
        raise WeightsFormatError(f"{path} is compressed, which torch.save never does.", hint=hint)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about a pickle's version, which does not matter: it loads or it does not
            return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can fail in any way
        # torch's own text is long, and advises to load the pickle unsafely; only the name of the class is of use.
        named = re.search(r"GLOBAL ([\w.]{1,100})", str(error))
        what = f"holds more than tensors: an object of {named[1]}" if named else "is damaged, or is not a .pth file"
        raise WeightsFormatError(f"{path} {what}.", hint=hint) from error


def _expands(file: BinaryIO) -> bool:
    """Whether a file is a zip archive with more in it than its own bytes; torch stores members uncompressed."""
    try:
        members = zipfile.ZipFile(file).infolist()
    except Exception:  # not an archive, or a damaged one
        members = []
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return any(member.compress_type for member in members) or sum(member.file_size for member in members) > size


def _converted(tensor: Tensor, dtype: torch.dtype, name: str, path: Path) -> Tensor:
    """Return a tensor of the file as the type of the generator's. Raises WeightsFormatError if values would be lost."""
    if tensor.is_meta or tensor.is_complex() or tensor.is_floating_point() != dtype.is_floating_point:
        fault = "has no values" if tensor.is_meta else f"is {tensor.dtype}, not {dtype}"
    elif not (converted := tensor.to(dtype)).isfinite().all():
        fault = f"holds values that are NaN, infinite or too large for {dtype}"
    else:
        return converted
    raise WeightsFormatError(
        f"{path}: tensor {name!r:.100} {fault.replace('torch.', '')}.", hint="Save the weights again as float32."
    )


def _tensors(content: Any, path: Path, key: str | None) -> dict[str, Tensor]:
    """Find the generator's tensors inside what was read."""
    if key is not None:
        for part in key.split("."):
            if not isinstance(content, Mapping) or part not in content:
                raise UsageError(f"{path} has no {key!r}.", hint=f"It has: {_keys(content)}.")
            content = content[part]
    else:
        for _ in range(8):  # deep enough, and a pickled dictionary may contain itself
            if not isinstance(content, Mapping) or _is_state_dict(content):
                break
            content = next((content[name] for name in COMMON_KEYS if isinstance(content.get(name), Mapping)), content)
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
    return (
        ", ".join(str(key)[:100] for key in list(content)[:12])
        if isinstance(content, Mapping)
        else type(content).__name__
    )


Shapes = Mapping[str, tuple[int, ...]]


def _shapes(tensors: Mapping[str, Tensor]) -> Shapes:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _mapping(theirs: Shapes, ours: Shapes, path: Path) -> dict[str, str]:
    """Return which tensor of the file is which of the generator. Raises WeightsFormatError when no rule fits all."""
    for prefix in PREFIXES:
        stripped = {name.removeprefix(prefix): name for name in theirs if name.startswith(prefix)}
        if stripped.keys() == ours.keys():
            return {stripped[name]: name for name in ours}
    # The order of a state dict is that of the layers: safe where every shape agrees, and every kind of tensor.
    pairs = list(zip(theirs, ours, strict=False))
    if len(theirs) == len(ours) and all(
        theirs[their] == ours[our] and their.rpartition(".")[2] == our.rpartition(".")[2] for their, our in pairs
    ):
        return dict(pairs)
    raise WeightsFormatError(
        f"{path} does not fit: {_mismatch(theirs, ours)}.",
        hint="Choose the recipe, or the architecture and its config, that the file was trained with.",
    )


def _mismatch(theirs: Shapes, ours: Shapes) -> str:
    if len(theirs) != len(ours):
        parts = Counter(name.partition(".")[0] for name in theirs).most_common(4)
        listed = ", ".join(f"{num} under {part[:100]}." for part, num in parts)
        return f"the generator has {len(ours)} tensors, the file {len(theirs)} ({listed})"
    for their, our in zip(theirs, ours, strict=True):
        if theirs[their] != ours[our]:
            return f"it has {their:.100} {list(theirs[their])} where {our} {list(ours[our])} is expected"
    return "the shapes agree, but not the kinds of tensors by their names"
