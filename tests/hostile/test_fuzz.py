"""Readers against what hypothesis makes up: each returns a value or raises a GanzooError, and never anything else."""

from __future__ import annotations

import contextlib
import copy
import gzip
import json
import resource
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ganzoo.errors import GanzooError
from ganzoo.model import gan_from_bytes
from ganzoo.sources import location
from ganzoo.weights.manifest import read_manifest
from ganzoo.weights.model_config import parse_training_record
from ganzoo.weights.references import FolderReference, parse_reference
from ganzoo.weights.tensors import check_frame, deserialize
from ganzoo_cifar10 import CIFAR10
from ganzoo_mnist import MNIST
from tests.hostile import cifar10, configs, manifests, mnist, tensors
from tests.hostile.sandbox import MEMORY

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits of address space are Linux's")

LARGE = st.sampled_from([1 << 31, 1 << 32, 1 << 63, 1 << 64, 10**400, -1, 0])
SCALARS = st.none() | st.booleans() | st.integers() | LARGE | st.floats() | st.text(max_size=20)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def places(document: Any) -> list[tuple[Any, Any]]:
    """Every table or list inside a document, with each of its keys."""
    if not isinstance(document, dict | list):
        return []
    keys = list(document) if isinstance(document, dict) else range(len(document))
    return [place for key in keys for place in [(document, key), *places(document[key])]]


@st.composite
def edited(draw: st.DrawFn, document: Any) -> Any:
    """A document in which a few values are others, missing, or added."""
    document = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        found = places(document)
        if not found:
            break
        table, key = draw(st.sampled_from(found))
        action = draw(st.sampled_from(["replace", "replace", "replace", "delete", "add"]))
        if action == "delete":
            del table[key]
        elif action == "replace":
            table[key] = draw(VALUES)
        elif isinstance(table, dict):
            table[draw(st.text(max_size=8))] = draw(VALUES)
        else:
            table.insert(key, draw(VALUES))
    return document


@contextlib.contextmanager
def only_our_errors() -> Iterator[None]:
    """Nothing but a GanzooError is raised, and it is one line and a hint."""
    errors = []
    try:
        yield
    except GanzooError as error:
        errors.append(error)
    for error in errors:
        assert "\n" not in str(error)
        assert len(str(error)) < 400
        assert error.hint


@pytest.fixture(scope="module", autouse=True)
def limited_memory() -> Iterator[None]:
    """A file for which a reader takes 2 GB fails its test, and leaves the machine's other programs alone."""
    limits = resource.getrlimit(resource.RLIMIT_AS)
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, limits)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


def read_tensors(folder: Path, content: bytes) -> None:
    (folder / "model.safetensors").write_bytes(content)
    for read in (lambda: deserialize(content, "x"), lambda: check_frame(folder / "model.safetensors")):
        with only_our_errors():
            read()


@given(header=edited(tensors.header()), more=st.binary(max_size=16))
def test_a_safetensors_header(folder: Path, header: Any, more: bytes) -> None:
    if isinstance(header.get("__metadata__"), dict):
        header["__metadata__"].pop("ganzoo.data_sha256", None)
    text = json.dumps(header).encode()
    read_tensors(folder, len(text).to_bytes(8, "little") + text + tensors.data() + more)


@given(length=st.integers(0, 60) | st.integers(0, (1 << 64) - 1), content=st.binary(max_size=60))
@example(length=2, content=b"{}")
def test_a_safetensors_frame(folder: Path, length: int, content: bytes) -> None:
    read_tensors(folder, length.to_bytes(8, "little") + content)
    read_tensors(folder, length.to_bytes(8, "little") + b"{" + content)


@given(document=edited(json.loads(tensors.sound()[tensors.CONFIG])))
def test_a_config(document: Any) -> None:
    files = configs.folder_with(json.dumps(document).encode())
    with only_our_errors():
        gan_from_bytes(files[tensors.CONFIG], files[tensors.MODEL], "x")


@given(content=st.binary(max_size=80) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_a_config_of_nonsense(content: bytes) -> None:
    with only_our_errors():
        gan_from_bytes(content, b"", "x")
    with only_our_errors():
        parse_training_record(content, "x")


@given(record=edited(configs.RECORD))
def test_a_training_record(record: Any) -> None:
    with only_our_errors():
        parse_training_record(json.dumps(record).encode(), "x")


@given(document=edited({"schema": 1, "entries": [manifests.entry(), manifests.entry(name="others")]}))
def test_a_manifest(folder: Path, document: Any) -> None:
    path = folder / "weights_manifest.json"
    path.write_text(json.dumps(document))
    with only_our_errors():
        problems: list[Any] = []
        for entry in read_manifest(path, "theirs 1.0", problems):
            location(entry)
        assert len(problems) <= 1


PIECES = st.sampled_from(["hf:", "a", "b/", "@", "v1", "..", "~", "/", "-", "//", "\n", "\0", " ", "main", "\x1b[2J"])


@given(text=st.text(max_size=40) | st.lists(PIECES, max_size=8).map("".join))
@example(text="~\0")
def test_a_reference(text: str) -> None:
    with only_our_errors():
        parsed = parse_reference(text)
        if not isinstance(parsed, FolderReference):
            assert parse_reference(str(parsed)) == parsed


SIZES = st.sampled_from([0, 1, 2, 27, 28, 29, 256, 65535, 0x7FFFFFFF, 0xFFFFFFFF]) | st.integers(0, 0xFFFFFFFF)


def read_digits(folder: Path, name: str, content: bytes) -> None:
    for old in folder.glob("*ubyte*"):
        old.unlink()
    (folder / name).write_bytes(content)
    labels = gzip.compress(mnist.header(2, magic=b"\0\0\x08\x01") + b"\1\2", 1)
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(labels)
    with only_our_errors():
        MNIST.load(folder, "train", False)


@given(
    magic=st.sampled_from([b"\0\0\x08\x03"] * 3 + [b"\0\0\x08\x01", b"\0\0\x0d\x03"]) | st.binary(max_size=5),
    sizes=st.lists(SIZES, max_size=4) | st.just([2, 28, 28]),
    num_bytes=st.sampled_from([0, 1, 784, 2 * 784, 2 * 784 + 1]),
)
def test_an_idx_file(folder: Path, magic: bytes, sizes: list[int], num_bytes: int) -> None:
    content = magic + struct.pack(f">{len(sizes)}I", *sizes) + bytes(num_bytes)
    read_digits(folder, "train-images-idx3-ubyte", content)
    read_digits(folder, "train-images-idx3-ubyte.gz", gzip.compress(content, 1))


@given(place=st.integers(0, 60), piece=st.binary(max_size=6), cut=st.integers(0, 60))
def test_a_compressed_idx_file(folder: Path, place: int, piece: bytes, cut: int) -> None:
    content = bytearray(gzip.compress(mnist.header(2, 28, 28) + bytes(2 * 784)))
    content[place : place + len(piece)] = piece
    read_digits(folder, "train-images-idx3-ubyte.gz", bytes(content[: len(content) - cut]))


CODES = b"(.012FINJLMKRQGUTXVabcdeghijlopqrstu}])"
CODES_OF_PROTOCOLS_2_TO_5 = bytes(range(0x80, 0x97))
OPCODES = st.sampled_from(
    [
        *(bytes([code]) for code in CODES + CODES_OF_PROTOCOLS_2_TO_5),
        *(b"U\x04data", b"U\x06labels", b"(K\x01K\x02l", b"K\x00", b"q\x00", b"h\x00", b"cos\nsystem\n"),
        *(b"cnumpy\nndarray\n", b"cnumpy\ndtype\n", b"cnumpy.core.multiarray\n_reconstruct\n"),
        cifar10.array((2, 3072), cifar10.TWO),
    ]
)


def read_photographs(folder: Path, name: str, content: bytes) -> None:
    for old in folder.glob("test_batch*"):
        old.unlink()
    (folder / name).write_bytes(content)
    with only_our_errors():
        CIFAR10.load(folder, "test", False)


@given(opcodes=st.lists(OPCODES | st.binary(max_size=4), max_size=20))
def test_a_cifar_pickle_of_any_opcodes(folder: Path, opcodes: list[bytes]) -> None:
    read_photographs(folder, "test_batch", b"\x80\x02" + b"".join(opcodes) + b".")


@given(
    place=st.integers(0, 400), length=st.integers(0, 8), pieces=st.lists(OPCODES | st.binary(max_size=4), max_size=3)
)
def test_a_cifar_pickle_with_other_opcodes(folder: Path, place: int, length: int, pieces: list[bytes]) -> None:
    content = cifar10.table(cifar10.array((2, 3072), cifar10.TWO))
    place %= 220  # the pixels that follow are not opcodes
    read_photographs(folder, "test_batch", content[:place] + b"".join(pieces) + content[place + length :])


@given(
    content=st.binary(max_size=40) | st.integers(0, 3).map(lambda num: bytes(3073 * num)), more=st.binary(max_size=2)
)
def test_a_cifar_binary_batch(folder: Path, content: bytes, more: bytes) -> None:
    read_photographs(folder, "test_batch.bin", content + more)
