"""Checkpoints of other programs -> generators. Only tensors are read; no code in a file is ever run."""

from __future__ import annotations

import hashlib
import os
import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor, nn

from ganzoo.errors import UsageError, WeightsFormatError
from ganzoo.system.files import open_regular
from ganzoo.system.shell import quoted
from ganzoo.validation import validated
from ganzoo.weights.building import build_on_meta, build_with_weights, generator_builder
from ganzoo.weights.matching import find_generator
from ganzoo.weights.model_config import ModelConfig, Origin
from ganzoo.weights.tensors import deserialize, read_checked


@dataclass(frozen=True)
class Imported:
    """A generator with weights from a file, in evaluation mode."""

    generator: nn.Module
    config: ModelConfig
    """Its description, with the file's origin."""
    mapping: Mapping[str, str]
    """Name of a tensor in the file -> its name in the generator."""
    by_order: bool
    """Whether tensors were matched by the order of the layers, because their names tell nothing."""
    left_out: tuple[str, ...]
    """Names of the tensors that were stored together with the generator's, and are not the generator's."""


def import_weights(
    path: Path,
    config: ModelConfig,
    key: str | None = None,
    prefix: str = "",
    *,
    source: str | None = None,
    license: str | None = None,
) -> Imported:
    """Load a `.pth` or `.safetensors` file into the generator that a config describes.

    Args:
        path: the file; pickles are read with `weights_only=True`, which builds tensors and plain containers only.
        config: the description of the generator.
        key: dotted key of the tensors inside the file; None looks everywhere.
        prefix: what the names of the generator's tensors begin with; empty to find that out.
        source: where the file was published; kept in the config.
        license: SPDX identifier of its licence; kept in the config.

    Tensors are matched by name, and by the order of the layers where names tell nothing; see `find_generator`.
    Raises WeightsFormatError, UsageError, and SettingsError for a source or licence that is too long.
    """
    content, sha256 = _read(path)
    origin = {"file": path.name[-255:], "sha256": sha256, "source": source or None, "license": license or None}
    config = replace(config, origin=validated(Origin, origin, "import"))
    builder = generator_builder(config, str(path))
    expected = build_on_meta(builder).state_dict()
    found = find_generator(content, expected, path, key, prefix)
    renamed = {
        our: _converted(found.tensors[their], expected[our].dtype, their, path) for their, our in found.names.items()
    }
    # Batch normalisation without its counter, as old files have it, has seen no batch; only training would read it.
    absent = {name: torch.zeros((), dtype=tensor.dtype) for name, tensor in expected.items() if name not in renamed}
    generator = build_with_weights(builder, renamed | absent, path).eval().requires_grad_(False)
    left_out = tuple(name for name in found.tensors if name not in found.names)
    return Imported(generator, config, found.names, found.by_order, left_out)


def _read(path: Path) -> tuple[Any, str]:
    """Return what a file holds, and its sha256."""
    if address := re.fullmatch(r"(https?):/+(.+)", str(path)):  # Path made one slash of two
        url = quoted(f"{address[1]}://{address[2]}")
        raise UsageError(f"{url} is an address, not a file.", hint=f"Download it first: curl -L -O {url}")
    try:
        with open_regular(path) as file:
            _refuse_other_formats(file, path)
            if path.suffix != ".safetensors":
                content = _load_pickle(file, path)
                file.seek(0)
                return content, hashlib.file_digest(file, "sha256").hexdigest()
        content = read_checked(path)
        return deserialize(content, path)[0], hashlib.sha256(content).hexdigest()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}.", hint="Name a .pth or .safetensors file.") from error


_SAVE_ARRAYS = "Save its arrays as safetensors: safetensors.numpy.save_file("
_STATE_DICT = "torch.save(generator.state_dict(), 'generator.pth')"

OTHER_FORMATS = {
    "NumPy": ("is a NumPy file", _SAVE_ARRAYS + "dict(numpy.load('g.npz')), 'g.safetensors')"),
    "HDF5": (
        "is HDF5, as Keras writes it",
        "Rebuild the net in PyTorch, copy the arrays (Keras has the kernels' axes in another order), then "
        + _STATE_DICT,
    ),
    "ONNX": (
        "is an ONNX model",
        _SAVE_ARRAYS
        + "{t.name: onnx.numpy_helper.to_array(t) for t in onnx.load('g.onnx').graph.initializer}, 'g.safetensors')",
    ),
    "TorchScript": (
        "is a TorchScript program",
        "Save its tensors where you trust it, because loading runs its code: "
        "torch.save(torch.jit.load('g.pt').state_dict(), 'g.pth')",
    ),
    "pointer": ("is a Git LFS pointer", "Download the file itself: git lfs pull"),
    "page": ("is a web page", "Download the file itself, not the page that shows it."),
    "empty": ("is an empty file", "Download it again."),
}
"""What people have instead of a state dict: what it is, and the way to one."""


def _refuse_other_formats(file: BinaryIO, path: Path) -> None:
    """Name the formats that are not read. Raises WeightsFormatError."""
    head = file.read(512)
    file.seek(0)
    members = [] if head[:4] != b"PK\x03\x04" else [member.filename for member in _members(file)]
    found = None
    if not head:
        found = "empty"
    elif head.startswith(b"\x93NUMPY") or (members and all(name.endswith(".npy") for name in members)):
        found = "NumPy"
    elif head.startswith(b"\x89HDF\r\n\x1a\n") or any(name.endswith(".h5") for name in members):
        found = "HDF5"
    elif any("/code/" in name or name.endswith("/constants.pkl") for name in members):
        found = "TorchScript"
    elif path.suffix == ".onnx":  # a protobuf message, which has no mark of its own
        found = "ONNX"
    elif head.startswith(b"version https://git-lfs"):
        found = "pointer"
    elif head.lstrip()[:1] == b"<":
        found = "page"
    if found is not None:
        what, way = OTHER_FORMATS[found]
        raise WeightsFormatError(f"{path} {what}.", hint=way)


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
    members = _members(file)
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return any(member.compress_type for member in members) or sum(member.file_size for member in members) > size


def _members(file: BinaryIO) -> list[zipfile.ZipInfo]:
    """List what is in a zip archive; nothing for another file, or a damaged one."""
    try:
        return zipfile.ZipFile(file).infolist()
    except Exception:
        return []
    finally:
        file.seek(0)


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
