"""CIFAR-10 batches, in the binary version and in the python version, which are pickles."""

from __future__ import annotations

import functools
import io
import os
import pickle
import struct
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from tests.conftest import PHOTOGRAPHS
from tests.hostile.case import Case, Make, damaged, numbered, write
from tests.hostile.tensors import ESCAPES
from tests.plugins.cifar10_files import NAMES, RECORD, array, binary_batch, python_batch

BATCH = "data_batch_3"
COMMAND = ["data", "prepare", "cifar10", "--data-dir", "data"]


@functools.cache
def binary() -> Mapping[str, bytes]:
    folder = PHOTOGRAPHS / "cifar-10-batches-bin"
    return {f"data/cifar-10-batches-bin/{name}.bin": (folder / f"{name}.bin").read_bytes() for name in NAMES}


@functools.cache
def python() -> Mapping[str, bytes]:
    folder = PHOTOGRAPHS / "cifar-10-batches-bin"
    batches = {name: binary_batch(folder / f"{name}.bin") for name in NAMES}
    return {f"data/cifar-10-batches-py/{name}": python_batch(name, *batch) for name, batch in batches.items()}


def binary_with(content: Callable[[], bytes]) -> Make:
    return lambda folder: (write(folder, {**binary(), f"data/cifar-10-batches-bin/{BATCH}.bin": content()}), COMMAND)[1]


def python_with(content: Callable[[], bytes]) -> Make:
    return lambda folder: (write(folder, {**python(), f"data/cifar-10-batches-py/{BATCH}": content()}), COMMAND)[1]


def sound_binary() -> bytes:
    return binary()[f"data/cifar-10-batches-bin/{BATCH}.bin"]


def sound_python() -> bytes:
    return python()[f"data/cifar-10-batches-py/{BATCH}"]


def special(place: Callable[[Path], object]) -> Make:
    def make(folder: Path) -> list[str]:
        write(folder, binary())
        path = folder / f"data/cifar-10-batches-bin/{BATCH}.bin"
        path.unlink()
        place(path)
        return COMMAND

    return make


def table(data: bytes, labels: bytes = b"(K\x01K\x02l") -> bytes:
    """A pickled dictionary of `data` and `labels`, each a piece of pickle."""
    return b"\x80\x02(U\x06labels" + labels + b"U\x04data" + data + b"d."


def calling(module: str, name: str, argument: bytes = b"U\x0btouch owned") -> bytes:
    return table(f"c{module}\n{name}\n(".encode() + argument + b"tR")


def archive() -> bytes:
    """The official archive, which users have to unpack."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in python().items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


TWO = np.zeros((2, 3072), np.uint8).tobytes()
NOT_ONE = "not a batch of the python version"

CASES = [
    Case("sound", lambda folder: (write(folder, binary()), COMMAND)[1], "accepted", "40"),
    Case("python-sound", lambda folder: (write(folder, python()), COMMAND)[1], "accepted", "40"),
    # --- the binary version ---
    Case("empty", binary_with(lambda: b""), word="not whole images"),
    Case("one-byte-missing", binary_with(lambda: sound_binary()[:-1]), word="not whole images"),
    Case("one-byte-more", binary_with(lambda: sound_binary() + b"\0"), word="not whole images"),
    Case("one-image-missing", binary_with(lambda: sound_binary()[:-RECORD]), word="images"),
    Case("one-image-more", binary_with(lambda: sound_binary() + bytes(RECORD)), word="images"),
    Case("label-10", binary_with(lambda: b"\x0a" + sound_binary()[1:]), word="label outside"),
    Case("all-ones", binary_with(lambda: b"\xff" * len(sound_binary())), word="label outside"),
    Case("web-page", binary_with(lambda: b"<!DOCTYPE html>" * 100), word="not whole images"),
    Case("python-batch-in-the-binary-version", binary_with(sound_python), word="not whole images"),
    Case("archive", binary_with(archive), word="not whole images"),
    Case("sparse-8-GB", special(lambda path: (path.touch(), os.truncate(path, 8 << 30))), word="more than"),
    Case("fifo", special(os.mkfifo), word="lacks"),
    Case("folder", special(Path.mkdir), word="lacks"),
    Case("link-to-dev-zero", special(lambda path: path.symlink_to("/dev/zero")), word="lacks"),
    Case("link-to-itself", special(lambda path: path.symlink_to(path.name)), word="lacks"),
    Case("batch-missing", special(lambda path: None), word="lacks"),
    Case(
        "archive-alone",
        lambda folder: (write(folder, {"data/cifar-10-python.tar.gz": archive()}), COMMAND)[1],
        word="no CIFAR-10",
    ),
    # --- the python version: code ---
    Case("python-system", python_with(lambda: calling("os", "system")), word="names 'os.system'"),
    Case("python-posix", python_with(lambda: calling("posix", "system")), word="names 'posix.system'"),
    Case("python-eval", python_with(lambda: calling("__builtin__", "eval", b"U\x13open('owned', 'w')")), word="names"),
    Case(
        "python-codecs", python_with(lambda: calling("_codecs", "encode", b"X\x01\x00\x00\x00aU\x03rot")), word="names"
    ),
    Case("python-numpy-frombuffer", python_with(lambda: calling("numpy", "frombuffer")), word="names"),
    Case("python-numpy-load", python_with(lambda: calling("numpy", "load", b"U\x05owned")), word="names"),
    Case("python-numpy-scalar", python_with(lambda: calling("numpy.core.multiarray", "scalar")), word="names"),
    Case(
        "python-attribute-of-a-name",
        python_with(lambda: b"\x80\x04\x8c\x05numpy\x8c\x0fndarray.__class__\x93."),
        word=NOT_ONE,
    ),
    Case("python-escapes", python_with(lambda: calling(ESCAPES.replace("\n", ""), "x")), word=NOT_ONE),
    Case("python-name-of-100000-letters", python_with(lambda: calling("m" * 100_000, "x")), word="names"),
    Case("python-extension-registry", python_with(lambda: b"\x80\x02\x82\x01."), word=NOT_ONE),
    Case("python-persistent-id", python_with(lambda: b"\x80\x02U\x01aQ."), word=NOT_ONE),
    Case(
        "python-build-on-a-class", python_with(lambda: table(b"cnumpy\nndarray\n}U\x08__call__K\x01sb")), word=NOT_ONE
    ),
    Case("python-state-of-a-class", python_with(lambda: table(b"cnumpy\nndarray\n" + b"(K\x01tb")), word=NOT_ONE),
    # --- the python version: bombs ---
    Case("python-memo-of-4-billion", python_with(lambda: b"\x80\x02]r\xff\xff\xff\xff."), word=NOT_ONE),
    Case("python-memo-of-50-million", python_with(lambda: b"\x80\x02]r\x80\xf0\xfa\x02."), word="remembers"),
    Case("python-memo-in-text", python_with(lambda: b"\x80\x02]p50000000\n."), word="remembers"),
    Case(
        "python-frame-of-2-to-62",
        python_with(lambda: b"\x80\x04\x95" + (1 << 62).to_bytes(8, "little") + b"}."),
        word=NOT_ONE,
    ),
    Case("python-text-of-2-GB", python_with(lambda: table(b"T" + struct.pack("<i", 2**31 - 1) + b"a")), word=NOT_ONE),
    Case(
        "python-bytes-of-2-to-63",
        python_with(lambda: b"\x80\x04\x8e" + (2**63 - 1).to_bytes(8, "little") + b"a."),
        word=NOT_ONE,
    ),
    Case(
        "python-bytearray-of-8-GB",
        python_with(lambda: b"\x80\x05\x96" + (8 << 30).to_bytes(8, "little") + b"a."),
        word=NOT_ONE,
    ),
    Case(
        "python-integer-of-1-GB",
        python_with(lambda: b"\x80\x02\x8b" + struct.pack("<i", 2**30) + b"\x01."),
        word=NOT_ONE,
    ),
    Case(
        "python-nested-100000-deep",
        python_with(lambda: b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b"."),
        word=NOT_ONE,
    ),
    Case("python-nested-tuples", python_with(lambda: b"\x80\x02)" + b"\x85" * 100_000 + b"."), word=NOT_ONE),
    Case(
        "python-doubled-30-times",
        python_with(lambda: b"\x80\x02]q\0" + b"".join(b"](h%ch%ceq%c" % (n, n, n + 1) for n in range(30)) + b"."),
        word=NOT_ONE,
    ),
    Case("python-a-list-in-itself", python_with(lambda: b"\x80\x02]q\0h\0a."), word=NOT_ONE),
    Case("python-marks-alone", python_with(lambda: b"\x80\x02" + b"(" * 1_000_000 + b"."), word="opcodes"),
    # --- the python version: contents ---
    Case("python-empty", python_with(lambda: b""), word=NOT_ONE),
    Case("python-text", python_with(lambda: b"hello"), word=NOT_ONE),
    Case("python-a-number", python_with(lambda: b"\x80\x02K\x05."), word=NOT_ONE),
    Case("python-a-list", python_with(lambda: b"\x80\x02]."), word=NOT_ONE),
    Case("python-empty-table", python_with(lambda: b"\x80\x02}."), word=NOT_ONE),
    Case("python-cut-off", python_with(lambda: sound_python()[:-2]), word=NOT_ONE),
    Case("python-protocol-9", python_with(lambda: b"\x80\x09}."), word=NOT_ONE),
    Case("python-data-is-text", python_with(lambda: table(b"U\x03abc")), word=NOT_ONE),
    Case("python-data-is-none", python_with(lambda: table(b"N")), word=NOT_ONE),
    Case(
        "python-labels-are-text", python_with(lambda: table(array((2, 3072), TWO), b"U\x02ab")), word="labels are not"
    ),
    Case(
        "python-labels-are-huge",
        python_with(lambda: table(array((2, 3072), TWO), b"(K\x01\x8a\x09" + b"\x7f" * 9 + b"l")),
        word="labels are not",
    ),
    Case(
        "python-labels-are-negative",
        python_with(lambda: table(array((2, 3072), TWO), b"(K\x01J\xff\xff\xff\xffl")),
        word="labels are not",
    ),
    Case(
        "python-labels-are-true",
        python_with(lambda: table(array((2, 3072), TWO), b"(K\x01\x88l")),
        word="labels are not",
    ),
    Case(
        "python-labels-are-floats",
        python_with(lambda: table(array((2, 3072), TWO), b"(K\x01G" + bytes(8) + b"l")),
        word="labels are not",
    ),
    Case("python-no-labels", python_with(lambda: table(array((0, 3072), b""), b"]")), word="its pixels are"),
    Case(
        "python-three-labels",
        python_with(lambda: table(array((2, 3072), TWO), b"(K\x01K\x02K\x03l")),
        word="its pixels are",
    ),
    Case(
        "python-shape-larger-than-bytes", python_with(lambda: table(array((2, 3072), TWO[:-1]))), word="its pixels are"
    ),
    Case(
        "python-shape-of-2-to-31", python_with(lambda: table(array((2**31 - 1, 2**31 - 1), TWO))), word="its pixels are"
    ),
    Case("python-shape-negative", python_with(lambda: table(array((2, -3072), TWO))), word="its pixels are"),
    Case("python-floats", python_with(lambda: table(array((2, 3072), TWO, code=b"f4"))), word="not bytes"),
    Case("python-objects", python_with(lambda: table(array((2, 3072), TWO, code=b"O8"))), word="not bytes"),
    Case("python-another-size", python_with(lambda: table(array((2, 3072), TWO))), word="images"),
    Case("python-is-an-npy", python_with(lambda: b"\x93NUMPY\x01\x00"), word=NOT_ONE),
    Case("python-of-python-3", python_with(lambda: pickle.dumps({b"data": 1, b"labels": [1]})), word=NOT_ONE),
    *numbered("damaged-python", 4, lambda seed: Case("", python_with(lambda: damaged(sound_python(), seed)), "either")),
    *numbered(
        "damaged-python-table",
        4,
        lambda seed: Case("", python_with(lambda: damaged(table(array((2, 3072), TWO)), seed))),
    ),
]
