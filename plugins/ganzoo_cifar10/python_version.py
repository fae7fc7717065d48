"""The python version's batches are pickles; this reads their numbers and runs nothing of theirs.

A pickle can call anything that it can name. Here it can name three things, which numpy arrays are made of, and each
of them is a record of what was said: no numpy code sees the file's bytes before their number is checked.
"""

from __future__ import annotations

import io
import pickle
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray


class _Array:
    """What a pickled numpy array says of itself."""

    def __init__(self, *_: object) -> None:
        self.state: tuple[Any, ...] = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state


class _Type:
    """What a pickled numpy dtype says of itself."""

    def __init__(self, code: bytes | str = b"", *_: object) -> None:
        self.code = code

    def __setstate__(self, state: object) -> None:
        """Byte order and flags; single bytes have none."""


def _reconstruct(*_: object) -> _Array:
    return _Array()


_NAMES: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Type,
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _NAMES:
            raise pickle.UnpicklingError(f"it names {f'{module}.{name}'!r:.60}")
        return _NAMES[module, name]


def read_arrays(content: bytes, width: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return a batch's `data` as uint8 [num, width] and its `labels` as int64 [num]. Raises ValueError."""
    try:
        batch = _Reader(io.BytesIO(content), encoding="bytes").load()
    except Exception as error:  # a damaged pickle raises nearly anything
        raise ValueError(str(error) or type(error).__name__) from error
    try:
        data, labels = batch[b"data"], batch[b"labels"]
        _, shape, dtype, fortran_order, values = data.state
        code = dtype.code
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ValueError("it holds no dictionary with an array `data` and a list `labels`") from error
    if code not in (b"u1", "u1") or not isinstance(values, bytes):
        raise ValueError("its pixels are no bytes")
    if not isinstance(labels, list) or not all(type(label) is int and 0 <= label < 256 for label in labels):
        raise ValueError("its labels are no list of small integers")
    if not labels or shape != (len(labels), width) or len(values) != len(labels) * width:
        raise ValueError(f"its pixels are {shape!r:.60} in {len(values):,} bytes, for {len(labels):,} labels")
    order: Literal["C", "F"] = "F" if fortran_order else "C"
    return np.frombuffer(values, np.uint8).reshape(len(labels), width, order=order), np.array(labels, np.int64)
