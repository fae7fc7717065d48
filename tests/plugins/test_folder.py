"""The dataset `folder`: pictures of any kind, in folders and archives, with and without classes."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ganzoo.data import open_dataset
from ganzoo.data.settings import configured
from ganzoo.errors import DatasetError
from ganzoo.registry import datasets
from ganzoo.specs import ArrayData, Suggestion
from ganzoo_folder import decoding
from ganzoo_folder.config import FolderConfig
from ganzoo_folder.decoding import UnusableError, decode

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
    assert opened(pets, classes=["dogs", "cats"]).labels.tolist() == [1, 1, 1, 0, 0]
    only = opened(pets, classes=["dogs"])
    assert (only.labels.tolist(), only.samples[:, 0, 0, 0].tolist()) == ([0, 0], [30, 40])
    # What all pictures share is not a class.
    assert opened(pets.parent, classes=["cats", "dogs"]).labels.tolist() == [0, 0, 0, 1, 1]
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
    data = opened(pets, classes=["0", "1"])
    assert data.samples[:, 0, 0, 0].tolist() == [0, 10, 40]
    assert data.labels.tolist() == [1, 0, 1]


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
    folder, found = opened(pets, classes=["cats", "dogs"]), opened(archive, classes=["cats", "dogs"])
    assert np.array_equal(found.samples, folder.samples)
    assert np.array_equal(found.labels, folder.labels)
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
    assert opened(pets, mirror=True, classes=["dogs"]).labels.tolist() == [0, 0, 0, 0]
