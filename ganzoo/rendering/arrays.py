"""Samples -> one file that holds them as an array, written as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from ganzoo.system.files import whole_file
from ganzoo.weights.tensors import header_bytes

if TYPE_CHECKING:
    from torch import Tensor

Shape = tuple[int, ...]


def write_array(batches: Iterable[Tensor], shape: Shape, path: Path, report: Callable[[int], None]) -> None:
    """Write samples as little-endian float32 of this shape, [num, ...]; `.npy` or `.safetensors`. Raises OSError."""
    done = 0
    with whole_file(path) as file:
        _HEADERS[path.suffix.lower()](file, shape)
        for samples in batches:
            file.write(samples.float().cpu().contiguous().numpy().astype("<f4", copy=False).data)
            done += len(samples)
            report(done)


def _npy_header(file: BinaryIO, shape: Shape) -> None:
    np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})


def _safetensors_header(file: BinaryIO, shape: Shape) -> None:
    num_bytes = 4 * int(np.prod(shape, dtype=np.int64))
    file.write(header_bytes({"samples": {"dtype": "F32", "shape": shape, "data_offsets": (0, num_bytes)}}))


_HEADERS: dict[str, Callable[[BinaryIO, Shape], None]] = {".npy": _npy_header, ".safetensors": _safetensors_header}
ARRAY_SUFFIXES = tuple(_HEADERS)
