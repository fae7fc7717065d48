"""Checkpoints of other programs (`ganzoo import`): pickles, zip archives, and what is called .pth."""

from __future__ import annotations

import functools
import io
import os
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ganzoo.specs import LatentSpec, SampleSpec
from ganzoo.weights.building import build, generator_builder
from ganzoo.weights.model_config import ModelConfig
from tests.hostile.case import Case, Make, damaged, numbered, write
from tests.hostile.tensors import ESCAPES, SPARSE_HEADER

OPTIONS = [
    *("--architecture", "mlp", "--set", "dataset=mnist", "--set", "latent.dim=3"),
    *("--set", "config.generator_hidden=[8]", "--set", "config.discriminator_hidden=[8]", "--out", "converted"),
]


@functools.cache
def sound() -> OrderedDict[str, torch.Tensor]:
    """The tensors of a generator that fits the options."""
    config = ModelConfig(
        recipe="mlp-import",
        architecture="mlp",
        config={"generator_hidden": [8], "discriminator_hidden": [8]},
        dataset="mnist",
        latent=LatentSpec(dim=3),
        sample=SampleSpec(kind="image", shape=(1, 28, 28)),
    )
    return OrderedDict(build(generator_builder(config, "test"), seed=0).state_dict())


def saved(content: Any, *, as_zip: bool = True) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=as_zip)
    return buffer.getvalue()


def imported(content: bytes | Callable[[], bytes], name: str = "g.pth", *more: str) -> Make:
    def make(folder: Path) -> list[str]:
        write(folder, {name: content if isinstance(content, bytes) else content()})
        return ["import", name, *OPTIONS, *more]

    return make


def holding(content: Callable[[], Any]) -> Make:
    return imported(lambda: saved(content()))


def changed(change: Callable[[OrderedDict[str, torch.Tensor]], object]) -> Make:
    """The sound tensors after a change."""

    def content() -> bytes:
        tensors = OrderedDict((name, tensor.clone()) for name, tensor in sound().items())
        change(tensors)
        return saved(tensors)

    return imported(content)


def converted(convert: Callable[[torch.Tensor], torch.Tensor]) -> Make:
    return changed(lambda tensors: tensors.update({name: convert(tensor) for name, tensor in tensors.items()}))


def repacked(edit: Callable[[str, bytes], tuple[str, bytes]], compression: int = zipfile.ZIP_STORED) -> Make:
    """The sound archive with other members."""

    def content() -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(saved(sound()))) as before, zipfile.ZipFile(buffer, "w", compression) as after:
            for name in before.namelist():
                new, data = edit(name, before.read(name))
                after.writestr(new, data)
        return buffer.getvalue()

    return imported(content)


def bomb() -> bytes:
    """Some 300 kB that unpack to 300 MB of zeros, called a tensor's storage."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("g/data.pkl", b"\x80\x02}.")
        archive.writestr("g/version", b"3")
        with archive.open("g/data/0", "w", force_zip64=True) as member:
            for _ in range(300):
                member.write(bytes(1 << 20))
    return buffer.getvalue()


def one_text() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("readme.txt", b"hello")
    return buffer.getvalue()


def zip_that_lies(size: int) -> bytes:
    """An archive whose directory states another size of every member than it has."""
    content = bytearray(saved(sound()))
    place = content.find(b"PK\x01\x02")
    while place >= 0:
        content[place + 24 : place + 28] = size.to_bytes(4, "little")
        place = content.find(b"PK\x01\x02", place + 4)
    return bytes(content)


class Calls:
    """What a malicious pickle holds: a call."""

    def __init__(self, function: Callable[..., Any], *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


def itself() -> dict[str, Any]:
    table: dict[str, Any] = {}
    table["state_dict"] = table
    return table


def deep(depth: int) -> bytes:
    return b"\x80\x02" + b"]" * depth + b"a" * (depth - 1) + b"."


def sparse(size: int, name: str = "g.pth", start: bytes = b"") -> Make:
    def make(folder: Path) -> list[str]:
        write(folder, {name: start})
        os.truncate(folder / name, size)
        return ["import", name, *OPTIONS]

    return make


def special(place: Callable[[Path], object], name: str = "g.pth") -> Make:
    def make(folder: Path) -> list[str]:
        place(folder / name)
        return ["import", name, *OPTIONS]

    return make


def first(tensors: OrderedDict[str, torch.Tensor]) -> torch.Tensor:
    return next(iter(tensors.values()))


def renamed(prefix: str) -> Make:
    return holding(lambda: OrderedDict((prefix + name, tensor) for name, tensor in sound().items()))


CASES = [
    Case("sound", holding(sound), "accepted", "converted"),
    Case("old-format", imported(lambda: saved(sound(), as_zip=False)), "accepted", "converted"),
    Case("float64", converted(torch.Tensor.double), "accepted", "converted"),
    Case("inside-a-checkpoint", holding(lambda: {"netG": sound(), "epoch": 3}), "accepted", "converted"),
    Case("escapes-in-all-names", renamed(ESCAPES), "accepted", "converted"),
    # --- not the format ---
    Case("empty", imported(b"")),
    Case("text", imported(b"hello " * 50)),
    Case("web-page", imported(b"<!DOCTYPE html><html></html>")),
    Case("zip-magic-alone", imported(b"PK\x03\x04" + bytes(50))),
    Case("empty-zip", imported(b"PK\x05\x06" + bytes(18))),
    Case("zip-of-one-text", imported(one_text)),
    Case("hdf5", imported(b"\x89HDF\r\n\x1a\n" + bytes(200))),
    Case("onnx", imported(b"\x08\x07\x12\x07pytorch" + bytes(200))),
    Case("npz", repacked(lambda name, data: (name.rpartition("/")[2] + ".npy", data))),
    Case("numpy", imported(b"\x93NUMPY\x01\x00v\x00{'descr': '|O'}" + bytes(100))),
    Case("pickle-of-a-number", imported(b"\x80\x04K\x05.")),
    Case("pickle-cut-off", imported(lambda: pickle.dumps({"a": [1, 2, 3]})[:-3])),
    # --- code ---
    Case("system", holding(lambda: Calls(os.system, "touch owned")), word="more than tensors|is damaged"),
    Case("eval", holding(lambda: {**sound(), "hook": Calls(eval, "open('owned', 'w')")})),
    Case("open", holding(lambda: Calls(open, "owned", "w"))),
    Case("getattr", imported(b"\x80\x02cbuiltins\ngetattr\ncos\nsystem\nX\x04\x00\x00\x00name\x86R.")),
    Case("system-protocol-0", imported(b"cos\nsystem\n(S'touch owned'\ntR.")),
    Case("subprocess", imported(b"\x80\x02csubprocess\nPopen\n]X\x05\x00\x00\x00touchaX\x05\x00\x00\x00owneda\x85R.")),
    Case("torch-load", imported(b"\x80\x02ctorch.serialization\nload\nX\x05\x00\x00\x00g.pth\x85R.")),
    Case("whole-module", holding(lambda: torch.nn.Linear(3, 3)), word="more than tensors"),
    Case("numpy-array", holding(lambda: {"a": __import__("numpy").zeros(3)})),
    # --- bombs ---
    Case("deflated-bomb", imported(bomb), word="compressed"),
    Case("deflated", repacked(lambda name, data: (name, data), zipfile.ZIP_DEFLATED), word="compressed"),
    Case("bzip2", repacked(lambda name, data: (name, data), zipfile.ZIP_BZIP2), word="compressed"),
    Case("members-that-claim-4-GB", imported(lambda: zip_that_lies(0xFFFFFFF0))),
    Case("members-that-claim-nothing", imported(lambda: zip_that_lies(0))),
    Case("memo-of-4-billion", imported(b"\x80\x02]r\xff\xff\xff\xff.")),
    Case("frame-of-2-to-62", imported(b"\x80\x04\x95" + (1 << 62).to_bytes(8, "little") + b"}.")),
    Case("text-of-2-GB", imported(b"\x80\x02X" + (2**31 - 1).to_bytes(4, "little") + b"a.")),
    Case("integer-of-1-GB", imported(b"\x80\x02\x8b" + (2**30).to_bytes(4, "little") + b"\x01.")),
    Case("nested-100000-deep", imported(deep(100_000))),
    Case("sparse-8-GB", sparse(8 << 30)),
    Case("sparse-8-GB-zip", sparse(8 << 30, start=b"PK\x03\x04")),
    Case(
        "safetensors-sparse-8-GB",
        sparse((8 << 30) + len(SPARSE_HEADER), "g.safetensors", SPARSE_HEADER),
        word="too large",
    ),
    Case("safetensors-empty", imported(b"", "g.safetensors"), word="empty file"),
    Case("safetensors-a-pickle", imported(b"\x80\x02}.", "g.safetensors"), word="a pickle"),
    # --- other contents ---
    Case("a-number", holding(lambda: 3)),
    Case("a-list", holding(lambda: [torch.zeros(3)])),
    Case("an-empty-table", holding(dict)),
    Case("itself", holding(itself)),
    Case("integer-names", holding(lambda: {1: torch.zeros(3)})),
    Case("sparse-tensor", holding(lambda: {"a": torch.eye(3).to_sparse()})),
    Case("meta-tensors", converted(lambda tensor: tensor.to("meta"))),
    Case("a-storage", holding(lambda: {"a": torch.ones(3).untyped_storage()})),
    Case("complex", converted(lambda tensor: tensor.to(torch.complex64))),
    Case("integers", converted(lambda tensor: tensor.to(torch.int64))),
    Case("nan", changed(lambda tensors: first(tensors).flatten()[:1].fill_(float("nan"))), word="NaN"),
    Case("infinite", changed(lambda tensors: first(tensors).fill_(float("inf"))), word="infinite"),
    Case("too-large-for-float32", converted(lambda tensor: tensor.double() + 1e300), word="too large"),
    Case("one-missing", changed(lambda tensors: tensors.popitem()), word="does not fit"),
    Case("one-more", changed(lambda tensors: tensors.update(more=torch.zeros(2))), word="does not fit"),
    Case("flat", converted(torch.Tensor.flatten), word="does not fit"),
    Case("name-of-a-million-letters", changed(lambda tensors: tensors.update({"n" * 1_000_000: torch.zeros(2)}))),
    Case("names-with-escapes", holding(lambda: {ESCAPES: torch.zeros(3), f"{ESCAPES}.b": torch.zeros(2)})),
    Case("keys-with-escapes", holding(lambda: {ESCAPES * 500: 3})),
    Case("1000-tensors", holding(lambda: {f"layer{number}.weight": torch.zeros(1) for number in range(1000)})),
    Case("expanded-view-of-one-number", changed(lambda tensors: tensors.update(more=torch.zeros(1).expand(1 << 40)))),
    Case("all-expanded-to-2-to-40", converted(lambda tensor: torch.zeros(1).expand(1 << 40)), word="does not fit"),
    # --- places ---
    Case("no-such-file", lambda folder: ["import", "nothing.pth", *OPTIONS]),
    Case("fifo", special(os.mkfifo)),
    Case("folder", special(Path.mkdir)),
    Case("link-to-dev-zero", special(lambda path: path.symlink_to("/dev/zero"))),
    Case("link-to-dev-zero-safetensors", special(lambda path: path.symlink_to("/dev/zero"), "g.safetensors")),
    *numbered("damaged", 4, lambda seed: Case("", imported(lambda: damaged(saved(sound()), seed)), "either")),
    *numbered(
        "damaged-pickle",
        4,
        lambda seed: Case("", imported(lambda: damaged(saved(sound(), as_zip=False), seed)), "either"),
    ),
]
