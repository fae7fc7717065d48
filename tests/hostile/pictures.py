"""Sample pictures of runs, which `ganzoo animate` reads."""

from __future__ import annotations

import functools
import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from tests.hostile.case import Case, Make, damaged, numbered, write


@functools.cache
def sound(mode: str = "L", size: tuple[int, int] = (60, 40), form: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, form, **options)
    return buffer.getvalue()


def animate(content: Callable[[], bytes], target: str = "run.gif") -> Make:
    """Animate a run whose second picture is another one."""

    def make(folder: Path) -> list[str]:
        pictures = (sound(), content(), sound())
        write(folder, {f"run/samples/step-{number:08d}.png": one for number, one in enumerate(pictures, start=1)})
        return ["animate", "run", "--out", target]

    return make


def special(place: Callable[[Path], object]) -> Make:
    def make(folder: Path) -> list[str]:
        arguments = animate(sound)(folder)
        path = folder / "run/samples/step-00000002.png"
        path.unlink()
        place(path)
        return arguments

    return make


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, data: bytes = b"", *, depth: int = 8, colour: int = 0, extra: bytes = b"") -> bytes:
    """A PNG of any stated size."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + extra + chunk(b"IDAT", zlib.compress(data, 9)) + chunk(b"IEND", b"")


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n(owned) (w) file closefile\nshowpage\n%%EOF\n"

CASES = [
    Case("sound", animate(sound), "accepted", "run.gif"),
    Case("rgb", animate(lambda: sound("RGB"), "run.webp"), "accepted", "run.webp"),
    Case("palette", animate(lambda: sound("P")), "accepted", "run.gif"),
    Case("transparent", animate(lambda: sound("RGBA")), "accepted", "run.gif"),
    Case("one-bit", animate(lambda: sound("1")), "accepted", "run.gif"),
    Case("16-bit", animate(lambda: sound("I;16")), "accepted", "run.gif"),
    Case("one-pixel", animate(lambda: sound("L", (1, 1))), "accepted", "run.gif"),
    Case("a-line", animate(lambda: sound("L", (1, 20_000))), "accepted", "run.gif"),
    # --- not PNG ---
    Case("empty", animate(lambda: b"")),
    Case("text", animate(lambda: b"hello")),
    Case("web-page", animate(lambda: b"<!DOCTYPE html>")),
    Case("svg", animate(lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>")),
    Case("eps", animate(lambda: EPS), word="cannot identify"),
    Case("gif", animate(lambda: sound(form="GIF")), word="cannot identify"),
    Case("jpeg", animate(lambda: sound(form="JPEG")), word="cannot identify"),
    Case("tiff", animate(lambda: sound(form="TIFF")), word="cannot identify"),
    Case("bmp", animate(lambda: sound(form="BMP")), word="cannot identify"),
    Case("signature-alone", animate(lambda: b"\x89PNG\r\n\x1a\n")),
    Case("no-data", animate(lambda: png(60, 40)[:33])),
    Case("cut-off", animate(lambda: sound()[:60])),
    # --- bombs ---
    Case("13000-pixels-square", animate(lambda: sound("L", (13_000, 13_000))), word="too many|exceeds"),
    Case("2-to-31-pixels-square", animate(lambda: png(2**31 - 1, 2**31 - 1)), word="too many|exceeds"),
    Case("wide", animate(lambda: png(2**31 - 1, 1)), word="too many|exceeds"),
    Case("high", animate(lambda: png(1, 2**31 - 1)), word="too many|exceeds"),
    Case("zero-wide", animate(lambda: png(0, 40))),
    Case("data-of-100-MB-for-60-pixels", animate(lambda: png(60, 40, bytes(100 << 20))), "accepted"),
    Case("data-of-1-byte-for-1000-pixels-square", animate(lambda: png(1000, 1000, b"\0"))),
    Case(
        "text-that-unpacks-to-200-MB",
        animate(lambda: png(60, 40, bytes(61 * 40), extra=chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(200 << 20))))),
    ),
    Case(
        "profile-that-unpacks-to-200-MB",
        animate(lambda: png(60, 40, bytes(61 * 40), extra=chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(200 << 20))))),
    ),
    Case(
        "20000-texts", animate(lambda: png(60, 40, bytes(61 * 40), extra=chunk(b"tEXt", b"a\0b") * 20_000)), "accepted"
    ),
    Case(
        "100000-frames",
        animate(lambda: png(60, 40, bytes(61 * 40), extra=chunk(b"acTL", struct.pack(">II", 100_000, 0)))),
        "accepted",
    ),
    Case("wrong-checksum", animate(lambda: sound().replace(b"IDAT", b"IDAU"))),
    Case("depth-3", animate(lambda: png(60, 40, bytes(61 * 40), depth=3))),
    Case("colour-7", animate(lambda: png(60, 40, bytes(61 * 40), colour=7))),
    Case("palette-missing", animate(lambda: png(60, 40, bytes(61 * 40), colour=3)), "either"),
    # --- places ---
    Case("fifo", special(os.mkfifo), word="(?i)not a regular file"),
    Case("folder", special(Path.mkdir), word="damaged"),
    Case("link-to-dev-zero", special(lambda path: path.symlink_to("/dev/zero")), word="(?i)not a regular file"),
    Case("link-to-nothing", special(lambda path: path.symlink_to("nothing")), word="damaged"),
    Case(
        "sparse-8-GB", special(lambda path: (path.write_bytes(sound()), os.truncate(path, 8 << 30))), word="too large"
    ),
    Case(
        "no-pictures",
        lambda folder: (folder.joinpath("run").mkdir(), ["animate", "run", "--out", "run.gif"])[1],
        word="no sample pictures",
    ),
    Case(
        "a-step-of-240-digits",
        lambda folder: (
            write(folder, {"run/samples/step-" + "9" * 240 + ".png": sound()}),
            ["animate", "run", "--out", "run.gif"],
        )[1],
        "accepted",
    ),
    *numbered("damaged", 4, lambda seed: Case("", animate(lambda: damaged(sound("RGB", (90, 70)), seed)), "either")),
]
