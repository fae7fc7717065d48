"""MJSynth in its four layouts: the official folder, LMDB, WebDataset tars and parquet."""

from __future__ import annotations

import functools
import io
import os
import struct
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import lmdb
import pyarrow as pa
import pyarrow.parquet as pq

from tests.hostile.case import Case, Make, damaged, numbered, write
from tests.hostile.pictures import EPS, png
from tests.hostile.pictures import sound as picture
from tests.hostile.tensors import ESCAPES

COMMAND = ["data", "prepare", "mjsynth", "--data-dir", "data", "--workers", "1"]
LIST = "data/annotation_train.txt"
NONE = "not one sample"


def image() -> bytes:
    return picture("L", (40, 32), "JPEG")


def prepared(files: Callable[[], Mapping[str, bytes]]) -> Make:
    return lambda folder: (write(folder, files()), COMMAND)[1]


# --- the official folder ---


def official(lines: bytes = b"./1/1_word_2.jpg 2\n", content: Callable[[], bytes] = image) -> Make:
    return prepared(lambda: {LIST: lines, "data/1/1_word_2.jpg": content()})


def official_special(place: Callable[[Path], object], name: str = "data/1/1_word_2.jpg") -> Make:
    def make(folder: Path) -> list[str]:
        official()(folder)
        (folder / name).unlink()
        place(folder / name)
        return COMMAND

    return make


# --- tars ---


def tar(
    members: Mapping[str, bytes] | Callable[[], Mapping[str, bytes]], edit: Callable[[bytes], bytes] = bytes
) -> Make:
    def content() -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for name, data in (members() if callable(members) else members).items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
        return edit(buffer.getvalue())

    return prepared(lambda: {"data/mjsynth-train-000000.tar": content()})


def sound_members() -> dict[str, bytes]:
    return {"a/1.jpg": image(), "a/1.txt": b"word", "a/2.png": picture(), "a/2.json": b'{"text": "two"}'}


def header(name: bytes = b"a/1.jpg", size: bytes = b"00000000004\0", kind: bytes = b"0", link: bytes = b"") -> bytes:
    """The 512 bytes before a member, with a right checksum."""
    block = bytearray(512)
    block[: len(name)] = name
    block[100:136] = b"0000644\x000000000\x000000000\0" + size
    block[136:148], block[148:156], block[156:157] = b"00000000000\0", b" " * 8, kind
    block[157 : 157 + len(link)] = link
    block[257:265] = b"ustar\x0000"
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def raw_tar(content: bytes) -> Make:
    return prepared(lambda: {"data/mjsynth-train-000000.tar": content + bytes(1024)})


def record(text: bytes) -> bytes:
    """A line of a pax header."""
    length = len(text) + 2
    while len(b"%d %s\n" % (length, text)) != length:
        length += 1
    return b"%d %s\n" % (length, text)


def pax(*texts: bytes) -> bytes:
    data = b"".join(map(record, texts))
    return header(b"pax", b"%011o\0" % len(data), b"x") + data.ljust(-(-len(data) // 512) * 512, b"\0")


# --- LMDB ---


@functools.cache
def database(*pairs: tuple[bytes, bytes]) -> bytes:
    with TemporaryDirectory() as folder:
        with lmdb.open(folder, map_size=8 << 20) as environment, environment.begin(write=True) as transaction:
            for key, value in pairs:
                transaction.put(key, value)
        return (Path(folder) / "data.mdb").read_bytes()


def lmdb_with(*pairs: tuple[bytes, bytes], edit: Callable[[bytes], bytes] = bytes) -> Make:
    return prepared(lambda: {"data/train/data.mdb": edit(database(*pairs))})


def word(number: int = 1) -> tuple[tuple[bytes, bytes], ...]:
    return (b"image-%09d" % number, image()), (b"label-%09d" % number, b"word")


ONE = (b"num-samples", b"1")


def meta(content: bytes, offset: int, value: bytes) -> bytes:
    """Both meta pages of a database with other bytes at an offset behind the page header (16 bytes)."""
    result = bytearray(content)
    for page in (0, 4096):
        result[page + 16 + offset : page + 16 + offset + len(value)] = value
    return bytes(result)


# --- parquet ---


def parquet(columns: Callable[[], Mapping[str, Any]], edit: Callable[[bytes], bytes] = bytes, **options: Any) -> Make:
    def content() -> bytes:
        buffer = io.BytesIO()
        pq.write_table(pa.table(dict(columns())), buffer, **options)
        return edit(buffer.getvalue())

    return prepared(lambda: {"data/train-00000-of-00001.parquet": content()})


def rows(num: int = 3) -> dict[str, Any]:
    return {"image": pa.array([image()] * num, pa.binary()), "label": pa.array(["word"] * num)}


CASES = [
    Case("official-sound", official(), "accepted", "train"),
    Case("tar-sound", tar(sound_members), "accepted", "train"),
    Case("lmdb-sound", lmdb_with(ONE, *word()), "accepted", "train"),
    Case("parquet-sound", parquet(rows), "accepted", "train"),
    Case(
        "parquet-sound-structs",
        parquet(lambda: {"image": [{"bytes": image(), "path": "a"}], "label": ["word"]}),
        "accepted",
        "train",
    ),
    Case(
        "parquet-sound-of-1000-rows",
        parquet(lambda: rows(1000), row_group_size=300, compression="zstd"),
        "accepted",
        "1000",
    ),
    Case("nothing", lambda folder: (folder.joinpath("data").mkdir(), COMMAND)[1], word="no MJSynth"),
    # --- the official folder ---
    Case("list-empty", official(b""), word="is empty"),
    Case("list-of-nul-bytes", official(bytes(5000)), word=NONE),
    Case("list-of-one-line-of-1-MB", official(b"a" * (1 << 20)), word=NONE),
    Case("list-of-20000-empty-lines", official(b"\n" * 20_000), word=NONE),
    Case("list-not-utf-8", official(b"./\xff/1_w\xff_2.jpg 2\n"), word=NONE),
    Case("list-escapes", official(f"./{ESCAPES}/1_{ESCAPES}_2.jpg 2\n".encode()), word=NONE),
    Case("list-nul-in-a-name", official(b"./1/1_w\0rd_2.jpg 2\n"), word=NONE),
    Case("list-upwards", official(b"../../../../../../etc/1_passwd_2.jpg\n"), word="outside the folder|no such file"),
    Case("list-absolute", official(b"/etc/1_passwd_2.jpg\n"), word="outside|no such file"),
    Case("list-no-word", official(b"./1/word.jpg 2\n"), word="does not contain a word"),
    Case("list-a-long-word", official(b"./1/1_" + b"w" * 200 + b"_2.jpg 2\n"), word=NONE),
    Case("list-a-name-of-60000-letters", official(b"./1/1_" + b"w" * 60_000 + b"_2.jpg 2\n"), word=NONE),
    Case("list-fifo", official_special(os.mkfifo, LIST), word="annotation_train"),
    Case(
        "list-link-to-dev-zero",
        official_special(lambda path: path.symlink_to("/dev/zero"), LIST),
        word="annotation_train",
    ),
    *(
        Case(f"image-{name}", official(content=lambda content=content: content), word=NONE)
        for name, content in {
            "empty": b"",
            "text": b"hello",
            "eps": EPS,
            "gif": picture(form="GIF"),
            "cut-off": image()[:200],
            "13000-pixels-square": png(13_000, 13_000, bytes(100)),
            "2-to-31-pixels-wide": png(2**31 - 1, 1),
            "no-pixels": png(0, 0),
            "17-MB": image() + bytes(17 << 20),
        }.items()
    ),
    Case("image-fifo", official_special(os.mkfifo), word=NONE),
    Case("image-folder", official_special(Path.mkdir), word=NONE),
    Case("image-link-to-dev-zero", official_special(lambda path: path.symlink_to("/dev/zero")), word=NONE),
    Case(
        "image-link-out-of-the-folder",
        official_special(lambda path: path.symlink_to("/etc/passwd")),
        word="outside the folder",
    ),
    Case("image-link-to-itself", official_special(lambda path: path.symlink_to(path.name)), word=NONE),
    Case(
        "image-sparse-8-GB", official_special(lambda path: (path.touch(), os.truncate(path, 8 << 30))), word="too large"
    ),
    # --- tars ---
    Case("tar-empty", prepared(lambda: {"data/mjsynth-train-000000.tar": b""})),
    Case("tar-of-zeros", raw_tar(b""), word="is empty"),
    Case("tar-text", prepared(lambda: {"data/mjsynth-train-000000.tar": b"hello " * 200}), word="not a complete tar"),
    Case(
        "tar-compressed",
        prepared(lambda: {"data/mjsynth-train-000000.tar": b"\x1f\x8b" + bytes(2000)}),
        word="not a complete tar",
    ),
    Case("tar-cut-off", tar(sound_members, lambda content: content[:1500]), word="not a complete tar"),
    Case("tar-cut-off-in-a-header", tar(sound_members, lambda content: content[:100]), word="not a complete tar"),
    Case("tar-no-labels", tar(lambda: {"a/1.jpg": image()}), word="it has no label"),
    Case("tar-no-images", tar({"a/1.txt": b"word"}), word="it has no image"),
    Case("tar-json-deep", tar(lambda: {"a/1.jpg": image(), "a/1.json": b"[" * 60_000}), word=NONE),
    Case("tar-json-number", tar(lambda: {"a/1.jpg": image(), "a/1.json": b"5"}), word=NONE),
    Case("tar-json-number-of-5000-digits", tar(lambda: {"a/1.jpg": image(), "a/1.json": b"9" * 5000}), word=NONE),
    Case("tar-json-surrogate", tar(lambda: {"a/1.jpg": image(), "a/1.json": b'"\\ud800"'}), word=NONE),
    Case("tar-label-not-utf-8", tar(lambda: {"a/1.jpg": image(), "a/1.txt": b"\xff"}), word=NONE),
    Case("tar-label-of-1-MB", tar(lambda: {"a/1.jpg": image(), "a/1.txt": b"w" * (1 << 20)}), word=NONE),
    Case("tar-label-empty", tar(lambda: {"a/1.jpg": image(), "a/1.txt": b""}), word=NONE),
    Case("tar-names-with-escapes", tar(lambda: {f"{ESCAPES}/1.jpg": b"x", f"{ESCAPES}/1.txt": b"w"}), word=NONE),
    Case("tar-upwards", tar(lambda: {"../../owned.jpg": image(), "../../owned.txt": b"word"}), "accepted", "train"),
    Case(
        "tar-links",
        raw_tar(header(b"a.jpg", kind=b"2", link=b"/etc/passwd") + header(b"a.txt", kind=b"1", link=b"/etc/passwd")),
        word="is empty",
    ),
    Case("tar-devices", raw_tar(header(b"a.jpg", kind=b"3") + header(b"a.txt", kind=b"6")), word="is empty"),
    Case(
        "tar-member-of-8-GB",
        raw_tar(header(size=b"77777777777\0") + b"JPEG".ljust(512, b"\0")),
        word="not a complete tar",
    ),
    Case(
        "tar-member-of-2-to-70",
        raw_tar(header(size=b"\x80" + bytes(2) + b"\x40" + bytes(8)) + bytes(512)),
        word="not a complete tar",
    ),
    Case(
        "tar-member-of-negative-size",
        raw_tar(header(size=b"\xff" * 12) + bytes(512)),
        word="not a complete tar|is empty",
    ),
    Case("tar-size-not-octal", raw_tar(header(size=b"9999999999x\0") + bytes(512)), word="not a complete tar"),
    Case(
        "tar-long-name-of-8-GB",
        raw_tar(header(b"././@LongLink", b"77777777777\0", b"L") + bytes(512)),
        word="not a complete tar",
    ),
    Case("tar-pax-of-8-GB", raw_tar(header(b"pax", b"77777777777\0", b"x") + bytes(512)), word="not a complete tar"),
    Case("tar-pax-size-text", raw_tar(pax(b"size=many") + header() + bytes(512))),
    Case("tar-pax-size-negative", raw_tar(pax(b"size=-1024") + header() + bytes(512))),
    Case(
        "tar-pax-sparse-map",
        raw_tar(
            pax(b"GNU.sparse.major=1", b"GNU.sparse.minor=0", b"GNU.sparse.name=x")
            + header()
            + b"9x\n".ljust(512, b"\0")
        ),
    ),
    Case("tar-pax-sparse-old-map", raw_tar(pax(b"GNU.sparse.map=1,x,3", b"GNU.sparse.size=5") + header() + bytes(512))),
    Case(
        "tar-pax-sparse-of-2-to-60",
        raw_tar(pax(b"GNU.sparse.map=0,4", b"GNU.sparse.size=1152921504606846976") + header() + bytes(512)),
    ),
    Case("tar-gnu-sparse", raw_tar(header(kind=b"S") + bytes(512))),
    Case("tar-1000-pax-headers", raw_tar(pax(b"comment=x") * 2000)),
    Case(
        "tar-long-names-in-a-chain", raw_tar(header(b"././@LongLink", b"00000000004\0", b"L").ljust(1024, b"a") * 2000)
    ),
    # --- LMDB ---
    Case("lmdb-empty", prepared(lambda: {"data/train/data.mdb": b""})),
    Case("lmdb-text", prepared(lambda: {"data/train/data.mdb": b"hello " * 3000}), word="not an LMDB"),
    Case("lmdb-zeros", prepared(lambda: {"data/train/data.mdb": bytes(16384)}), word="not an LMDB"),
    Case("lmdb-no-count", lmdb_with(*word()), word="no valid num-samples"),
    Case("lmdb-count-zero", lmdb_with((b"num-samples", b"0"), *word()), word="no valid num-samples"),
    Case("lmdb-count-text", lmdb_with((b"num-samples", b"many"), *word()), word="no valid num-samples"),
    Case("lmdb-count-negative", lmdb_with((b"num-samples", b"-1"), *word()), word="no valid num-samples"),
    Case("lmdb-count-unicode", lmdb_with((b"num-samples", "²".encode()), *word()), word="no valid num-samples"),
    Case("lmdb-count-of-5000-digits", lmdb_with((b"num-samples", b"9" * 5000), *word())),
    Case("lmdb-count-of-18-digits", lmdb_with((b"num-samples", b"9" * 18), *word())),
    Case("lmdb-image-missing", lmdb_with(ONE, word()[1]), word="no such key"),
    Case("lmdb-label-missing", lmdb_with(ONE, word()[0]), word="it has no label"),
    Case(
        "lmdb-label-escapes",
        lmdb_with(ONE, (b"image-000000001", b"x"), (b"label-000000001", ESCAPES.encode())),
        word=NONE,
    ),
    Case("lmdb-label-long", lmdb_with(ONE, word()[0], (b"label-000000001", b"w" * 100_000)), word=NONE),
    Case("lmdb-cut-off", lmdb_with(ONE, *word(), edit=lambda content: content[:12288]), "either"),
    Case(
        "lmdb-meta-pages-alone",
        lmdb_with(ONE, *word(), edit=lambda content: content[:8192]),
        word="cut off|damaged|not an LMDB",
    ),
    Case(
        "lmdb-root-far-away",
        lmdb_with(ONE, *word(), edit=lambda content: meta(content, 112, struct.pack("<Q", 1 << 40))),
    ),
    Case(
        "lmdb-last-page-far-away",
        lmdb_with(ONE, *word(), edit=lambda content: meta(content, 120, struct.pack("<Q", 1 << 40))),
    ),
    # --- parquet ---
    Case("parquet-empty", prepared(lambda: {"data/train-0.parquet": b""}), word="not a complete parquet"),
    Case("parquet-text", prepared(lambda: {"data/train-0.parquet": b"hello " * 50}), word="not a complete parquet"),
    Case("parquet-magic-alone", prepared(lambda: {"data/train-0.parquet": b"PAR1PAR1"}), word="not a complete parquet"),
    Case(
        "parquet-footer-of-4-GB",
        prepared(lambda: {"data/train-0.parquet": b"PAR1" + bytes(99) + b"\xff\xff\xff\xffPAR1"}),
        word="not a complete parquet",
    ),
    Case("parquet-cut-off", parquet(rows, lambda content: content[:-50]), word="not a complete parquet"),
    Case("parquet-no-rows", parquet(lambda: rows(0)), word="is empty"),
    Case("parquet-no-label", parquet(lambda: {"image": rows()["image"]}), word="no column label"),
    Case("parquet-labels-numbers", parquet(lambda: {**rows(), "label": [1, 2, 3]}), word=NONE),
    Case("parquet-labels-null", parquet(lambda: {**rows(), "label": pa.array([None] * 3, pa.string())}), word=NONE),
    Case("parquet-labels-long", parquet(lambda: {**rows(1), "label": ["w" * 1_000_000]}), word=NONE),
    Case("parquet-labels-escapes", parquet(lambda: {"image": [b"x"], "label": [ESCAPES]}), word=NONE),
    Case("parquet-images-text", parquet(lambda: {"image": ["a"], "label": ["b"]}), word=NONE),
    Case("parquet-images-numbers", parquet(lambda: {"image": [5], "label": ["b"]}), word=NONE),
    Case(
        "parquet-images-of-paths",
        parquet(lambda: {"image": [{"path": "/etc/passwd", "bytes": None}], "label": ["b"]}),
        word=NONE,
    ),
    Case("parquet-images-nested", parquet(lambda: {"image": [[[b"a"]]], "label": ["b"]}), word=NONE),
    Case(
        "parquet-200-MB-of-zeros",
        parquet(
            lambda: {"image": pa.array([bytes(100 << 20)] * 2, pa.binary()), "label": ["a", "b"]},
            compression="zstd",
            use_dictionary=False,
        ),
        word="has a page of",
    ),
    Case(
        "parquet-one-large-value-100-times",
        parquet(
            lambda: {
                "image": pa.DictionaryArray.from_arrays(
                    [0] * 100, pa.array([b"x".ljust(17 << 20, b"\0")], pa.binary())
                ),
                "label": ["a"] * 100,
            },
            compression="zstd",
        ),
        word="more than 16,777,216",
    ),
    Case("parquet-deep-schema", parquet(lambda: {"image": nested(60), "label": ["b"]}), word=NONE),
    *numbered("damaged-list", 1, lambda seed: Case("", official(damaged(b"./1/1_word_2.jpg 2\n" * 3, seed)), "either")),
    *numbered("damaged-image", 1, lambda seed: Case("", official(content=lambda: damaged(image(), seed)), "either")),
    *numbered(
        "damaged-tar", 4, lambda seed: Case("", tar(sound_members, lambda content: damaged(content, seed)), "either")
    ),
    *numbered(
        "damaged-lmdb",
        4,
        lambda seed: Case("", lmdb_with(ONE, *word(), edit=lambda content: damaged(content, seed)), "either"),
    ),
    *numbered(
        "damaged-parquet", 4, lambda seed: Case("", parquet(rows, lambda content: damaged(content, seed)), "either")
    ),
]


def nested(depth: int) -> Any:
    value: Any = b"a"
    for _ in range(depth):
        value = {"a": value}
    return pa.array([value])
