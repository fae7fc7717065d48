from __future__ import annotations

import gzip
import hashlib
import http.server
import shutil
import struct
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ganzoo.errors import DatasetError, MissingDatasetError
from ganzoo.specs import ArrayData
from ganzoo_mnist import MNIST

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def load(root: Path, split: str = "train", download: bool = False) -> ArrayData:
    data = MNIST.load(root, split, download)
    assert isinstance(data, ArrayData)
    return data


def unpack(source: Path, target: Path, rename: Callable[[str], str] = str) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        (target / rename(name)).write_bytes(gzip.decompress((source / f"{name}.gz").read_bytes()))


@pytest.mark.parametrize("folder", ["MNIST/raw", "raw", "."])
@pytest.mark.parametrize("form", ["gz", "raw", "dotted"])
def test_every_usual_layout_gives_the_same_digits(digits: Path, tmp_path: Path, folder: str, form: str) -> None:
    place = tmp_path / "data" / folder
    if form == "gz":
        shutil.copytree(digits, place, dirs_exist_ok=True)
    else:
        unpack(digits, place, (lambda name: name.replace("-idx", ".idx")) if form == "dotted" else str)
    for split, num in (("train", 256), ("test", 128)):
        data, reference = load(tmp_path / "data", split), load(digits, split)
        assert data.samples.shape == (num, 1, 28, 28)
        assert data.samples.dtype == np.uint8
        assert data.labels is not None
        assert data.labels.dtype == np.int64
        assert np.array_equal(data.samples, reference.samples)
        assert np.array_equal(data.labels, reference.labels)


def test_the_digits_are_the_official_ones(digits: Path) -> None:
    data = load(digits)
    assert data.labels is not None
    assert data.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert data.samples[0].sum() == 27525


def test_torchvision_reads_the_same(digits: Path, tmp_path: Path) -> None:
    from torchvision.datasets import MNIST as TORCHVISION_MNIST

    unpack(digits, tmp_path / "MNIST" / "raw")
    theirs = TORCHVISION_MNIST(str(tmp_path), train=True, download=False)
    ours = load(tmp_path)
    assert np.array_equal(theirs.data.numpy(), ours.samples[:, 0])
    assert np.array_equal(theirs.targets.numpy(), ours.labels)


def test_missing_files_say_how_to_get_them_and_where_to_put_them(tmp_path: Path) -> None:
    with pytest.raises(MissingDatasetError, match="no MNIST test files under") as caught:
        load(tmp_path, "test")
    for word in ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz", "https://", "--data-dir"):
        assert word in caught.value.hint


def corrupt(digits: Path, tmp_path: Path, name: str, content: bytes) -> Path:
    target = tmp_path / "data"
    shutil.copytree(digits, target)
    (target / name).write_bytes(content)
    return target


IMAGES = "train-images-idx3-ubyte.gz"


def test_corrupt_gz_files_are_refused(digits: Path, tmp_path: Path) -> None:
    good = (digits / IMAGES).read_bytes()
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 0xFF
    for index, content in enumerate((good[: len(good) // 2], bytes(flipped), b"not gzip")):
        with pytest.raises(DatasetError, match=r"cannot read|but holds more") as caught:
            load(corrupt(digits, tmp_path / str(index), IMAGES, content))
        assert "Replace it" in caught.value.hint


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an idx file"),
        (bytes(3), "not an idx file"),
        (struct.pack(">4B3I", 0, 0, 13, 3, 1, 28, 28) + bytes(784), "not an idx file"),
        (struct.pack(">4B2I", 0, 0, 8, 2, 28, 28) + bytes(784), "not an idx file"),
        (struct.pack(">4B3I", 0, 0, 8, 3, 256, 28, 28) + bytes(100), "promises 200,704 bytes"),
        (struct.pack(">4B3I", 0, 0, 8, 3, 256, 28, 28) + bytes(256 * 784 + 1), "but holds more"),
        (struct.pack(">4B3I", 0, 0, 8, 3, 256, 27, 28) + bytes(256 * 27 * 28), "not 28 × 28"),
        (struct.pack(">4B3I", 0, 0, 8, 3, 255, 28, 28) + bytes(255 * 784), "255 images for 256 labels"),
    ],
)
def test_files_of_another_form_are_refused(digits: Path, tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        load(corrupt(digits, tmp_path, IMAGES, gzip.compress(content)))


def test_no_more_is_unpacked_than_a_header_promises(digits: Path, tmp_path: Path) -> None:
    bomb = gzip.compress(struct.pack(">4B3I", 0, 0, 8, 3, 256, 28, 28) + bytes(50_000_000))
    folder = corrupt(digits, tmp_path, IMAGES, bomb)
    tracemalloc.start()
    with pytest.raises(DatasetError, match="but holds more"):
        load(folder)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()
    (folder / IMAGES).write_bytes(gzip.compress(struct.pack(">4B3I", 0, 0, 8, 3, 6_000_000, 28, 28)))
    with pytest.raises(DatasetError, match="promises 6,000,000 items"):
        load(folder)


@pytest.fixture
def mirror(digits: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A web server with the small files, which torchvision takes for MNIST's mirror; it still checks their digests."""
    from torchvision.datasets import MNIST as TORCHVISION_MNIST

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(digits))  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/"
    monkeypatch.setattr(TORCHVISION_MNIST, "mirrors", [address])
    yield address
    server.shutdown()
    server.server_close()


@pytest.fixture
def whole_mirror(digits: Path, mirror: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mirror, whose digests torchvision takes for the official ones."""
    from torchvision.datasets import MNIST as TORCHVISION_MNIST

    def digest(name: str) -> str:
        return hashlib.md5((digits / name).read_bytes()).hexdigest()

    resources = [(f"{name}.gz", digest(f"{name}.gz")) for name in FILES]
    monkeypatch.setattr(TORCHVISION_MNIST, "resources", resources)


def test_a_download_lands_in_torchvisions_layout(
    tmp_path: Path, whole_mirror: None, capfd: pytest.CaptureFixture[str]
) -> None:
    data = load(tmp_path, download=True)
    assert len(data.samples) == 256
    assert [path.name for path in tmp_path.iterdir()] == ["MNIST"]
    assert (tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte").is_file()
    assert capfd.readouterr().out == ""


def test_a_download_that_was_stopped_while_unpacking_is_made_again(
    tmp_path: Path, whole_mirror: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(file: gzip.GzipFile, size: int | None = -1) -> bytes:
        if "labels" in str(file.name):
            raise KeyboardInterrupt
        return read(file, size)

    read = gzip.GzipFile.read
    with monkeypatch.context() as patch:
        patch.setattr(gzip.GzipFile, "read", stop)
        with pytest.raises(KeyboardInterrupt):
            load(tmp_path, download=True)
    with pytest.raises(MissingDatasetError):
        load(tmp_path)
    assert len(load(tmp_path, download=True).samples) == 256


def test_a_download_with_wrong_bytes_is_refused(tmp_path: Path, mirror: str) -> None:
    # The mirror has 256 digits; torchvision's own digests are those of 60,000.
    with pytest.raises(MissingDatasetError, match="cannot download MNIST") as caught:
        load(tmp_path, download=True)
    assert "--data-dir" in caught.value.hint


def test_a_download_without_network_says_how_to_get_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import MNIST as TORCHVISION_MNIST

    monkeypatch.setattr(TORCHVISION_MNIST, "mirrors", ["http://127.0.0.1:9/"])
    with pytest.raises(MissingDatasetError, match="cannot download MNIST") as caught:
        load(tmp_path, download=True)
    assert "--data-dir" in caught.value.hint
