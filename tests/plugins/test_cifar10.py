from __future__ import annotations

import hashlib
import http.server
import os
import pickle
import shutil
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import ganzoo
from ganzoo.config import Layer
from ganzoo.errors import DatasetError, MissingDatasetError
from ganzoo.specs import ArrayData
from ganzoo.training import Training
from ganzoo.weights.tensors import deserialize
from ganzoo_cifar10 import CIFAR10
from tests.plugins.cifar10_files import NAMES, array, binary_batch, python_batch, write_python_version


def load(root: Path, split: str = "train", download: bool = False) -> ArrayData:
    data = CIFAR10.load(root, split, download)
    assert isinstance(data, ArrayData)
    return data


@pytest.fixture
def binary(photographs: Path, tmp_path: Path) -> Path:
    """A copy of the six .bin files that a test may damage."""
    return Path(shutil.copytree(photographs / "cifar-10-batches-bin", tmp_path / "data" / "cifar-10-batches-bin"))


@pytest.fixture
def python(photographs: Path, tmp_path: Path) -> Path:
    """The same batches as the python version has them."""
    return write_python_version(photographs / "cifar-10-batches-bin", tmp_path / "data" / "cifar-10-batches-py")


# --- the files ---


def test_the_images_are_the_official_ones(photographs: Path) -> None:
    data = load(photographs)
    assert data.samples.shape == (40, 3, 32, 32)
    assert data.samples.dtype == np.uint8
    assert data.labels is not None
    assert data.labels.dtype == np.int64
    # The first images of the set are a frog and two trucks; the frog's top left pixel is (59, 62, 63).
    assert [CIFAR10.sample.classes[label] for label in data.labels[:3]] == ["frog", "truck", "truck"]  # type: ignore[index]
    assert data.samples[0, :, 0, 0].tolist() == [59, 62, 63]
    assert load(photographs, "test").samples.shape == (16, 3, 32, 32)
    assert [path.name for path in data.sources] == [f"{name}.bin" for name in NAMES[:5]]


def test_the_handmade_batches_are_what_pickle_and_torchvision_read(python: Path, photographs: Path) -> None:
    for name in NAMES:
        batch = pickle.loads((python / name).read_bytes(), encoding="bytes")
        pixels, labels = binary_batch(photographs / "cifar-10-batches-bin" / f"{name}.bin")
        assert list(batch) == [b"batch_label", b"labels", b"data", b"filenames"]
        assert batch[b"data"].dtype == np.uint8
        assert np.array_equal(batch[b"data"], pixels)
        assert batch[b"labels"] == labels


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("split", ["train", "test"])
def test_both_versions_give_the_same_arrays(
    binary: Path, python: Path, photographs: Path, tmp_path: Path, split: str, inside: bool
) -> None:
    reference = load(photographs, split)
    for folder in (binary, python):
        root = tmp_path / "unpacked" / folder.name
        shutil.copytree(folder, root / folder.name if inside else root)
        data = load(root, split)
        assert np.array_equal(data.samples, reference.samples)
        assert np.array_equal(data.labels, reference.labels)
        assert len(data.sources) == {"train": 5, "test": 1}[split]


def test_a_column_by_column_array_is_read_as_it_was_meant(python: Path, photographs: Path) -> None:
    for name in NAMES:
        pixels, labels = binary_batch(photographs / "cifar-10-batches-bin" / f"{name}.bin")
        upright, lying = (array(pixels.shape, pixels.tobytes(order), fortran=order == "F") for order in "CF")
        content = python_batch("", pixels, labels)
        assert content.count(upright) == 1
        (python / name).write_bytes(content.replace(upright, lying))
        assert np.array_equal(pickle.loads((python / name).read_bytes(), encoding="bytes")[b"data"], pixels)
    assert np.array_equal(load(python).samples, load(photographs).samples)


def refusal(root: Path, split: str = "train") -> DatasetError:
    """The error of files that are not CIFAR-10's: one line what, one line how to fix it."""
    with pytest.raises(DatasetError) as caught:
        load(root, split)
    assert len(str(caught.value).splitlines()) == 1
    assert len(caught.value.hint.splitlines()) == 1
    assert "https://www.cs.toronto.edu" in caught.value.hint
    return caught.value


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content[:-1], "holds 24,583 bytes, not whole images of 3,073 each"),
        (lambda content: b"", "holds 0 bytes"),
        (lambda content: content[: 5 * 3073], "data_batch_3.bin holds 5 images, data_batch_1.bin 8"),
        (lambda content: b"\x0a" + content[1:], "a label outside 0 to 9"),
    ],
)
def test_a_damaged_binary_batch_is_named(binary: Path, change: Callable[[bytes], bytes], message: str) -> None:
    path = binary / "data_batch_3.bin"
    path.write_bytes(change(path.read_bytes()))
    error = refusal(binary.parent)
    assert message in str(error)
    assert "data_batch_3.bin" in str(error)


def test_a_file_of_gigabytes_is_refused(binary: Path) -> None:
    os.truncate(binary / "data_batch_1.bin", 8 << 30)
    assert "data_batch_1.bin has more than 268,435,456 bytes" in str(refusal(binary.parent))


def test_of_batches_of_several_sizes_the_smallest_is_named(binary: Path) -> None:
    os.truncate(binary / "data_batch_1.bin", 5 * 3073)
    assert "data_batch_1.bin holds 5 images, data_batch_2.bin 8." in str(refusal(binary.parent))


@pytest.mark.parametrize("version", ["binary", "python"])
def test_missing_batches_are_named(version: str, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(version)
    gone = [path for path in sorted(folder.iterdir()) if "_2" in path.name or "_5" in path.name]
    for path in gone:
        path.unlink()
    error = refusal(folder.parent)
    assert f"lacks {', '.join(path.name for path in gone)}." in str(error)
    assert load(folder.parent, "test").samples.shape == (16, 3, 32, 32)


class Malicious:
    """A pickle that makes a file when somebody loads it."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.trace}",)


def test_a_malicious_batch_is_refused_and_runs_nothing(python: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    content = pickle.dumps({"data": Malicious(trace)}, protocol=2)
    (python / "data_batch_1").write_bytes(content)
    assert f"it names '{os.system.__module__}.system'" in str(refusal(python.parent))
    assert not trace.exists()
    pickle.loads(content)
    assert trace.exists()  # it would have


PIXELS = np.arange(2 * 3072, dtype=np.uint8).reshape(2, 3072)
BATCH = python_batch("training batch 1 of 5", PIXELS, [3, 4])
ARRAY = array((2, 3072), PIXELS.tobytes())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "Ran out of input"),
        (BATCH[: len(BATCH) // 2], "pickle data was truncated"),
        (b"not a pickle\n", "not a batch of the python version"),
        (b"\x80\x02]q\x01.", "not hold a dictionary with an array `data`"),
        (BATCH.replace(b"U\x04data", b"U\x04atad"), "not hold a dictionary with an array `data`"),
        (BATCH.replace(ARRAY, b"K\x07"), "not hold a dictionary with an array `data`"),
        (
            BATCH.replace(ARRAY, array((2, 3072), PIXELS.astype("<f4").tobytes(), code=b"f4")),
            "its pixels are not bytes",
        ),
        (BATCH.replace(ARRAY, array((2, 3072), b"", code=b"O8")), "its pixels are not bytes"),
        (BATCH.replace(ARRAY, array((2, 3, 1024), PIXELS.tobytes())), "its pixels are (2, 3, 1024)"),
        (BATCH.replace(ARRAY, array((3, 2048), PIXELS.tobytes())), "its pixels are (3, 2048) in 6,144 bytes"),
        (BATCH.replace(ARRAY, array((2, 3072), PIXELS.tobytes()[:-1])), "in 6,143 bytes, for 2 labels"),
        (BATCH.replace(ARRAY, array((-1, 3072), PIXELS.tobytes())), "its pixels are (-1, 3072)"),
        (BATCH.replace(b"(K\x03K\x04e", b"(K\x03e", 1), "for 1 labels"),
        (BATCH.replace(b"]q\x05(K\x03K\x04e", b"]q\x05", 1), "for 0 labels"),
        (BATCH.replace(b"(K\x03K\x04e", b"(K\x03U\x01\x04e", 1), "its labels are not a list of small integers"),
        (BATCH.replace(b"(K\x03K\x04e", b"(K\x03\x8a\x09" + bytes(8) + b"\x01e", 1), "not a list of small integers"),
        (BATCH.replace(b"]q\x05(K\x03K\x04e", b"}q\x05(K\x03K\x03K\x04K\x04u", 1), "not a list of small integers"),
        (BATCH.replace(b"(K\x03K\x04e", b"(K\x03K\x0ae", 1), "a label outside 0 to 9"),
    ],
)
def test_a_damaged_python_batch_is_refused(python: Path, content: bytes, message: str) -> None:
    assert content != BATCH
    (python / "data_batch_1").write_bytes(content)
    error = refusal(python.parent)
    assert message in str(error)
    assert "data_batch_1" in str(error)


def test_a_folder_of_something_else_says_how_to_get_the_files(tmp_path: Path, digits: Path) -> None:
    for root in (digits, tmp_path / "nowhere"):
        with pytest.raises(MissingDatasetError, match="no CIFAR-10 train files under") as caught:
            load(root)
        for word in ("binary or the python version", "https://", "unpack", "--data-dir"):
            assert word in caught.value.hint


# --- the download ---


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on a web server, which torchvision takes for CIFAR-10's home; it still checks the archive's digest."""
    from torchvision.datasets import CIFAR10 as TORCHVISION_CIFAR10

    folder = tmp_path / "mirror"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(folder))  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/cifar-10-python.tar.gz"
    monkeypatch.setattr(TORCHVISION_CIFAR10, "url", address)
    yield folder
    server.shutdown()
    server.server_close()


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


@pytest.fixture
def whole_mirror(python: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mirror with the small batches, whose digests torchvision takes for the official ones."""
    from torchvision.datasets import CIFAR10 as TORCHVISION_CIFAR10

    meta = python / "batches.meta"
    meta.write_bytes(pickle.dumps({"label_names": list(CIFAR10.sample.classes or ())}, protocol=2))
    archive = mirror / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(python, python.name)
    lists = {"train_list": NAMES[:5], "test_list": NAMES[5:]}
    for name, files in lists.items():
        monkeypatch.setattr(TORCHVISION_CIFAR10, name, [[file, md5(python / file)] for file in files])
    monkeypatch.setattr(TORCHVISION_CIFAR10, "meta", {**TORCHVISION_CIFAR10.meta, "md5": md5(meta)})
    monkeypatch.setattr(TORCHVISION_CIFAR10, "tgz_md5", md5(archive))


@pytest.mark.slow
def test_a_download_is_unpacked_and_read(tmp_path: Path, whole_mirror: None, capfd: pytest.CaptureFixture[str]) -> None:
    data = load(tmp_path / "store", download=True)
    assert len(data.samples) == 40
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["cifar-10-batches-py"]
    assert (tmp_path / "store" / "cifar-10-batches-py" / "data_batch_1").is_file()
    assert capfd.readouterr().out == ""


def test_a_download_that_was_stopped_while_unpacking_is_made_again(
    tmp_path: Path, whole_mirror: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(archive: tarfile.TarFile, path: str, **_: object) -> None:
        for member in archive.getmembers()[:4]:
            archive.extract(member, path, filter="data")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tarfile.TarFile, "extractall", stop)
        with pytest.raises(KeyboardInterrupt):
            load(tmp_path / "store", download=True)
    with pytest.raises(MissingDatasetError):
        load(tmp_path / "store")
    assert len(load(tmp_path / "store", download=True).samples) == 40


def assert_download_fails(root: Path) -> None:
    with pytest.raises(MissingDatasetError, match=r"^cannot download CIFAR-10: .*[^.:]\.$") as caught:
        load(root, download=True)
    assert "--data-dir" in caught.value.hint


def test_a_download_with_wrong_bytes_is_refused(mirror: Path, tmp_path: Path) -> None:
    (mirror / "cifar-10-python.tar.gz").write_bytes(b"not the archive")
    assert_download_fails(tmp_path / "store")


def test_a_download_without_network_says_how_to_get_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import CIFAR10 as TORCHVISION_CIFAR10

    monkeypatch.setattr(TORCHVISION_CIFAR10, "url", "http://127.0.0.1:9/cifar-10-python.tar.gz")
    assert_download_fails(tmp_path / "store")


# --- the recipes ---

TINY: dict[str, Any] = {
    "seed": 0,
    "steps": 6,
    "batch_size": 8,
    "config.generator_widths": [8, 6, 4],
    "config.discriminator_widths": [4, 6, 8],
    "config.weight_std": 0.2,
    "log_every": 2,
    "sample_every": 6,
    "checkpoint_every": 3,
}

RECIPES = ("cifar10-dcgan", "cifar10-wgan", "cifar10-wgan-gp")


def digests(run: Path) -> dict[str, str]:
    paths = [run / "model.safetensors", run / "discriminator.safetensors", *(run / "samples").iterdir()]
    return {str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_trains_and_a_resumed_run_gives_the_same_bytes(name: str, photographs: Path, tmp_path: Path) -> None:
    run = ganzoo.train(name, out=tmp_path / "run", data_dir=photographs, settings=TINY)
    assert [record["step"] for record in run.records()] == [2, 4, 6]
    assert run.records()[-1]["images"] == 6 * 8 * (1 if name == "cifar10-dcgan" else 5)
    with Image.open(run.path / "samples" / "step-00000006.png") as picture:
        assert picture.mode == "RGB"
        assert min(picture.size) >= 5 * 32
        assert len(np.unique(np.array(picture).reshape(-1, 3), axis=0)) > 100
    samples = ganzoo.load(run.path).sample(4, seed=0)
    assert samples.shape == (4, 3, 32, 32)
    assert samples.abs().max() <= 1

    job = Training.start(name, tmp_path / "stopped", [Layer("test", TINY)], photographs)
    job.should_stop = lambda: job.state.step == 4
    list(job)
    assert not job.finished
    ganzoo.resume(job.run.path)
    assert digests(job.run.path) == digests(run.path)
    last, again = (deserialize(other.checkpoints.path(6).read_bytes(), "")[0] for other in (run, job.run))
    assert last.keys() == again.keys()
    assert all(torch.equal(last[key], again[key]) for key in last if not key.endswith("seconds"))


def test_a_resumed_runs_moments_lie_in_memory_as_their_parameters_do(photographs: Path, tmp_path: Path) -> None:
    run = ganzoo.train("cifar10-dcgan", out=tmp_path / "run", data_dir=photographs, settings={**TINY, "steps": 3})
    job = Training.resume(run.path, [Layer("test", {"steps": 4})])
    kernels = 0
    networks = job.state.networks
    for net, optimizer in (
        (networks.generator, networks.generator_optimizer),
        (networks.discriminator, networks.discriminator_optimizer),
    ):
        moments = dict(optimizer.named_buffers())
        assert float(moments["step"]) == 3
        for index, parameter in enumerate(net.parameters()):
            strides = {moments[f"{index}/{name}"].stride() for name in ("exp_avg", "exp_avg_sq")}
            assert strides == {parameter.stride()}
            kernels += parameter.dim() == 4 and not parameter.is_contiguous()
    assert kernels == 8  # the other two parameters of four dimensions lie in memory one way only
    list(job)


def test_weight_clip_clips_the_critic_and_nothing_else(photographs: Path, tmp_path: Path) -> None:
    run = ganzoo.train("cifar10-wgan", out=tmp_path / "run", data_dir=photographs, settings=TINY)
    networks = Training.resume(run.path).state.networks

    def largest(net: torch.nn.Module) -> float:
        return max(float(parameter.detach().abs().max()) for parameter in net.parameters())

    assert largest(networks.discriminator) == pytest.approx(0.01)
    assert largest(networks.generator) > 0.5


def test_the_published_sigmoids_come_back_by_a_setting(photographs: Path, tmp_path: Path) -> None:
    published = {"config.output": "sigmoid", "config.discriminator_output": "sigmoid", "ema_decay": None}
    settings = {**TINY, **published, "steps": 2}
    run = ganzoo.train("cifar10-dcgan", out=tmp_path / "run", data_dir=photographs, settings=settings)
    samples = ganzoo.load(run.path).sample(4, seed=0)
    assert 0 <= samples.min() <= samples.max() <= 1
    record = run.records()[-1]
    assert 0.5 <= record["score_fake"] <= torch.tensor(1.0).sigmoid()  # a sigmoid of a sigmoid, as published
