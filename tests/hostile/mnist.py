"""MNIST files: idx, raw and compressed."""

from __future__ import annotations

import bz2
import functools
import gzip
import os
import struct
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.conftest import DIGITS
from tests.hostile.case import Case, Make, damaged, numbered, write

IMAGES, LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"


@functools.cache
def sound() -> Mapping[str, bytes]:
    return {path.name: path.read_bytes() for path in DIGITS.iterdir()}


def pixels() -> bytes:
    return gzip.decompress(sound()[IMAGES])


def prepare(files: Callable[[], Mapping[str, bytes]]) -> Make:
    """Pack a folder in which some files are others."""

    def make(folder: Path) -> list[str]:
        contents = {**sound(), **files()}
        write(folder, {f"data/{name}": content for name, content in contents.items()})
        return ["data", "prepare", "mnist", "--data-dir", "data"]

    return make


def images(content: Callable[[], bytes]) -> Make:
    """Pack other images, compressed."""
    return prepare(lambda: {IMAGES: gzip.compress(content(), 1)})


def raw(content: Callable[[], bytes]) -> Make:
    """Pack other images, not compressed: such files are preferred."""
    names = IMAGES.removesuffix(".gz"), LABELS.removesuffix(".gz")
    return prepare(lambda: {names[0]: content(), names[1]: gzip.decompress(sound()[LABELS])})


def header(*shape: int, magic: bytes = b"\0\0\x08\x03") -> bytes:
    return magic + struct.pack(f">{len(shape)}I", *shape)


def labels(content: Callable[[], bytes]) -> Make:
    return prepare(lambda: {LABELS: gzip.compress(content())})


def bomb(size: int) -> bytes:
    """A gzip file that unpacks to zeros, behind a header of 256 images; a thousandth of their size."""
    return gzip.compress(header(256, 28, 28) + bytes(size), 9)


def special(place: Callable[[Path], object]) -> Make:
    def make(folder: Path) -> list[str]:
        arguments = prepare(dict)(folder)
        (folder / "data" / IMAGES).unlink()
        place(folder / "data" / IMAGES)
        return arguments

    return make


CASES = [
    Case("sound", prepare(dict), "accepted", "256"),
    Case("sound-raw", raw(pixels), "accepted", "256"),
    Case(
        "sound-two-gzip-members",
        prepare(lambda: {IMAGES: gzip.compress(pixels()[:1000]) + gzip.compress(pixels()[1000:])}),
        "accepted",
        "256",
    ),
    # --- the compression ---
    Case("empty", prepare(lambda: {IMAGES: b""}), word="not an idx file"),
    Case("not-gzip", prepare(lambda: {IMAGES: b"hello"}), word="cannot read"),
    Case("web-page", prepare(lambda: {IMAGES: b"<!DOCTYPE html>" * 100}), word="cannot read"),
    Case("bzip2", prepare(lambda: {IMAGES: bz2.compress(pixels())}), word="cannot read"),
    Case("gzip-cut-off", prepare(lambda: {IMAGES: sound()[IMAGES][:5000]}), word="cannot read"),
    Case("gzip-header-alone", prepare(lambda: {IMAGES: sound()[IMAGES][:10]}), word="cannot read"),
    Case("gzip-wrong-checksum", prepare(lambda: {IMAGES: sound()[IMAGES][:-8] + bytes(8)}), word="cannot read"),
    Case("gzip-trailing-text", prepare(lambda: {IMAGES: sound()[IMAGES] + b"hello"}), word="cannot read"),
    Case("gzip-twice", prepare(lambda: {IMAGES: gzip.compress(sound()[IMAGES])}), word="not an idx file"),
    Case("bomb-of-200-MB", prepare(lambda: {IMAGES: bomb(200 << 20)}), word="holds more"),
    Case(
        "bomb-of-400-members",
        prepare(lambda: {IMAGES: gzip.compress(header(256, 28, 28)) + gzip.compress(bytes(1 << 20)) * 4000}),
        word="holds more",
    ),
    Case("bomb-of-empty-members", prepare(lambda: {IMAGES: gzip.compress(b"") * 20_000}), word="not an idx file"),
    # --- the header ---
    Case("raw-empty", raw(lambda: b""), word="not an idx file"),
    Case("raw-three-bytes", raw(lambda: b"\0\0\x08"), word="not an idx file"),
    Case("raw-is-gzip", raw(lambda: sound()[IMAGES]), word="not an idx file"),
    Case(
        "floats",
        images(lambda: header(256, 28, 28, magic=b"\0\0\x0d\x03") + bytes(256 * 784 * 4)),
        word="not an idx file",
    ),
    Case("rank-2", images(lambda: header(256, 784, magic=b"\0\0\x08\x02") + bytes(256 * 784)), word="not an idx file"),
    Case("rank-255", images(lambda: b"\0\0\x08\xff" + bytes(2000)), word="not an idx file"),
    Case("first-byte", images(lambda: b"\1" + pixels()[1:]), word="not an idx file"),
    Case("labels-as-images", images(lambda: gzip.decompress(sound()[LABELS])), word="not an idx file"),
    Case("images-as-labels", labels(pixels), word="not an idx file"),
    Case("no-images", images(lambda: header(0, 28, 28)), word="256 labels"),
    Case("4-billion-images", images(lambda: header(0xFFFFFFFF, 28, 28)), word="more than 1,000,000"),
    Case("a-million-images", images(lambda: header(1_000_000, 28, 28) + bytes(784)), word="promises 784,000,000"),
    Case("huge-images", images(lambda: header(1, 65535, 65535)), word="not 28 × 28"),
    Case("overflowing-images", images(lambda: header(2, 0x80000000, 0x80000000)), word="not 28 × 28"),
    Case("images-of-no-pixels", images(lambda: header(256, 0, 0)), word="not 28 × 28"),
    Case("images-of-32-pixels", images(lambda: header(256, 32, 32) + bytes(256 * 1024)), word="not 28 × 28"),
    # --- the contents ---
    Case("one-byte-missing", images(lambda: pixels()[:-1]), word="holds"),
    Case("one-byte-more", images(lambda: pixels() + b"\0"), word="holds more"),
    Case("one-image-missing", images(lambda: header(255, 28, 28) + pixels()[16:-784]), word="255 images for 256"),
    Case("label-10", labels(lambda: header(256, magic=b"\0\0\x08\1") + b"\x0a" * 256), word="label"),
    Case("label-255", labels(lambda: header(256, magic=b"\0\0\x08\1") + b"\xff" * 256), word="label"),
    Case(
        "no-samples-at-all",
        prepare(
            lambda: {IMAGES: gzip.compress(header(0, 28, 28)), LABELS: gzip.compress(header(0, magic=b"\0\0\x08\1"))}
        ),
        word="not one sample",
    ),
    # --- places ---
    Case(
        "empty-folder",
        lambda folder: (folder.joinpath("data").mkdir(), ["data", "prepare", "mnist", "--data-dir", "data"])[1],
        word="no MNIST",
    ),
    Case("no-folder", lambda folder: ["data", "prepare", "mnist", "--data-dir", "nothing"]),
    Case(
        "folder-is-a-file",
        lambda folder: (folder.joinpath("data").touch(), ["data", "prepare", "mnist", "--data-dir", "data"])[1],
    ),
    Case("fifo", special(os.mkfifo), "accepted", "missing"),
    Case("link-to-dev-zero", special(lambda path: path.symlink_to("/dev/zero")), "accepted", "missing"),
    Case("sparse-8-GB", special(lambda path: (path.touch(), os.truncate(path, 8 << 30))), word="cannot read"),
    Case(
        "raw-sparse-8-GB",
        lambda folder: (
            raw(pixels)(folder),
            os.truncate(folder / "data" / IMAGES.removesuffix(".gz"), 8 << 30),
            ["data", "prepare", "mnist", "--data-dir", "data"],
        )[2],
        word="holds more",
    ),
    *numbered("damaged", 3, lambda seed: Case("", prepare(lambda: {IMAGES: damaged(sound()[IMAGES], seed)}), "either")),
    *numbered(
        "damaged-raw", 2, lambda seed: Case("", raw(lambda: damaged(pixels()[:16], seed) + pixels()[16:]), "either")
    ),
]
