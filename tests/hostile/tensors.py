"""Weights folders whose safetensors files are broken."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from ganzoo.weights.tensors import MAX_HEADER_BYTES, deserialize, header_bytes, serialize
from tests.hostile.case import Case, Make, damaged, numbered, write
from tests.test_model import make_gan

MODEL, CONFIG = "gan/model.safetensors", "gan/config.json"


@functools.cache
def sound() -> Mapping[str, bytes]:
    """The files of a small model, by path."""
    with TemporaryDirectory() as folder:
        make_gan().save(folder)
        return {f"gan/{path.name}": path.read_bytes() for path in Path(folder).iterdir()}


def header() -> dict[str, Any]:
    """The header of the sound file."""
    content = sound()[MODEL]
    document: dict[str, Any] = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return document


def data() -> bytes:
    """The bytes of its tensors."""
    content = sound()[MODEL]
    return content[8 + int.from_bytes(content[:8], "little") :]


def verify(content: Callable[[], bytes]) -> Make:
    """Verify a folder with another model.safetensors."""

    def make(folder: Path) -> list[str]:
        write(folder, {**sound(), MODEL: content()})
        return ["verify", "./gan"]

    return make


def edited(edit: Callable[[dict[str, Any]], object], extra: bytes = b"") -> Make:
    """The sound file with another header; its tensors stay, and no digest says that anything changed."""

    def content() -> bytes:
        document = header()
        del document["__metadata__"]["ganzoo.data_sha256"]
        edit(document)
        return header_bytes(document) + data() + extra

    return verify(content)


def first(document: dict[str, Any]) -> dict[str, Any]:
    """The entry of the first tensor."""
    entry: dict[str, Any] = document[next(name for name in document if name != "__metadata__")]
    return entry


def rewritten(change: Callable[[dict[str, torch.Tensor]], object]) -> Make:
    """The sound tensors, changed and written as ganzoo writes them: every digest is right."""

    def content() -> bytes:
        tensors, metadata = deserialize(sound()[MODEL], "sound")
        change(tensors)
        return serialize(tensors, metadata)

    return verify(content)


def set_first(**values: object) -> Make:
    return edited(lambda document: first(document).update(values))


def filled(value: float) -> Make:
    return rewritten(lambda tensors: next(iter(tensors.values())).flatten()[:1].fill_(value))


def as_type(dtype: torch.dtype) -> Make:
    return rewritten(lambda tensors: tensors.update({name: one.to(dtype) for name, one in tensors.items()}))


def framed(text: bytes, size: int | None = None) -> Make:
    return verify(lambda: (len(text) if size is None else size).to_bytes(8, "little") + text)


def sparse(size: int, start: Callable[[], bytes] = lambda: b"") -> Make:
    """A file that states a size without taking it on disk."""

    def make(folder: Path) -> list[str]:
        write(folder, {**sound(), MODEL: start()})
        os.truncate(folder / MODEL, size)
        return ["verify", "./gan"]

    return make


def replaced_by(place: Callable[[Path], object], name: str = MODEL) -> Make:
    """Something else than a file in its place."""

    def make(folder: Path) -> list[str]:
        write(folder, sound())
        (folder / name).unlink()
        place(folder / name)
        return ["verify", "./gan"]

    return make


def discriminator(content: bytes) -> Make:
    def make(folder: Path) -> list[str]:
        write(folder, {**sound(), "gan/discriminator.safetensors": content})
        return ["verify", "./gan"]

    return make


def many_tensors(count: int) -> bytes:
    return json.dumps(
        {f"t{number}": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]} for number in range(count)}
    ).encode()


ESCAPES = "\x1b]0;owned\x07\x1b[2J\u202egnp.\u200b"
SPARSE_HEADER = header_bytes({"a": {"dtype": "U8", "shape": [8 << 30], "data_offsets": [0, 8 << 30]}})

CASES = [
    Case("sound", verify(lambda: sound()[MODEL]), "accepted", "model.safetensors"),
    Case("spaces-after-the-header", verify(lambda: serialize(*deserialize(sound()[MODEL], "sound"))), "accepted"),
    # --- not the format ---
    Case("empty", verify(lambda: b""), word="empty file"),
    Case("one-byte", verify(lambda: b"\0"), word="not safetensors"),
    Case("pickle", verify(lambda: b"\x80\x04cos\nsystem\n(S'touch owned'\ntR."), word="a pickle"),
    Case("zip", verify(lambda: b"PK\x03\x04" + bytes(100)), word="zip archive"),
    Case("web-page", verify(lambda: b"<!DOCTYPE html><html></html>"), word="web page"),
    Case("lfs-pointer", verify(lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"), word="Git LFS"),
    Case("zeros", verify(lambda: bytes(4096)), word="not safetensors"),
    Case("text", verify(lambda: b"hello " * 100), word="not safetensors"),
    # --- the header's frame ---
    Case("header-of-2-to-63-bytes", framed(b"{}", 1 << 63), word="not safetensors"),
    Case("header-of-2-to-64-bytes", framed(b"{}", (1 << 64) - 1), word="not safetensors"),
    Case("header-over-the-limit", framed(b"{" + bytes(100), MAX_HEADER_BYTES + 1), word="not safetensors"),
    Case("header-longer-than-the-file", framed(b"{}", 1000), word="truncated"),
    Case("header-is-a-list", framed(b"[]"), word="not safetensors"),
    Case("header-begins-with-a-space", framed(b" {}"), word="not safetensors"),
    Case("header-is-not-json", framed(b"{nonsense"), word="unreadable header"),
    Case("header-nested-5000-deep", framed(b"{" + b'"a":{' * 5000), word="unreadable header"),
    Case("header-nested-100000-lists", framed(b'{"a":' + b"[" * 100_000), word="unreadable header"),
    Case("header-not-utf-8", framed(b'{"\xff\xfe":1}'), word="unreadable header"),
    Case("header-utf-16", framed(b"{" + '"a":1}'.encode("utf-16-le")), word="unreadable header"),
    Case("header-with-a-number-of-10000-digits", framed(b'{"a":' + b"9" * 10_000 + b"}"), word="unreadable header"),
    Case("header-with-infinity", framed(b'{"a":Infinity}')),
    Case("header-empty", framed(b"{}"), word="not written by ganzoo"),
    Case("header-twice", verify(lambda: sound()[MODEL] + sound()[MODEL])),
    Case("20000-empty-tensors", framed(many_tensors(14_000))),
    # --- its entries ---
    Case("tensor-is-a-number", edited(lambda document: document.update(a=5))),
    Case("tensor-is-null", edited(lambda document: document.update(a=None))),
    Case("tensor-is-a-list", edited(lambda document: document.update(a=[1]))),
    Case("metadata-is-a-list", edited(lambda document: document.update(__metadata__=[])), word="not text"),
    Case("metadata-holds-a-number", edited(lambda document: document["__metadata__"].update(a=3)), word="not text"),
    Case("no-metadata", edited(lambda document: document.pop("__metadata__")), word="not written by ganzoo"),
    Case("no-dtype", edited(lambda document: first(document).pop("dtype"))),
    Case("no-shape", edited(lambda document: first(document).pop("shape"))),
    Case("no-offsets", edited(lambda document: first(document).pop("data_offsets"))),
    Case("offsets-empty", set_first(data_offsets=[])),
    Case("offsets-of-one", set_first(data_offsets=[0])),
    Case("offsets-of-three", set_first(data_offsets=[0, 4, 8])),
    Case("offsets-reversed", set_first(data_offsets=[8, 0])),
    Case("offsets-negative", set_first(data_offsets=[-4, 4])),
    Case("offsets-text", set_first(data_offsets=["0", "4"])),
    Case("offsets-fractions", set_first(data_offsets=[0.5, 4.5])),
    Case("offsets-infinite", set_first(data_offsets=[0, float("inf")])),
    Case("offsets-true", set_first(data_offsets=[False, True])),
    Case("offsets-a-table", set_first(data_offsets={"1": 4})),
    Case("offsets-beyond-the-file", set_first(data_offsets=[0, 1 << 40])),
    Case("offsets-beyond-64-bits", set_first(data_offsets=[0, 1 << 70])),
    Case(
        "offsets-overlap",
        edited(
            lambda document: [document[name].update(data_offsets=[0, 4]) for name in document if name != "__metadata__"]
        ),
    ),
    Case("shape-too-large", set_first(shape=[1 << 20, 1 << 20])),
    Case("shape-overflows", set_first(shape=[1 << 32, 1 << 32, 1 << 32])),
    Case("shape-negative", set_first(shape=[-8, -3])),
    Case("shape-text", set_first(shape="8,3")),
    Case("shape-of-1000-dimensions", set_first(shape=[1] * 1000)),
    Case("dtype-unknown", set_first(dtype="F7")),
    Case("dtype-a-number", set_first(dtype=7)),
    Case("dtype-of-another-size", set_first(dtype="F64")),
    Case("dtype-with-escapes", set_first(dtype=ESCAPES)),
    Case("unknown-key", set_first(code="import os")),
    Case("bytes-after-the-tensors", edited(lambda document: None, b"PK\x03\x04" + bytes(32))),
    Case("name-with-escapes", edited(lambda document: document.update({ESCAPES: first(document)}))),
    Case("name-of-500000-letters", edited(lambda document: document.update({"n" * 500_000: first(document)}))),
    Case(
        "name-twice",
        framed(
            b'{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}'
        ),
        word="twice",
    ),
    # --- right files of wrong tensors ---
    Case("nan", filled(float("nan")), word="NaN"),
    Case("infinite", filled(float("-inf")), word="NaN or infinite"),
    Case("float64", as_type(torch.float64), word="does not fit"),
    Case("float16", as_type(torch.float16), word="does not fit"),
    Case("complex", as_type(torch.complex64)),
    Case("bool", as_type(torch.bool), word="does not fit"),
    Case("int64", as_type(torch.int64), word="does not fit"),
    Case("tensor-missing", rewritten(lambda tensors: tensors.popitem()), word="is missing"),
    Case("tensor-too-many", rewritten(lambda tensors: tensors.update(more=torch.zeros(3))), word="not in the model"),
    Case(
        "tensor-with-escapes",
        rewritten(lambda tensors: tensors.update({ESCAPES: torch.zeros(3)})),
        word="not in the model",
    ),
    Case("tensor-name-of-100000-letters", rewritten(lambda tensors: tensors.update({"n" * 100_000: torch.zeros(3)}))),
    Case(
        "nan-in-a-tensor-of-100000-letters",
        rewritten(lambda tensors: tensors.update({"n" * 100_000: torch.tensor([float("nan")])})),
    ),
    Case(
        "tensor-transposed",
        rewritten(
            lambda tensors: tensors.update(
                {name: one.T.contiguous() for name, one in tensors.items() if one.dim() == 2}
            )
        ),
        word="does not fit",
    ),
    Case("no-tensors", rewritten(dict.clear), word="is missing"),
    # --- sizes and places ---
    Case("sparse-8-GB", sparse(8 << 30), word="not safetensors|File too large"),
    Case("sparse-8-GB-after-the-tensors", sparse(8 << 30, lambda: sound()[MODEL]), word="length"),
    Case("sparse-8-GB-of-one-tensor", sparse((8 << 30) + len(SPARSE_HEADER), lambda: SPARSE_HEADER)),
    Case("fifo", replaced_by(os.mkfifo), word="(?i)not a regular file"),
    Case("folder", replaced_by(Path.mkdir)),
    Case("link-to-dev-zero", replaced_by(lambda path: path.symlink_to("/dev/zero")), word="(?i)not a regular file"),
    Case("link-to-itself", replaced_by(lambda path: path.symlink_to(path.name))),
    Case("link-to-nothing", replaced_by(lambda path: path.symlink_to("nothing")), word="has no model.safetensors"),
    Case("no-permission", replaced_by(lambda path: (path.write_bytes(b"x"), path.chmod(0)))),
    # --- the discriminator ---
    Case("discriminator-empty", discriminator(b"")),
    Case("discriminator-pickle", discriminator(b"\x80\x04."), word="a pickle"),
    Case("discriminator-is-the-generator", discriminator(sound()[MODEL]), word="does not fit"),
    *numbered("damaged", 4, lambda seed: Case("", verify(lambda: damaged(sound()[MODEL], seed)))),
    *numbered("damaged-header", 6, lambda seed: Case("", verify(lambda: reframed(seed)))),
]


def reframed(seed: int) -> bytes:
    """The sound file with a damaged header of the right length, and no digests."""
    document = header()
    del document["__metadata__"]["ganzoo.data_sha256"]
    text = damaged(json.dumps(document).encode(), seed + 1000)
    return len(text).to_bytes(8, "little") + text + data()
