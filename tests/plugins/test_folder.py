"""The dataset `folder`: pictures of any kind, in folders and archives, with and without classes."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ganzoo.data import open_dataset
from ganzoo.data.settings import configured
from ganzoo.errors import DatasetError, MissingDatasetError, SettingsError
from ganzoo.registry import datasets
from ganzoo.specs import ArrayData, StreamedData, Suggestion
from ganzoo_folder import decoding, pictures
from ganzoo_folder.config import FolderConfig
from ganzoo_folder.decoding import UnusableError, decode
from ganzoo_folder.names import printable
from tests.conftest import Ganzoo, assert_two_lines

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
CORNERS = np.array([[RED, GREEN], [BLUE, WHITE]], np.uint8)
"""Four colours, so that no two of the eight orientations look alike."""


def corners(size: int = 16) -> Image.Image:
    return Image.fromarray(CORNERS.repeat(size // 2, 0).repeat(size // 2, 1))


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def quarters(sample: NDArray[np.uint8]) -> list[list[tuple[int, ...]]]:
    """The colours in the middle of the four quarters of a sample [3, size, size]."""
    places = (sample.shape[1] // 4, sample.shape[1] * 3 // 4)
    return [[tuple(int(value) for value in sample[:, y, x]) for x in places] for y in places]


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def opened(root: Path, **settings: Any) -> ArrayData:
    data = open_dataset(configured(datasets.get("folder"), {"size": 16, **settings}), "train", root).data
    assert isinstance(data, ArrayData)
    return data


def labels(root: Path, **settings: Any) -> list[int]:
    found = opened(root, **settings).labels
    assert found is not None
    return [int(label) for label in found]


def suggest(root: Path, size: int | None = None, classes: bool = False) -> Suggestion:
    function = datasets.get("folder").suggest
    assert function is not None
    return function(root, size, classes)


def shade(value: int, size: tuple[int, int] = (16, 16)) -> bytes:
    return encoded(Image.new("RGB", size, (value, value, 255 - value)))


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """Three pictures of cats and two of dogs, of which one is a level deeper; the blue channel tells them apart."""
    root = tmp_path / "pets"
    for index, name in enumerate(["cats/a.png", "cats/b.png", "cats/c.png", "dogs/d.png", "dogs/old/e.png"]):
        write(root / name, shade(index * 10))
    return root


def test_a_folder_of_any_depth_is_a_dataset(pets: Path) -> None:
    data = opened(pets)
    assert data.samples.shape == (5, 3, 16, 16)
    assert data.samples[:, 0, 0, 0].tolist() == [0, 10, 20, 30, 40]  # sorted by path
    assert data.labels is None
    assert opened(pets, grey=True).samples.shape == (5, 1, 16, 16)


def test_first_sub_folders_or_a_list_are_classes(pets: Path) -> None:
    assert labels(pets, classes=["dogs", "cats"]) == [1, 1, 1, 0, 0]
    assert labels(pets, classes=["dogs"]) == [0, 0]
    assert opened(pets, classes=["dogs"]).samples[:, 0, 0, 0].tolist() == [30, 40]
    # What all pictures share is not a class.
    assert labels(pets.parent, classes=["cats", "dogs"]) == [0, 0, 0, 1, 1]
    with pytest.raises(DatasetError, match="no pictures of the class 'birds'") as caught:
        opened(pets, classes=["cats", "birds"])
    assert "cats, dogs" in caught.value.hint


@pytest.mark.parametrize(
    "content",
    [
        "cats/a.png,1\ncats/b.png,0\ndogs/old/e.png,1\ndogs/missing.png,1\n",
        "\ufeffid;label;author\r\na.png;1;me\r\nb.png;0;me\r\ne.png;1;you\r\n",  # from Excel, bare names
        'file\tclass\n./cats\\a.png\t1\n"b"\t0\ne\t1\n',
    ],
)
def test_labels_csv_in_many_dialects(pets: Path, content: str) -> None:
    write(pets / "labels.csv", content.encode())
    assert opened(pets, classes=["0", "1"]).samples[:, 0, 0, 0].tolist() == [0, 10, 40]
    assert labels(pets, classes=["0", "1"]) == [1, 0, 1]


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"a.png\nb.png\n", "line 1 has 1 column"), (b"x.png,1\n", "lists none of the"), (b"\xff,1", "is not UTF-8")],
)
def test_a_labels_csv_that_cannot_be_understood(pets: Path, content: bytes, message: str) -> None:
    write(pets / "labels.csv", content)
    with pytest.raises(DatasetError, match=message):
        opened(pets, classes=["0", "1"])


def packed_zip(folder: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*.*")):
            archive.write(file, f"pets/{file.relative_to(folder)}")
        archive.writestr("__MACOSX/pets/cats/._a.png", b"resource fork")
    return path


def packed_tar(mode: str) -> Callable[[Path, Path], Path]:
    def pack(folder: Path, path: Path) -> Path:
        with tarfile.open(path, f"w{mode}") as archive:
            archive.add(folder, "./pets")
        return path

    return pack


@pytest.mark.parametrize("pack", [packed_zip, *map(packed_tar, ("", ":gz", ":bz2", ":xz"))])
def test_archives_hold_what_the_folder_holds(pets: Path, pack: Callable[[Path, Path], Path]) -> None:
    write(pets / "cats" / "broken.png", b"not a picture")
    archive = pack(pets, pets.parent / "pets.archive")
    assert np.array_equal(opened(archive).samples, opened(pets).samples)
    assert labels(archive, classes=["cats", "dogs"]) == [0, 0, 0, 1, 1]
    with archive.open("r+b") as file:
        file.truncate(archive.stat().st_size // 3)
    with pytest.raises(DatasetError, match="cannot be read as a zip or tar"):
        opened(archive)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_put_upright(orientation: int) -> None:
    upright = corners(32).resize((32, 48), Image.Resampling.NEAREST)
    undo = {2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = upright.transpose(decoding._TRANSPOSED[undo[orientation]]) if orientation > 1 else upright
    expected = [[RED, GREEN], [BLUE, WHITE]]
    for kind in ("PNG", "TIFF", "WEBP"):
        content = encoded(stored, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
        assert quarters(decode(content, FolderConfig(size=16))) == expected, kind


def gradient(dtype: type[np.generic], top: int) -> NDArray[Any]:
    return np.linspace(0, top, 64 * 64).reshape(64, 64).astype(dtype)


def test_every_mode_becomes_eight_bit() -> None:
    expected = gradient(np.uint8, 255).astype(int)
    colour = Image.merge("RGB", [Image.fromarray(gradient(np.uint8, 255))] * 3)
    pictures_of = {
        "16-bit PNG": encoded(Image.fromarray(gradient(np.uint16, 65535))),
        "16-bit TIFF": encoded(Image.fromarray(gradient(np.uint16, 65535)), "TIFF"),
        "grey": encoded(Image.fromarray(gradient(np.uint8, 255))),
        "palette": encoded(colour.quantize(256)),
        "CMYK": encoded(colour.convert("CMYK"), "TIFF"),
        "opaque": encoded(colour.convert("RGBA")),
        "grey with alpha": encoded(Image.fromarray(gradient(np.uint8, 255)).convert("LA")),
        "CMYK JPEG": encoded(colour.convert("CMYK"), "JPEG", quality=100),
    }
    for name, content in pictures_of.items():
        sample = decode(content, FolderConfig(size=64))
        assert sample.shape == (3, 64, 64), name
        assert np.abs(sample.astype(int) - expected).max() <= 3, name
        assert decode(content, FolderConfig(size=64, grey=True)).shape == (1, 64, 64)
    with pytest.raises(UnusableError, match="32-bit values"):
        decode(encoded(Image.fromarray(gradient(np.float32, 1)), "TIFF"), FolderConfig(size=64))


def test_transparency_lies_on_the_background() -> None:
    image = corners(32).convert("RGBA")
    image.paste((9, 9, 9, 0), (0, 0, 16, 16))
    sample = decode(encoded(image), FolderConfig(size=16, background="#102030"))
    assert quarters(sample) == [[(16, 32, 48), GREEN], [BLUE, WHITE]]
    # Transparent pixels have no influence on their neighbours' colour, however far the picture is scaled down.
    dotted = np.zeros((640, 640, 4), np.uint8)
    dotted[::2] = (200, 0, 0, 255)
    mean = decode(encoded(Image.fromarray(dotted)), FolderConfig(size=16, background="#000000")).mean(axis=(1, 2))
    assert np.abs(mean - (100, 0, 0)).max() < 2
    named = corners(32).quantize(4)
    indexed = encoded(named, "GIF", transparency=int(np.asarray(named)[0, 0]))
    assert quarters(decode(indexed, FolderConfig(size=16, background="#102030")))[0][0] == (16, 32, 48)


def test_a_picture_is_cut_padded_or_stretched() -> None:
    wide = Image.new("RGB", (64, 32), RED)
    wide.paste(BLUE, (16, 0, 48, 32))
    content = encoded(wide)

    def row(fit: str, line: int) -> list[tuple[int, ...]]:
        sample = decode(content, FolderConfig.__call__(size=32, fit=fit, background="#00ff00"))  # type: ignore[arg-type]
        return [tuple(int(value) for value in sample[:, line, x]) for x in (2, 16, 29)]

    assert row("crop", 16) == [BLUE, BLUE, BLUE]
    assert row("stretch", 16) == [RED, BLUE, RED]
    assert row("pad", 16) == [RED, BLUE, RED]
    assert row("pad", 2) == [GREEN, GREEN, GREEN]


def test_the_first_frame_of_an_animation_is_taken() -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in (RED, BLUE)]
    for kind in ("GIF", "WEBP", "PNG", "TIFF"):
        content = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        assert np.abs(decode(content, FolderConfig(size=16)).mean(axis=(1, 2)) - RED).max() < 4, kind


def test_a_jpeg_is_scaled_while_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    y, x = np.mgrid[:600, :800]
    image = Image.fromarray(np.stack([x * 255 // 800, y * 255 // 600, (x + y) % 256], -1).astype(np.uint8))
    content = encoded(image, "JPEG", quality=95)
    sizes: list[tuple[int, int]] = []
    monkeypatch.setattr(decoding, "_reduced", lambda image, side: sizes.append(image.size) or image)
    sample = decode(content, FolderConfig(size=64))
    assert sizes == [(200, 150)]
    left = (800 - 600) // 2
    exact = np.asarray(image.crop((left, 0, left + 600, 600)).resize((64, 64), Image.Resampling.LANCZOS))
    assert np.abs(sample[:2].astype(int) - exact.transpose(2, 0, 1)[:2]).mean() < 1
    # A sample that needs more pixels gets them.
    sizes.clear()
    decode(content, FolderConfig(size=256))
    assert sizes == [(800, 600)]


def test_a_mirrored_set_is_twice_as_large(pets: Path) -> None:
    write(pets / "corners.png", encoded(corners()))
    write(pets / "empty.jpg", b"")
    data = open_dataset(configured(datasets.get("folder"), {"size": 16, "mirror": True}), "train", pets)
    assert (len(data.data.samples), data.num_skipped) == (12, 1)
    first, second = data.data.samples[10:]
    assert np.array_equal(first[:, :, ::-1], second)
    assert labels(pets, mirror=True, classes=["dogs"]) == [0, 0, 0, 0]


# --- the folder from hell ---


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises these pixels, and has almost none of them."""
    content = b"\x89PNG\r\n\x1a\n"
    for kind, data in [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes(1000))),
        (b"IEND", b""),
    ]:
        content += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return content


NAMES = ["日本語/写真 1.jpg", "عربي/صورة.jpg", "हिन्दी/चित्र.JPG", "emoji/🐈‍⬛.jpeg", "Ελληνικά/é'\"; $(x) &.jpg"]


def hell(root: Path) -> dict[str, str]:
    """Fill a folder with what real folders have, and return what has to be skipped, with the reason."""
    photo = encoded(corners(64), "JPEG", quality=95)
    for name in NAMES:
        write(root / name, photo)
    huge_jpeg = bytearray(photo)
    frame = huge_jpeg.index(b"\xff\xc0") + 5
    huge_jpeg[frame : frame + 4] = struct.pack(">HH", 40_000, 40_000)
    bad = {
        "bad/empty.png": (b"", "empty file"),
        "bad/text.jpg": (b"I am a text.", "not a picture"),
        "bad/truncated.jpg": (photo[:-20], "damaged (image file is truncated"),
        "bad/truncated.png": (encoded(corners(64))[:90], "damaged ("),
        "bad/huge.png": (png_header(40_000, 40_000), "too large ("),
        "bad/large.png": (png_header(10_000, 9_000), "too large (10,000 × 9,000 pixels)"),
        "bad/huge.jpg": (bytes(huge_jpeg), "too large ("),
        "bad/lies.png": (png_header(64, 64), "damaged ("),
        "bad/pixel.gif": (encoded(Image.new("L", (1, 1)), "GIF"), "too small (1 × 1 pixels)"),
        "bad/photo.heic": (b"ftypheic", "HEIC is not supported, convert it to JPEG or PNG"),
        "bad/postscript.jpg": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n", "not a picture"),
    }
    for name, (content, _) in bad.items():
        write(root / name, content)
    for ignored in (".DS_Store", "Thumbs.db", "._photo.jpg", ".thumbnails/a.jpg", "@eaDir/b.jpg", "notes.txt"):
        write(root / ignored, b"not the user's picture")
    return {name: reason for name, (_, reason) in bad.items()}


def skipped_of(root: Path, **settings: Any) -> tuple[int, dict[str, str]]:
    """Open a folder; return the number of samples, and the reason for each skipped file."""
    found = open_dataset(configured(datasets.get("folder"), {"size": 16, **settings}), "train", root)
    lines = [] if found.skipped_file is None else found.skipped_file.read_text(encoding="utf-8").splitlines()
    assert len(lines) == found.num_skipped
    return len(found.data.samples), dict(line.split(": ", 1) for line in lines)


def test_whatever_cannot_be_used_is_skipped_with_its_reason(tmp_path: Path) -> None:
    expected = hell(tmp_path / "hell")
    num, found = skipped_of(tmp_path / "hell")
    assert num == len(NAMES)
    assert found.keys() == expected.keys()
    for name, reason in expected.items():
        assert found[name].startswith(reason), name


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names and files")
def test_links_pipes_and_undecodable_names(tmp_path: Path) -> None:
    root = tmp_path / "hell"
    write(root / "a" / "real.png", shade(1))
    write(tmp_path / "elsewhere" / "outside.png", shade(2))
    Path(os.fsdecode(os.fsencode(root) + b"/caf\xe9 \x1b[31m\n.png")).write_bytes(shade(3))
    (root / "a" / "loop").symlink_to(root)
    (root / "again").symlink_to(root / "a")
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    (root / "one.png").symlink_to(root / "a" / "real.png")
    (root / "broken.png").symlink_to(root / "nothing.png")
    (root / "self.png").symlink_to(root / "self.png")
    os.mkfifo(root / "pipe.png")
    num, found = skipped_of(root)
    assert num == 4  # real.png twice, outside.png, and the one that cannot be decoded
    assert {name: reason.partition(" (")[0] for name, reason in found.items()} == {
        "a/loop": "link to a folder that is already in the list",
        "again": "link to a folder that is already in the list",
        "broken.png": "cannot be read",
        "self.png": "cannot be read",
        "pipe.png": "not a regular file",
    }
    assert printable("caf\udce9 \x1b[31m\n.png") == "caf\\udce9 \\x1b[31m\\n.png"
    # The name that cannot be decoded may be a skipped one too.
    Path(os.fsdecode(os.fsencode(root) + b"/\xff.png")).write_bytes(b"")
    assert "\\udcff.png" in skipped_of(root)[1]


def test_files_that_change_while_they_are_packed(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = decode

    def meddle(content: bytes, config: FolderConfig) -> NDArray[np.uint8]:
        if (pets / "cats" / "c.png").exists():
            write(pets / "cats" / "b.png", shade(99, (17, 17)))
            (pets / "cats" / "c.png").unlink()
            write(pets / "dogs" / "new.png", shade(50))
        return original(content, config)

    monkeypatch.setattr(pictures, "decode", meddle)
    assert skipped_of(pets) == (
        3,
        {"cats/b.png": "changed while it was being packed", "cats/c.png": "removed while it was being packed"},
    )
    # The next command sees that the folder is another one now.
    assert opened(pets).samples[:, 0, 0, 0].tolist() == [0, 99, 30, 50, 40]


def test_an_archive_that_changes_while_it_is_packed(pets: Path) -> None:
    archive = packed_zip(pets, pets.parent / "pets.zip")
    data = pictures.load(archive, "train", False, FolderConfig())
    os.utime(archive, ns=(0, 1))
    with pytest.raises(DatasetError, match="changed while it was being packed"):
        data.read(0, data.num)


def test_edited_added_and_removed_pictures_are_noticed(pets: Path) -> None:
    assert opened(pets).samples[:, 0, 0, 0].tolist() == [0, 10, 20, 30, 40]
    before = (pets / "cats").stat().st_mtime_ns
    write(pets / "cats" / "a.png", shade(7, (20, 20)))  # in place: its folder has the same time as before
    assert (pets / "cats").stat().st_mtime_ns == before
    assert opened(pets).samples[:, 0, 0, 0].tolist() == [7, 10, 20, 30, 40]
    (pets / "cats" / "b.png").unlink()
    write(pets / "dogs" / "old" / "f.png", shade(50))
    assert opened(pets).samples[:, 0, 0, 0].tolist() == [7, 20, 30, 40, 50]


def test_copies_are_kept_and_reported(pets: Path, caplog: pytest.LogCaptureFixture) -> None:
    shutil.copy(pets / "cats" / "a.png", pets / "dogs" / "z.png")
    assert len(opened(pets).samples) == 6
    assert "1 of 6 pictures have the same bytes as another one, such as dogs/z.png and cats/a.png" in caplog.text
    caplog.clear()
    opened(pets)  # packed already
    assert not caplog.text


def test_an_encrypted_member_and_paths_that_climb_out_of_an_archive(tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("../../up.png", shade(1))
        file.writestr("/root.png", shade(2))
        file.writestr("secret.png", shade(3))
    content = bytearray(archive.read_bytes())
    place = content.rindex(b"secret.png") - 46  # its record in the list of members
    assert content[place : place + 4] == b"PK\x01\x02"
    content[place + 8] |= 1
    archive.write_bytes(content)
    assert skipped_of(archive) == (2, {"secret.png": "encrypted"})


def test_packing_pieces_are_small_and_the_list_is_sent_small(tmp_path: Path) -> None:
    for index in range(130):
        write(tmp_path / "many" / f"{index:04}.png", shade(index % 200, (8, 8)))
    data = pictures.load(tmp_path / "many", "train", False, FolderConfig(size=8))
    assert isinstance(data, StreamedData)
    assert (data.num, data.piece) == (130, 64)
    assert len(pickle.dumps(data.read)) < 20 * data.num
    whole = open_dataset(configured(datasets.get("folder"), {"size": 8}), "train", tmp_path / "many")
    assert whole.data.samples[:, 0, 0, 0].tolist() == [index % 200 for index in range(130)]


@pytest.mark.slow
def test_a_large_picture_takes_little_memory(tmp_path: Path) -> None:
    image = Image.new("RGBA", (5000, 5000), (10, 20, 30, 128))
    write(tmp_path / "large.png", encoded(image, compress_level=1))
    code = (
        "import sys; from pathlib import Path; from ganzoo_folder.decoding import decode; "
        "from ganzoo_folder.config import FolderConfig; content = Path(sys.argv[1]).read_bytes(); "
        "decode(content, FolderConfig()); from ganzoo.system.peak_memory import peak_resident_set; "
        "print(peak_resident_set() >> 20)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "large.png")]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(result.stdout) < 190  # of which the picture itself takes 96, and Python with numpy 40


# --- suggestions ---


def many(root: Path, num: int, image: Callable[[int], Image.Image], suffix: str = "jpg") -> Path:
    for index in range(num):
        kind = "JPEG" if suffix == "jpg" else "PNG"
        write(root / f"{'ab'[index % 2]}/{index:03}.{suffix}", encoded(image(index), kind))
    return root


def test_a_suggestion_follows_size_and_colours(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (80, 100, 3), np.uint8)
    colour = many(tmp_path / "colour", 20, lambda index: Image.fromarray(noise))
    shades = Image.fromarray(noise).convert("L").convert("RGB").resize((40, 40))
    grey = many(tmp_path / "grey", 20, lambda index: shades)
    found = suggest(colour)
    assert (found.num, found.settings["dataset_config.size"], found.settings["dataset_config.grey"]) == (20, 64, False)
    assert "conditional" not in found.settings
    assert any("--classes" in note for note in found.notes)
    assert suggest(colour, 32).settings["dataset_config.size"] == 32
    small = suggest(grey)
    assert (small.settings["dataset_config.size"], small.settings["dataset_config.grey"]) == (32, True)
    assert not any("enlarged" in note for note in small.notes)
    assert any("half have at most 40" in note for note in suggest(grey, 64).notes)
    classes = suggest(colour, classes=True)
    assert classes.settings["dataset_config.classes"] == ["a", "b"]
    assert classes.settings["conditional"] is True
    batch = classes.settings.get("batch_size")
    assert batch is None or batch <= 20


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda root: None, "no pictures in"),
        (lambda root: write(root / "a.txt", b"x"), "it has a.txt"),
        (lambda root: many(root, 3, lambda index: corners()), "has 3 pictures; a training needs at least 16"),
        (lambda root: [write(root / f"{n}.jpg", b"text") for n in range(20)], "none of 20 pictures .* not a picture"),
        (lambda root: write(root / "a.heic", b"x"), "1 cannot be used, such as a.heic: HEIC is not supported"),
    ],
)
def test_pictures_that_cannot_be_trained_on(tmp_path: Path, prepare: Callable[[Path], object], message: str) -> None:
    root = tmp_path / "pictures"
    root.mkdir()
    prepare(root)
    with pytest.raises(DatasetError, match=message) as caught:
        suggest(root)
    assert caught.value.hint


def test_wrong_paths_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingDatasetError, match="no folder or archive"):
        suggest(tmp_path / "nothing")
    with pytest.raises(DatasetError, match="is a single file") as caught:
        suggest(write(tmp_path / "a.png", shade(1)))
    assert caught.value.hint == f"Name its folder: {tmp_path}"
    with pytest.raises(DatasetError, match="cannot be read as a zip or tar"):
        suggest(write(tmp_path / "b.rar", b"Rar!" * 300))
    (tmp_path / "outer").mkdir()
    packed_zip(many(tmp_path / "many", 20, lambda index: corners()), tmp_path / "outer" / "inner.zip")
    with pytest.raises(MissingDatasetError) as caught:
        suggest(tmp_path / "outer")
    assert str(tmp_path / "outer" / "inner.zip") in caught.value.hint


def test_splits_and_single_folders_are_not_classes(tmp_path: Path) -> None:
    root = many(tmp_path / "data", 40, lambda index: corners())
    (root / "a").rename(root / "train")
    shutil.copytree(root / "b", tmp_path / "single" / "b")
    with pytest.raises(DatasetError, match="has no sub-folders with pictures, and no labels"):
        suggest(tmp_path / "single", classes=True)
    (root / "b").rename(root / "test")
    with pytest.raises(DatasetError, match="are test and train, not classes"):
        suggest(root, classes=True)
    assert suggest(root).num == 40


# --- the command line ---


def test_show_draws_a_folder_as_it_would_be_trained_on(tmp_path: Path, cwd: Path, ganzoo: Ganzoo) -> None:
    many(cwd / "pets", 20, lambda index: Image.new("RGB", (40, 40), (255 * (index % 2), 0, 0)), "png")
    write(cwd / "pets" / "a" / "text.jpg", b"text")
    result = ganzoo("data", "show", "pets", "--classes", "--out", "real.npy", "--json", "-n", "3")
    assert result.returncode == 0, result.stderr
    document = json.loads(result.stdout)
    assert document == {"path": "real.npy", "dataset": "folder", "split": "train", "num": 3, "labels": ["a", "b", "b"]}
    assert np.load(cwd / "real.npy")[:, 0, 0, 0].tolist() == [-1, 1, 1]
    assert "train: 1 of 21 skipped (not a picture: 1); see " in result.stderr
    assert "--force" not in result.stderr  # the text would be noticed when it becomes a picture
    small = ganzoo("data", "show", "./pets", "--set", "size=8", "--set", "grey=true", "--out", "real.npy", "-n", "2")
    assert small.returncode == 0, small.stderr
    assert np.load(cwd / "real.npy").shape == (2, 1, 8, 8)


def test_show_says_what_is_wrong(cwd: Path, ganzoo: Ganzoo) -> None:
    (cwd / "empty").mkdir()
    assert_two_lines(ganzoo("data", "show", "empty", "--out", "x.png"), 1, "no pictures in")
    assert_two_lines(ganzoo("data", "show", "./nothing", "--out", "x.png"), 1, "no folder or archive")
    assert_two_lines(ganzoo("data", "show", "nothing", "--out", "x.png"), 2, "no dataset named 'nothing'")
    assert_two_lines(ganzoo("data", "show", "quadratic"), 2, "not a terminal", "--out real.png")
    assert_two_lines(ganzoo("data", "show", "quadratic", "--classes", "--out", "x.png"), 2, "--classes is for a path")


def test_without_a_path_the_only_packed_folder_is_taken(pets: Path, ganzoo: Ganzoo) -> None:
    spec = configured(datasets.get("folder"), {"size": 16})
    with pytest.raises(MissingDatasetError, match="files of your own") as caught:
        open_dataset(spec, "train")
    assert "--data-dir" in caught.value.hint
    first = opened(pets).samples
    again = open_dataset(spec, "train").data
    assert isinstance(again, ArrayData)
    assert np.array_equal(again.samples, first)
    other = pets.parent / "other"
    shutil.copytree(pets / "dogs", other)
    opened(other)
    with pytest.raises(DatasetError, match="2 folders are packed"):  # not whichever was packed last
        open_dataset(spec, "train")
    shutil.rmtree(pets)
    assert np.array_equal(opened(pets).samples, first)  # the packed copy of a folder that is gone
    shutil.rmtree(other / "old")
    (other / "folder").mkdir()  # not taken for the folder of this dataset
    assert len(opened(other).samples) == 1


def test_settings_are_checked(tmp_path: Path) -> None:
    for values in ({"size": 4}, {"background": "#12345g"}, {"fit": "zoom"}, {"classes": ["a", "a"]}):
        with pytest.raises(SettingsError):
            configured(datasets.get("folder"), values)
