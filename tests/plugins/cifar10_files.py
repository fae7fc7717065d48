"""CIFAR-10's python version, made from the binary one: the bytes that Python 2's cPickle wrote for such a batch.

No Python 3 writes them: byte strings are BINSTRINGs (`U`, `T`), which protocol 2 of Python 3 no longer has.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RECORD = 1 + 3072

NAMES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")


def binary_batch(path: Path) -> tuple[NDArray[np.uint8], list[int]]:
    """Images [num, 3072] and labels of a .bin file."""
    records = np.frombuffer(path.read_bytes(), np.uint8).reshape(-1, RECORD)
    return records[:, 1:], records[:, 0].tolist()


def write_python_version(binary: Path, target: Path) -> Path:
    """Write every batch of a folder of .bin files as the python version has it."""
    target.mkdir(parents=True)
    for name in NAMES:
        pixels, labels = binary_batch(binary / f"{name}.bin")
        kind, _, number = name.rpartition("_")
        text = f"training batch {number} of 5" if kind == "data_batch" else "testing batch 1 of 1"
        (target / name).write_bytes(python_batch(text, pixels, labels))
    return target


def python_batch(batch_label: str, pixels: NDArray[np.uint8], labels: list[int]) -> bytes:
    """{batch_label, labels, data, filenames}, in protocol 2 of Python 2."""
    filenames = [f"image_s_{index:06}.png" for index in range(len(labels))]
    items = [
        *(b"U\x0bbatch_labelq\x02", _string(batch_label.encode()), b"q\x03"),
        *(b"U\x06labelsq\x04]q\x05(", *map(_integer, labels), b"e"),
        *(b"U\x04dataq\x06", array(pixels.shape, pixels.tobytes())),
        *(b"U\tfilenamesq\x0c]q\x0d(", *(_string(name.encode()) for name in filenames), b"e"),
    ]
    return b"".join([b"\x80\x02}q\x01(", *items, b"u."])


def array(shape: tuple[int, ...], values: bytes, *, code: bytes = b"u1", fortran: bool = False) -> bytes:
    """A numpy array: _reconstruct(ndarray, (0,), 'b'), then its state (1, shape, dtype, order, bytes)."""
    empty = b"cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85U\x01b\x87Rq\x09"
    sides = b"".join(map(_integer, shape)) + {1: b"\x85", 2: b"\x86", 3: b"\x87"}[len(shape)]
    dtype = b"cnumpy\ndtype\nq\n" + _string(code) + b"K\x00K\x01\x87Rq\x0b"
    dtype += b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    return empty + b"(K\x01" + sides + dtype + (b"\x88" if fortran else b"\x89") + _string(values) + b"tb"


def _integer(value: int) -> bytes:
    if 0 <= value < 1 << 8:
        return b"K" + struct.pack("<B", value)
    return b"M" + struct.pack("<H", value) if 0 <= value < 1 << 16 else b"J" + struct.pack("<i", value)


def _string(value: bytes) -> bytes:
    short = len(value) < 1 << 8
    return (b"U" + struct.pack("<B", len(value)) if short else b"T" + struct.pack("<i", len(value))) + value
