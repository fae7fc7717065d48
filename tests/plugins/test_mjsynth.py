"""MJSynth in small files of the official forms, rendered here: MJSynth states no licence."""

from __future__ import annotations

import io
import json
import mmap
import os
import random
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

import ganzoo as zoo
from ganzoo.cli.resume import resume
from ganzoo.cli.train import train
from ganzoo.cli.watch import watch
from ganzoo.config import Layer
from ganzoo.data import open_dataset
from ganzoo.data.packing import PIECE
from ganzoo.errors import DatasetError, MissingDatasetError
from ganzoo.specs import ArrayData, StreamedData
from ganzoo.training import Training
from ganzoo_mjsynth import MJSYNTH, official, parquet, tars
from ganzoo_mjsynth.images import decode
from tests.conftest import Ganzoo, assert_two_lines, set_options

FIXTURE = Path(__file__).parent.parent / "data" / "mjsynth" / "90kDICT32px"
WORDS = ("zoo", "Giraffe", "OKAPI", "tapir", "Incomprehensibilities", "owl")


def rendered(word: str, form: str = "JPEG") -> bytes:
    image = Image.new("RGB", (12 + 7 * len(word), 31), (40, 90, 160))
    ImageDraw.Draw(image).text((6, 8), word, fill=(240, 230, 90))
    buffer = io.BytesIO()
    image.save(buffer, form)
    return buffer.getvalue()


def official_folder(root: Path, split: str = "train", words: Sequence[str] = WORDS) -> Path:
    """Write word images in the official layout, three in a folder, and their list."""
    lines = []
    root.mkdir(parents=True, exist_ok=True)
    for number, word in enumerate(words):
        name = f"./2911/{number // 3 + 1}/{number % 3 + 1}_{word}_{100 + number}.jpg"
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(rendered(word))
        lines.append(f"{name} {100 + number}\n")
    (root / f"annotation_{split}.txt").write_text("".join(lines))
    return root


def load(root: Path, split: str = "train", download: bool = False) -> StreamedData:
    data = MJSYNTH.load(root, split, download)
    assert isinstance(data, StreamedData)
    return data


def read(root: Path, split: str = "train") -> ArrayData:
    data = load(root, split)
    return data.read(0, data.num)


def words_of(data: ArrayData) -> list[str]:
    assert data.texts is not None
    return [text.decode() for text in data.texts]


def grey_png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


# --- the rule ---


def decoded(content: bytes) -> np.ndarray:
    sample = np.zeros((32, 128), np.uint8)
    decode(content, sample)
    return sample


def test_an_image_of_the_right_height_is_kept_and_padded_with_its_last_column() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 50), dtype=np.uint8)
    sample = decoded(grey_png(pixels))
    assert np.array_equal(sample[:, :50], pixels)
    assert np.array_equal(sample[:, 50:], np.repeat(pixels[:, -1:], 78, axis=1))


@pytest.mark.parametrize(("height", "width", "kept"), [(31, 60, 62), (64, 64, 32), (16, 400, 128), (40, 1, 1)])
def test_an_image_is_scaled_to_height_32_and_squeezed_when_too_wide(height: int, width: int, kept: int) -> None:
    ramp = np.linspace(0, 255, width).astype(np.uint8)[None].repeat(height, 0)
    sample = decoded(grey_png(ramp))
    expected = np.asarray(Image.fromarray(ramp).resize((kept, 32), Image.Resampling.BILINEAR))
    assert np.array_equal(sample[:, :kept], expected)
    assert (sample[:, kept:] == expected[:, -1:]).all()


def test_colours_become_their_luminance() -> None:
    content = rendered("zoo")
    image = Image.open(io.BytesIO(content)).convert("L").resize((34, 32), Image.Resampling.BILINEAR)
    assert np.abs(decoded(content)[:, :34].astype(int) - np.asarray(image)).max() <= 2


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no bytes"),
        (b"GIF89a", "not a JPEG or PNG"),
        (rendered("tapir")[:400], "(?i)truncated"),
        (grey_png(np.zeros((5000, 5000), np.uint8)), "5000 × 5000"),
    ],
    ids=["empty", "foreign", "cut off", "huge"],
)
def test_what_is_no_word_image_says_why(content: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        decoded(content)


# --- the official folder ---


def test_only_regular_files_of_the_folder_are_read(tmp_path: Path) -> None:
    root, images = official_folder(tmp_path / "data"), tmp_path / "data" / "2911"
    outside = tmp_path / "outside_secret_1.jpg"
    outside.write_bytes(rendered("secret"))
    for name in ("1_zoo_100", "2_Giraffe_101", "3_OKAPI_102"):
        (images / "1" / f"{name}.jpg").unlink()
    os.mkfifo(images / "1" / "1_zoo_100.jpg")
    (images / "1" / "2_Giraffe_101.jpg").symlink_to("/dev/zero")
    (images / "1" / "3_OKAPI_102.jpg").symlink_to(outside)
    os.truncate(images / "2" / "1_tapir_103.jpg", 8 << 30)
    listed = root / "annotation_train.txt"
    listed.write_text(listed.read_text() + f"../{outside.name} 1\n" + 100_000 * "x" + "_word_1.jpg 1\n")
    data = read(root)
    assert words_of(data) == ["Incomprehensibilities", "owl"]
    special, elsewhere = "it is not a regular file, or too large", "it is outside the folder"
    reasons = [line.rpartition(": ")[2] for line in data.skipped]
    assert reasons == [special, elsewhere, elsewhere, special, elsewhere, "its name does not contain a word"]


@pytest.mark.parametrize("place", [".", "90kDICT32px", "mnt/ramdisk/max/90kDICT32px"])
def test_the_official_folder_is_found_where_the_archive_puts_it(tmp_path: Path, place: str) -> None:
    official_folder(tmp_path / place, "val")
    data = read(tmp_path, "val")
    assert data.samples.shape == (6, 1, 32, 128)
    assert data.samples.dtype == np.uint8
    assert words_of(data) == list(WORDS)
    assert data.skipped == ()
    assert load(tmp_path, "val").sources == (tmp_path / place / "annotation_val.txt",)


def test_damaged_and_missing_images_are_skipped_and_counted_by_name(tmp_path: Path) -> None:
    root = official_folder(tmp_path)
    (root / "2911/1/1_zoo_100.jpg").unlink()
    (root / "2911/1/2_Giraffe_101.jpg").write_bytes(b"")
    (root / "2911/2/1_tapir_103.jpg").write_bytes(rendered("tapir")[:300])
    with (root / "annotation_train.txt").open("a") as file:
        file.write("\n./2911/2/4.jpg 7\n./2911/1/3_OKAPI_102.jpg 102")  # no end of line, as editors leave it
    data = load(root)
    assert data.num == 9
    piece = data.read(0, 9)
    assert words_of(piece) == ["OKAPI", "Incomprehensibilities", "owl", "OKAPI"]
    assert [item.split(": ")[0] for item in piece.skipped] == [
        "./2911/1/1_zoo_100.jpg",
        "./2911/1/2_Giraffe_101.jpg",
        "./2911/2/1_tapir_103.jpg",
        "an empty line",
        "./2911/2/4.jpg",
    ]
    reasons = ("no such file", "no bytes", "truncated", "not contain a word", "not contain a word")
    for item, reason in zip(piece.skipped, reasons, strict=True):
        assert reason in item.lower()


def test_a_line_with_a_nul_byte_is_skipped_with_its_reason(tmp_path: Path) -> None:
    root = official_folder(tmp_path)
    with (root / "annotation_train.txt").open("a") as file:
        file.write("./2911/1/9_z\0o_1.jpg 1\n")
    data = read(root)
    assert words_of(data) == list(WORDS)
    (skipped,) = data.skipped
    assert skipped.startswith("./2911/1/9_z\0o_1.jpg: embedded null")


@pytest.mark.parametrize("block", [7, 64, 1 << 20])
def test_any_piece_of_a_long_list_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(official, "STRIDE", 4)
    monkeypatch.setattr(official, "_BLOCK", block)
    words = [f"{WORDS[number % 6]}{number}" for number in range(12)]
    data = load(official_folder(tmp_path, words=words))
    assert data.num == 12
    for start in range(12):
        for stop in range(start + 1, 13):
            assert words_of(data.read(start, stop)) == words[start:stop]


# --- LMDB ---


def write_lmdb(place: Path, num: int, holes: Sequence[bytes] = (), num_samples: bytes | None = None) -> Path:
    lmdb = pytest.importorskip("lmdb")
    place.mkdir(parents=True)
    environment = lmdb.open(str(place), map_size=1 << 22)
    with environment.begin(write=True) as transaction:
        for number in range(1, num + 1):
            word = WORDS[(number - 1) % len(WORDS)]
            transaction.put(b"image-%09d" % number, rendered(word, "PNG" if number % 2 else "JPEG"))
            transaction.put(b"label-%09d" % number, word.encode())
        for key in holes:
            transaction.delete(key)
        transaction.put(b"num-samples", str(num).encode() if num_samples is None else num_samples)
    environment.close()
    return place


@pytest.mark.parametrize(
    ("folder", "split"),
    [("val", "val"), ("MJ_valid", "val"), ("training/MJ/MJ_train", "train"), ("MJ/MJ_train", "train"), (".", "train")],
)
def test_a_database_belongs_to_the_split_that_its_folder_names(tmp_path: Path, folder: str, split: str) -> None:
    write_lmdb(tmp_path / "root" / folder, 6)
    for name in MJSYNTH.splits:
        if name == split:
            assert words_of(read(tmp_path / "root", name)) == list(WORDS)
        else:
            with pytest.raises(MissingDatasetError):
                load(tmp_path / "root", name)


def test_an_archive_of_several_sets_gives_mjsynths_own(tmp_path: Path) -> None:
    write_lmdb(tmp_path / "validation", 3)  # a mix of other sets
    write_lmdb(tmp_path / "training" / "MJ" / "MJ_valid", 5)
    write_lmdb(tmp_path / "training" / "MJ" / "MJ_train", 7)
    assert [load(tmp_path, split).num for split in ("val", "train")] == [5, 7]


def test_holes_of_a_database_are_skipped_and_counted(tmp_path: Path) -> None:
    write_lmdb(tmp_path / "train", 6, holes=(b"image-000000002", b"label-000000005"))
    data = read(tmp_path)
    assert words_of(data) == ["zoo", "OKAPI", "tapir", "owl"]
    assert data.skipped == ("image-000000002: there is no such key", "image-000000005: it has no label")


def test_damaged_pages_of_a_database_are_one_clear_line(tmp_path: Path) -> None:
    write_lmdb(tmp_path / "train", 40)
    data = load(tmp_path)
    path = tmp_path / "train" / "data.mdb"
    size = path.stat().st_size
    with path.open("r+b") as file:  # all but the two pages that say where the tree begins
        file.seek(2 * mmap.PAGESIZE)
        file.write(b"\xff" * (size - 2 * mmap.PAGESIZE))
    for reading in (lambda: load(tmp_path), lambda: data.read(0, 40)):
        with pytest.raises(DatasetError, match=r"data\.mdb is damaged: ") as caught:
            reading()
        assert "again" in caught.value.hint


def test_a_damaged_database_is_one_clear_line(tmp_path: Path) -> None:
    place = write_lmdb(tmp_path / "cut" / "train", 40)
    os.truncate(place / "data.mdb", 20_000)
    with pytest.raises(DatasetError, match=r"data\.mdb is cut off: 20,000 bytes of"):
        load(tmp_path / "cut")
    write_lmdb(tmp_path / "uncounted" / "train", 3, num_samples=b"many")
    with pytest.raises(DatasetError, match="has no valid num-samples"):
        load(tmp_path / "uncounted")
    (tmp_path / "text" / "train").mkdir(parents=True)
    (tmp_path / "text" / "train" / "data.mdb").write_text("not a database " * 1000)
    with pytest.raises(DatasetError, match="is not an LMDB"):
        load(tmp_path / "text")


# --- WebDataset tars ---


def write_tar(path: Path, members: Sequence[tuple[str, bytes]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def offset_of(path: Path, number: int) -> int:
    """Where a member's header begins."""
    with tarfile.open(path) as archive:
        return archive.getmembers()[number].offset


def members_of(words: Sequence[str], label: Callable[[str], tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    found = []
    for number, word in enumerate(words):
        suffix, content = label(word)
        found += [(f"a/{number:04d}.jpg", rendered(word)), (f"a/{number:04d}.{suffix}", content)]
    return found


LABELS: dict[str, Callable[[str], tuple[str, bytes]]] = {
    "txt": lambda word: ("txt", f"{word}\n".encode()),
    "cls": lambda word: ("cls", word.encode()),
    "json text": lambda word: ("json", json.dumps(word).encode()),
    "json object": lambda word: ("json", json.dumps({"label": word}).encode()),
}


@pytest.mark.parametrize("label", LABELS)
def test_tars_hold_images_beside_their_words(tmp_path: Path, label: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tars, "STRIDE", 2)
    for number in range(3):
        write_tar(tmp_path / f"mjsynth-train-{number:06d}.tar", members_of(WORDS[2 * number :][:2], LABELS[label]))
    write_tar(tmp_path / "val" / "000000.tar", members_of(WORDS[:1], LABELS[label]))
    data = load(tmp_path)
    assert data.num == 6
    for start in range(6):
        for stop in range(start + 1, 7):
            assert words_of(data.read(start, stop)) == list(WORDS[start:stop])
    assert words_of(read(tmp_path, "val")) == ["zoo"]
    with pytest.raises(MissingDatasetError):
        load(tmp_path, "test")


def test_tars_of_the_webdataset_package_are_read(tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    with webdataset.TarWriter(str(tmp_path / "words-test-0.tar")) as writer:
        for number, word in enumerate(WORDS):
            writer.write({"__key__": f"{number:09d}", "jpg": rendered(word), "txt": word})
    assert words_of(read(tmp_path, "test")) == list(WORDS)


def test_a_member_without_its_partner_is_skipped_and_counted(tmp_path: Path) -> None:
    members = members_of(WORDS[:3], LABELS["json object"])
    write_tar(
        tmp_path / "train.tar", [*members[:3], *members[4:], ("b.txt", b"owl"), ("c.png", b""), ("c.json", b"[1]")]
    )
    data = read(tmp_path)
    assert words_of(data) == ["zoo", "OKAPI"]
    assert [item.split(": ", 1) for item in data.skipped] == [
        ["train.tar/a/0001", "it has no label"],
        ["train.tar/b", "it has no image"],
        ["train.tar/c", "its label cannot be read: the JSON does not contain a word"],
    ]


def test_a_label_of_deeply_nested_json_is_skipped(tmp_path: Path) -> None:
    write_tar(tmp_path / "train.tar", [("a.png", rendered("a", "PNG")), ("a.json", b"[" * tars.MAX_LABEL)])
    (skipped,) = read(tmp_path).skipped
    assert skipped.startswith("train.tar/a: its label cannot be read: ")


@pytest.mark.parametrize("size", [512, 700, 2048, 6000, None])
def test_a_truncated_tar_is_one_clear_line(tmp_path: Path, size: int | None) -> None:
    path = write_tar(tmp_path / "train-0.tar", members_of(WORDS, LABELS["txt"]))
    os.truncate(path, offset_of(path, -1) + 1024 if size is None else size)
    with pytest.raises(DatasetError, match=r"train-0\.tar is not a complete tar") as caught:
        load(tmp_path)
    assert "again" in caught.value.hint


def test_a_tar_with_a_broken_sparse_map_is_one_clear_line(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "train-0.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo("zoo.png")
        member.size = 512
        member.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9"}
        archive.addfile(member, io.BytesIO(b"nonsense\n" + bytes(503)))
    with pytest.raises(DatasetError, match=r"train-0\.tar is not a complete tar"):
        load(tmp_path)


def test_a_name_in_a_tar_takes_no_gigabytes(tmp_path: Path) -> None:
    member = tarfile.TarInfo("././@LongLink")
    member.type, member.size = tarfile.GNUTYPE_LONGNAME, 8 << 30
    (tmp_path / "train-0.tar").write_bytes(member.tobuf(tarfile.GNU_FORMAT) + bytes(2048))
    with pytest.raises(DatasetError, match="a header promises 8589934592 bytes"):
        load(tmp_path)


def test_a_tar_with_a_damaged_header_is_one_clear_line(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "train-0.tar", members_of(WORDS, LABELS["txt"]))
    content = bytearray(path.read_bytes())
    offset = offset_of(path, 4)
    content[offset : offset + 200] = random.Random(0).randbytes(200)
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=f"breaks off at byte {offset:,}"):
        load(tmp_path)


# --- parquet ---


def write_parquet(path: Path, words: Sequence[str], rows: int, *, plain: bool = False) -> None:
    arrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    images = [rendered(word) for word in words]
    column = images if plain else [{"bytes": image, "path": None} for image in images]
    pyarrow.parquet.write_table(arrow.table({"label": list(words), "image": column}), path, row_group_size=rows)


@pytest.mark.parametrize("plain", [False, True])
def test_any_piece_of_parquet_files_is_found(tmp_path: Path, plain: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_BATCH", 2)
    write_parquet(tmp_path / "data" / "train-00000-of-00002.parquet", WORDS[:5], 3, plain=plain)
    write_parquet(tmp_path / "data" / "train-00001-of-00002.parquet", WORDS[5:], 3, plain=plain)
    data = load(tmp_path)
    assert data.num == 6
    for start in range(6):
        for stop in range(start + 1, 7):
            assert words_of(data.read(start, stop)) == list(WORDS[start:stop])


def test_other_parquet_files_are_one_clear_line(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    pyarrow.parquet.write_table(arrow.table({"image": [b"x"]}), tmp_path / "train.parquet")
    with pytest.raises(DatasetError, match="has no column label"):
        load(tmp_path)
    (tmp_path / "train.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DatasetError, match="not a complete parquet file"):
        load(tmp_path)


def test_a_download_through_datasets_lands_in_parquet_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("datasets")
    for split in ("train", "test"):
        write_parquet(tmp_path / "hub" / "data" / f"{split}-00000-of-00001.parquet", WORDS, 3)
    monkeypatch.setattr(parquet.download, "__defaults__", (str(tmp_path / "hub"),))
    data = load(tmp_path / "files", "test", download=True)
    assert words_of(data.read(0, 6)) == list(WORDS)
    assert words_of(read(tmp_path / "files", "train")) == list(WORDS)
    assert sorted(path.name for path in (tmp_path / "files").iterdir()) == ["parquet"]


@pytest.mark.parametrize("form", ["tar", "parquet"])
def test_shards_that_are_added_are_packed(tmp_path: Path, form: str) -> None:
    def write(number: int) -> None:
        if form == "tar":
            write_tar(tmp_path / "data" / f"train-{number}.tar", members_of(WORDS, LABELS["txt"]))
        else:
            write_parquet(tmp_path / "data" / f"train-{number}.parquet", WORDS, 3)

    for number in range(2):
        write(number)
        opened = open_dataset(MJSYNTH, "train", tmp_path)
        assert isinstance(opened.data, ArrayData)
        assert len(opened.data.samples) == 6 * (number + 1)


def test_what_a_killed_download_left_is_not_taken_for_a_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("datasets")
    left = tmp_path / "files" / ".download" / "parquet.incomplete" / "hub-train-00000-of-00002.parquet"
    write_parquet(left, WORDS[:2], 3)
    with pytest.raises(MissingDatasetError):
        load(tmp_path / "files")
    write_parquet(tmp_path / "hub" / "data" / "train-00000-of-00001.parquet", WORDS, 3)
    monkeypatch.setattr(parquet.download, "__defaults__", (str(tmp_path / "hub"),))
    assert load(tmp_path / "files", download=True).num == 6
    assert sorted(path.name for path in (tmp_path / "files").iterdir()) == ["parquet"]


def test_a_download_is_not_found_before_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")

    def stop(builder: object, folder: str, **_: object) -> None:
        write_parquet(Path(folder) / "hub-train-00000-of-00002.parquet", WORDS[:2], 3)
        raise KeyboardInterrupt

    write_parquet(tmp_path / "hub" / "data" / "train-00000-of-00001.parquet", WORDS, 3)
    monkeypatch.setattr(parquet.download, "__defaults__", (str(tmp_path / "hub"),))
    monkeypatch.setattr(datasets.DatasetBuilder, "download_and_prepare", stop)
    with pytest.raises(KeyboardInterrupt):
        load(tmp_path / "files", download=True)
    with pytest.raises(MissingDatasetError):
        load(tmp_path / "files")


def test_a_download_without_network_fails_in_seconds_and_says_how_to_get_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("datasets")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    started = time.monotonic()
    with pytest.raises(MissingDatasetError, match="cannot download priyank-m/MJSynth_text_recognition") as caught:
        load(tmp_path, download=True)
    assert time.monotonic() - started < 30
    assert "mjsynth.tar.gz" in caught.value.hint
    assert "--data-dir" in caught.value.hint


# --- nothing, or nothing to read it with ---


def test_a_folder_of_something_else_says_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "me.jpg").write_bytes(rendered("me"))
    with pytest.raises(MissingDatasetError, match="no MJSynth train split under") as caught:
        load(tmp_path)
    for word in ("annotation_train.txt", "LMDB", "*-train-*.tar", "train-*.parquet"):
        assert word in str(caught.value)
    with pytest.raises(MissingDatasetError):
        load(tmp_path / "nowhere")


@pytest.mark.parametrize(("package", "name"), [("lmdb", "train/data.mdb"), ("pyarrow", "train.parquet")])
def test_a_missing_extra_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, name: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    with pytest.raises(DatasetError) as caught:
        load(tmp_path)
    assert caught.value.hint == "pip install 'ganzoo[shards]'"


# --- the whole way ---


def test_prepare_names_missing_splits_and_what_was_skipped(tmp_path: Path, ganzoo: Ganzoo, home: Path) -> None:
    root = official_folder(tmp_path / "data", "val")
    (root / "2911/1/2_Giraffe_101.jpg").write_bytes(b"")
    result = ganzoo("data", "prepare", "mjsynth", "--data-dir", root, "--json")
    assert result.returncode == 0, result.stderr
    rows = {row["split"]: row for row in json.loads(result.stdout)["splits"]}
    assert [rows[split]["samples"] for split in ("train", "val", "test")] == [None, 5, None]
    assert rows["val"]["skipped"] == 1
    assert "annotation_train.txt" in result.stderr
    (skipped,) = home.rglob("skipped.txt")
    assert f"val: 1 of 6 skipped (it has no bytes: 1); see {skipped}" in result.stderr
    assert f"ganzoo data prepare mjsynth --data-dir {root} --force" in result.stderr
    assert "val: 6 of the official 802,734" in result.stderr
    assert skipped.read_text() == "./2911/1/2_Giraffe_101.jpg: it has no bytes\n"
    opened = open_dataset(MJSYNTH, "val", root)
    assert isinstance(opened.data, ArrayData)
    assert words_of(opened.data) == ["zoo", *WORDS[2:]]
    (root / "2911/1/2_Giraffe_101.jpg").write_bytes(rendered("Giraffe"))
    again = ganzoo("data", "prepare", "mjsynth", "--data-dir", root, "--force", "--json", "--workers", "1")
    assert [row["skipped"] for row in json.loads(again.stdout)["splits"]] == [None, 0, None]
    assert "skipped" not in again.stderr


def test_prepare_without_any_split_is_an_error(tmp_path: Path, ganzoo: Ganzoo) -> None:
    assert_two_lines(ganzoo("data", "prepare", "mjsynth", "--data-dir", tmp_path), 1, "no MJSynth train", "--data-dir")


def prepare(root: Path, home: Path, workers: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "ganzoo", "data", "prepare", "mjsynth", "--json", "--data-dir", str(root)]
    # Tests that run in the background ignore Ctrl-C, and so would their children.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return subprocess.Popen(
        [*command, "--workers", str(workers)],
        env={**os.environ, "GANZOO_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def children_of(process: subprocess.Popen[str]) -> list[int]:
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(pid) for pid in listed.read_text().split()] if listed.exists() else []


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize(("number", "workers"), [(signal.SIGKILL, 2), (signal.SIGINT, 1)])
def test_a_packing_that_was_stopped_goes_on_to_the_same_bytes(
    tmp_path: Path, number: signal.Signals, workers: int
) -> None:
    root = official_folder(tmp_path / "data")
    lines = (root / "annotation_train.txt").read_text()
    (root / "annotation_train.txt").write_text((lines + "./2911/1/9_gone_1.jpg 1\n") * (12 * PIECE // 7))
    whole = open_dataset(MJSYNTH, "train", root)
    packed = tmp_path / "killed" / "datasets" / "mjsynth" / "packed"

    process = prepare(root, tmp_path / "killed", workers)
    deadline = time.monotonic() + 60
    while not (journals := list(packed.glob(".*/journal.json"))):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    helpers = children_of(process)
    process.send_signal(number)
    stderr = process.communicate()[1]
    assert process.returncode == (130 if number == signal.SIGINT else -number)
    assert ("to continue" in stderr) == (number == signal.SIGINT)
    assert "Traceback" not in stderr
    assert 0 < json.loads(journals[0].read_text())["items"] < 12 * PIECE
    while any(map(alive, helpers)):
        assert time.monotonic() < deadline, "a helper outlived the packing"
        time.sleep(0.01)

    process = prepare(root, tmp_path / "killed", workers)
    document = json.loads(process.communicate()[0])
    assert document["splits"][0]["sha256"] == whole.digest
    assert document["splits"][0]["skipped"] == whole.num_skipped == 12 * PIECE // 7
    assert [path.name for path in packed.iterdir()] == [next(packed.iterdir()).name]


TINY = {
    "split": "val",
    "data": "streamed",
    "device": "cpu",
    "steps": 3,
    "seed": 0,
    "batch_size": 4,
    "latent.dim": 4,
    "config.generator_widths": [4, 4, 4],
    "config.discriminator_widths": [4, 4, 4],
}


def test_train_and_resume_say_once_what_could_not_be_read(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    root = official_folder(tmp_path / "data", "val")
    (root / "2911/1/2_Giraffe_101.jpg").write_bytes(b"")
    train("mjsynth-dcgan", out_dir=tmp_path / "run", data_dir=root, assignments=set_options(TINY)[1::2])
    assert capfd.readouterr().err.count("val: 1 of 6 skipped (") == 1
    resume(tmp_path / "run", steps=4)
    assert capfd.readouterr().err.count("val: 1 of 6 skipped (") == 1


@pytest.mark.parametrize("steps", [1, 2])
def test_mjsynth_dcgan_trains_on_the_fixture_and_goes_on_to_the_same_weights(tmp_path: Path, steps: int) -> None:
    settings = {**TINY, "split": "train", "steps": 4, "checkpoint_every": 2, "batch_size": 8}
    whole = zoo.train("mjsynth-dcgan", out=tmp_path / "whole", data_dir=FIXTURE, settings=settings)
    job = Training.start("mjsynth-dcgan", tmp_path / "stopped", [Layer("test", settings)], FIXTURE)
    assert job.state.batches.place == "streamed from disk"
    job.should_stop = lambda: job.state.step == steps
    list(job)
    assert not job.finished
    zoo.resume(job.run.path)
    for name in ("model.safetensors", "discriminator.safetensors"):
        assert (job.run.path / name).read_bytes() == (whole.path / name).read_bytes()


def test_mjsynth_dcgan_trains_on_the_split_that_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = official_folder(tmp_path / "data", "val")
    job = Training.start("mjsynth-dcgan", tmp_path / "run", [Layer("test", TINY)], root)
    watch(job, json=False)
    assert "data streamed from disk" in capsys.readouterr().err
    assert zoo.load(tmp_path / "run").sample(2, seed=0).shape == (2, 1, 32, 128)
