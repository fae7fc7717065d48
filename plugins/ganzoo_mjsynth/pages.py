"""The sizes of a parquet file's pages, read before anything is unpacked.

A page states what it unpacks to, up to 2 GB, and pyarrow takes that much memory at once. A column chunk is a sequence
of pages, each behind a header in Thrift's compact protocol (https://parquet.apache.org/docs/file-format/data-pages/).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

MAX_ELEMENTS = 10_000
"""No list in a page header is longer."""
MAX_DEPTH = 8
"""No structure in a page header is nested deeper."""

_UNPACKED, _PACKED = 2, 3
"""Fields of a page header: its page's sizes in bytes, without and with compression."""


def page_sizes(file: BinaryIO, start: int, length: int) -> Iterator[int]:
    """Yield what each page of a column chunk unpacks to, in bytes. Raises ValueError, OSError."""
    place, end = start, start + length
    while place < end:
        file.seek(place)
        header = _struct(file, 0)
        unpacked, packed = header.get(_UNPACKED, -1), header.get(_PACKED, -1)
        if unpacked < 0 or packed < 0:
            raise ValueError("a page header states no size")
        yield unpacked
        place = file.tell() + packed


def _struct(file: BinaryIO, depth: int) -> dict[int, int]:
    """Read a structure, and return its integers by the number of their field."""
    if depth > MAX_DEPTH:
        raise ValueError("a page header is nested too deeply")
    integers, field = {}, 0
    while (first := _byte(file)) != 0:  # the type in four bits, above it how much larger the number of the field is
        step, kind = divmod(first, 16)
        field = field + step if step else _integer(file)
        if kind in (4, 5, 6):
            integers[field] = _integer(file)
        elif kind > 2:  # 1 and 2 are true and false
            _skip(file, kind, depth)
    return integers


def _skip(file: BinaryIO, kind: int, depth: int) -> None:
    if kind in (1, 2, 3):  # true, false and bytes, as elements of a list
        _byte(file)
    elif kind in (4, 5, 6):
        _integer(file)
    elif kind == 7:  # a double
        file.seek(8, 1)
    elif kind == 8:  # bytes
        file.seek(_unsigned(file), 1)
    elif kind in (9, 10):  # a list or a set
        num, kind = divmod(_byte(file), 16)
        num = _unsigned(file) if num == 15 else num
        if num > MAX_ELEMENTS:
            raise ValueError(f"a page header holds a list of {num:,}")
        for _ in range(num):
            _skip(file, kind, depth + 1)
    elif kind == 12:
        _struct(file, depth + 1)
    else:
        raise ValueError("a page header is damaged")


def _byte(file: BinaryIO) -> int:
    read = file.read(1)
    if not read:
        raise ValueError("it breaks off in a page header")
    return read[0]


def _unsigned(file: BinaryIO) -> int:
    """Read seven bits of each byte, the lowest first; the eighth says that more follow."""
    value = 0
    for shift in range(0, 35, 7):
        byte = _byte(file)
        value |= (byte & 127) << shift
        if byte < 128:
            return value
    raise ValueError("a page header is damaged")


def _integer(file: BinaryIO) -> int:
    value = _unsigned(file)
    return value >> 1 if value % 2 == 0 else -(value >> 1) - 1
