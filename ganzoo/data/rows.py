"""Rows of an array on disk, and their scaling to the values that networks see.

Rows are read without mapping the file, because mapped pages would count as this process's memory.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from functools import cached_property
from io import FileIO
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganzoo.errors import DatasetError

_BLOCK = 16 << 20
"""Bytes copied to a device at a time."""


@dataclass(frozen=True, kw_only=True)
class RowFile:
    """An array [num, *shape] in a file."""

    path: Path
    offset: int
    """Bytes before the first row."""
    num: int
    shape: tuple[int, ...]
    """Of a row."""
    dtype: np.dtype[np.generic]

    @classmethod
    def of(cls, array: NDArray[np.generic]) -> RowFile:
        """Return the file behind an array that was opened from a packed copy."""
        if not isinstance(array, np.memmap):
            raise TypeError("only arrays of a packed copy have a file")
        return cls(
            path=Path(str(array.filename)),
            offset=array.offset,
            num=len(array),
            shape=array.shape[1:],
            dtype=array.dtype,
        )

    @cached_property
    def row_size(self) -> int:
        """Bytes of a row."""
        return self.dtype.itemsize * math.prod(self.shape)

    def open(self) -> FileIO:
        """Open the file, unbuffered. Raises OSError."""
        return FileIO(self.path, "rb")

    def read(self, file: FileIO, row: int, into: memoryview) -> None:
        """Fill a buffer with the rows from `row` on. Raises OSError, or EOFError when the file is too short."""
        file.seek(self.offset + row * self.row_size)
        filled = 0
        while filled < len(into):
            read = file.readinto(into[filled:])
            if not read:
                raise EOFError(f"it ends before row {row:,}")
            filled += read

    def will_read(self, file: FileIO, row: int) -> None:
        """Announce a row that is read soon, where the operating system takes such advice."""
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), self.offset + row * self.row_size, self.row_size, os.POSIX_FADV_WILLNEED)

    def empty(self, num: int, *, pinned: bool = False) -> Tensor:
        """Return an uninitialised tensor [num, *shape] on the CPU, in pinned memory if `pinned`."""
        dtype = torch.from_numpy(np.empty(0, self.dtype)).dtype
        return torch.empty((num, *self.shape), dtype=dtype, pin_memory=pinned)

    def error(self, error: Exception) -> DatasetError:
        """Return the error to raise when the file cannot be read."""
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return DatasetError(
            f"cannot read {self.path}: {reason}.", hint="Run the command again: a damaged packed copy is rebuilt."
        )


def bytes_of(tensor: Tensor) -> memoryview:
    """Return the memory of a contiguous tensor on the CPU."""
    return tensor.numpy().data.cast("B")


def resident(rows: RowFile, device: torch.device) -> Tensor:
    """Read a whole array onto a device, without a second copy in memory. Raises DatasetError."""
    try:
        with rows.open() as file:
            if device.type == "cpu":
                whole = rows.empty(rows.num)
                rows.read(file, 0, bytes_of(whole))
                return whole
            at_once = max(1, _BLOCK // rows.row_size)
            buffer = rows.empty(at_once)
            whole = torch.empty((rows.num, *rows.shape), dtype=buffer.dtype, device=device)
            for start in range(0, rows.num, at_once):
                part = buffer[: rows.num - start]
                rows.read(file, start, bytes_of(part))
                whole[start : start + len(part)].copy_(part)
            return whole
    except (OSError, EOFError) as error:
        raise rows.error(error) from error


def to_float(samples: Tensor) -> Tensor:
    """Scale uint8 0..255 to float32 [-1, 1]; leave floating-point samples as they are."""
    if samples.dtype != torch.uint8:
        return samples.float()
    return samples.float().mul_(2 / 255).sub_(1)


def to_uint8(images: Tensor) -> Tensor:
    """Round images in [-1, 1] half to even to bytes 0..255, as in a picture file; values outside are clamped."""
    return images.detach().float().add(1).mul(127.5).round().clamp(0, 255).byte()
