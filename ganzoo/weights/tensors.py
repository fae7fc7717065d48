"""Safetensors in and out, with the checks that the library leaves to its callers.

The library refuses malformed offsets, shapes and types. Duplicate names, huge headers and non-finite values pass it and
are refused here. Nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganzoo.errors import WeightsFormatError, shortened
from ganzoo.system.files import open_regular, read_regular
from ganzoo.weights.layout import FILES, GENERATOR_NAME

if TYPE_CHECKING:
    import torch

MAX_HEADER_BYTES = 1 << 20
"""A header of 1 MiB describes some ten thousand tensors; the library itself would parse 100 MB."""

MAX_STATE_BYTES = 1 << 36
"""64 GiB: a training state of the largest networks that are built."""

DATA_DIGEST_KEY = "ganzoo.data_sha256"
"""Header metadata: sha256 of everything after the header."""

_OTHER_FORMATS = ((b"PK\x03\x04", "a zip archive or torch pickle"), (b"\x80", "a pickle"), (b"<", "a web page"))
_POINTER = b"version https://git-lfs"


def serialize(tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> bytes:
    """Return a safetensors file as bytes, with the sha256 of its tensor data in its metadata.

    The same tensors and metadata always give the same bytes. Tensors are copied to the CPU first, and may be
    non-contiguous or shared.
    """
    from safetensors.torch import save

    content = save({name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()})
    length = int.from_bytes(content[:8], "little")
    data = _data_section(content)
    digest = hashlib.sha256(data).hexdigest()
    # The library writes metadata in random order, so the header is written again.
    named = dict(sorted({**metadata, DATA_DIGEST_KEY: digest}.items()))
    return header_bytes({"__metadata__": named, **json.loads(content[8 : 8 + length])}) + data


def header_bytes(header: Mapping[str, Any]) -> bytes:
    """Return the start of a safetensors file, which the bytes of its tensors follow."""
    content = json.dumps(header, separators=(",", ":")).encode()
    content += b" " * (-len(content) % 8)  # the format aligns the data to 8 bytes
    return len(content).to_bytes(8, "little") + content


def deserialize(content: bytes, where: Path | str) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Return the tensors and the metadata of a safetensors file. Raises WeightsFormatError.

    Checks the frame, the names, that every floating-point value is finite, and the data's digest when the metadata
    states one.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    metadata = read_metadata(content, where)
    digest = metadata.get(DATA_DIGEST_KEY)
    if digest is not None and hashlib.sha256(_data_section(content)).hexdigest() != digest:
        raise WeightsFormatError(f"{where} is damaged: its tensors changed after it was written.", hint=_REPLACE)
    try:
        tensors = load(content)
    except (SafetensorError, KeyError, ValueError) as error:
        raise WeightsFormatError(
            f"{where} is not a valid safetensors file: {shortened(error).rstrip('.')}.", hint=_REPLACE
        ) from error
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise WeightsFormatError(
                f"{where}: tensor {shortened(name, 100)!r} holds NaN or infinite values.", hint=_REPLACE
            )
    return tensors, metadata


_REPLACE = "Replace the file with a fresh copy."


def check_frame(path: Path, where: Path | str | None = None) -> None:
    """Check the header of a safetensors file on disk, and the length of its data, without reading its tensors.

    Errors call it `where`; None for its name. Raises WeightsFormatError, OSError.
    """
    where = path.name if where is None else where
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(8)
        content = start + file.read(min(MAX_HEADER_BYTES, int.from_bytes(start, "little")))
    read_metadata(content, where)
    header = json.loads(content[8:])
    try:
        end = max((tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"), default=0)
    except (TypeError, KeyError, IndexError) as error:
        raise WeightsFormatError(
            f"{where} has an unreadable header: {shortened(repr(error))}.", hint=_REPLACE
        ) from error
    if not isinstance(end, int) or end != size - len(content):
        raise WeightsFormatError(f"{where} does not have the length that its header states.", hint=_REPLACE)


def read_checked(path: Path, limit: int = FILES[GENERATOR_NAME].max_size) -> bytes:
    """Read a safetensors file, after checking that its header states its length. Raises WeightsFormatError, OSError."""
    check_frame(path, path)
    return read_regular(path, limit)


def read_metadata(content: bytes, where: Path | str) -> dict[str, str]:
    """Check the frame of a safetensors file and return its header's metadata. Raises WeightsFormatError."""
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > MAX_HEADER_BYTES or content[8:9] != b"{":
        raise WeightsFormatError(f"{where} is {_guess_format(content)}, not safetensors.", hint=_REPLACE)
    if 8 + length > len(content):
        raise WeightsFormatError(f"{where} is truncated: its header alone is longer than the file.", hint=_REPLACE)
    try:
        header = json.loads(content[8 : 8 + length], object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise WeightsFormatError(f"{where} has an unreadable header: {shortened(error)}.", hint=_REPLACE) from error
    metadata = header.get("__metadata__", {}) if isinstance(header, dict) else None
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise WeightsFormatError(f"{where} has an unreadable header: its metadata is not text.", hint=_REPLACE)
    return metadata


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse JSON objects with a repeated key, of which the library would take the last."""
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a name occurs twice")
    return result


def _guess_format(content: bytes) -> str:
    if not content:
        return "an empty file"
    if content.startswith(_POINTER):
        return "a Git LFS pointer (the file itself was not fetched)"
    return next((kind for magic, kind in _OTHER_FORMATS if content.startswith(magic)), "something else")


def _data_section(content: bytes) -> memoryview:
    return memoryview(content)[8 + int.from_bytes(content[:8], "little") :]
