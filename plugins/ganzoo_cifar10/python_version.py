"""Reads the numbers in the python version's batches, which are pickles, without running any of their code.

A pickle can call anything that it can name. Here it can name only the three things that numpy arrays are made of, and
each is replaced by a class that records its arguments. numpy sees the file's bytes only after their number is checked.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import re
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

MAX_OPCODES = 200_000
"""An official batch of 10,000 images has about 40,000."""
MAX_GAP = 1000
"""How far the number of a remembered object may be ahead of the objects that are remembered."""


class _Array:
    """The recorded state of a pickled numpy array."""

    def __init__(self, *_: object) -> None:
        self.state: tuple[Any, ...] = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state


class _Type:
    """The recorded code of a pickled numpy dtype."""

    def __init__(self, code: bytes | str = b"", *_: object) -> None:
        self.code = code

    def __setstate__(self, state: object) -> None:
        """Ignore byte order and flags, which single bytes do not have."""


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


def _check_opcodes(content: bytes) -> None:
    """Go through a pickle's opcodes without executing any, and refuse those for which Unpickler would take memory.

    It makes room for as many remembered objects as an opcode says, up to 64 GB; real pickles number them in order.
    Texts that are longer than the rest of the file are refused by genops itself. Raises ValueError.
    """
    remembered = 0
    for number, (opcode, argument, _) in enumerate(_opcodes(content)):
        if number > MAX_OPCODES:
            raise ValueError(f"it has more than {MAX_OPCODES:,} opcodes")
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT"):
            remembered += 1
            if not 0 <= argument <= remembered + MAX_GAP:
                raise ValueError(f"it remembers its object number {remembered} as {argument}")


def _opcodes(content: bytes) -> Iterator[tuple[pickletools.OpcodeInfo, Any, int | None]]:
    """Yield what genops does, with shorter reasons. Raises ValueError."""
    if not content:
        raise ValueError("Ran out of input")
    try:
        yield from pickletools.genops(content)
    except ValueError as error:
        cut_off = re.search("exhausted|remain|not enough data|no newline", str(error))
        raise ValueError("pickle data was truncated" if cut_off else str(error)) from error


def read_arrays(content: bytes, width: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return a batch's `data` as uint8 [num, width] and its `labels` as int64 [num]. Raises ValueError."""
    try:
        _check_opcodes(content)
        batch = _Reader(io.BytesIO(content), encoding="bytes").load()
    except Exception as error:  # a damaged pickle can raise almost anything
        raise ValueError(str(error) or type(error).__name__) from error
    try:
        data, labels = batch[b"data"], batch[b"labels"]
        _, shape, dtype, fortran_order, values = data.state
        code = dtype.code
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ValueError("it does not hold a dictionary with an array `data` and a list `labels`") from error
    if code not in (b"u1", "u1") or not isinstance(values, bytes):
        raise ValueError("its pixels are not bytes")
    if not isinstance(labels, list) or not all(type(label) is int and 0 <= label < 256 for label in labels):
        raise ValueError("its labels are not a list of small integers")
    if not labels or shape != (len(labels), width) or len(values) != len(labels) * width:
        raise ValueError(f"its pixels are {shape!r:.60} in {len(values):,} bytes, for {len(labels):,} labels")
    order: Literal["C", "F"] = "F" if fortran_order else "C"
    return np.frombuffer(values, np.uint8).reshape(len(labels), width, order=order), np.array(labels, np.int64)
