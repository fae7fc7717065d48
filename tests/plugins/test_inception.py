from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import os
import pickle
import socket
import threading
import time
import zipfile
from collections.abc import Iterator
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from ganzoo import registry
from ganzoo.config import environment_layer, resolve
from ganzoo.distances import authenticity, inception_score, kernel_distance, neighbourhoods
from ganzoo.errors import EvaluationError
from ganzoo.evaluation.extractors import Extractors
from ganzoo.evaluation.features import extract
from ganzoo.evaluation.measurement import evaluate_gan
from ganzoo.specs import EvaluationProtocol, Extractor, MetricInputs, SampleSpec
from ganzoo_inception import (
    FID,
    INCEPTION_2015,
    INCEPTION_AUTHENTICITY,
    INCEPTION_PRECISION,
    INCEPTION_RECALL,
    INCEPTION_SCORE,
    KID,
    KID_ALL,
    weights,
)
from tests.conftest import Ganzoo, assert_two_lines
from tests.test_evaluation import metric_inputs
from tests.test_model import make_gan

CPU = torch.device("cpu")
# The fixture `home` clears GANZOO_ variables, so these are read before.
REAL_WEIGHTS = os.environ.get("GANZOO_INCEPTION_WEIGHTS")
TEST_DATA = os.environ.get("GANZOO_TEST_DATA")

needs_real_weights = pytest.mark.skipif(not REAL_WEIGHTS, reason="GANZOO_INCEPTION_WEIGHTS names no weights")
needs_real_data = pytest.mark.skipif(not TEST_DATA, reason="GANZOO_TEST_DATA names no folder with CIFAR-10")


@pytest.fixture(autouse=True)
def torch_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of torch hub, and a network that refuses at once."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    return tmp_path / "torch"


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A .pth file of the Inception's form with values drawn from a seed, such that no signal dies on its way."""
    from torch_fidelity import FeatureExtractorInceptionV3

    class Bare(FeatureExtractorInceptionV3):
        def load_state_dict(self, *_: object) -> None:
            pass

    empty = io.BytesIO()
    torch.save({}, empty)
    empty.seek(0)
    source = torch.Generator().manual_seed(0)
    tensors = Bare("bare", ["2048"], feature_extractor_weights_path=empty).state_dict()
    for tensor in tensors.values():
        if tensor.dim() > 1:
            tensor.normal_(0, (2 / tensor[0].numel()) ** 0.5, generator=source)
    path = tmp_path_factory.mktemp("inception") / "untrained.pth"
    torch.save(tensors, path)
    return path


@pytest.fixture(scope="session")
def extractor(untrained: Path, tmp_path_factory: pytest.TempPathFactory) -> Extractor:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANZOO_INCEPTION_WEIGHTS", str(untrained))
        return INCEPTION_2015.load(CPU, tmp_path_factory.mktemp("store"))


def pictures(num: int, seed: int, brightness: int) -> Tensor:
    """Noise, as uint8 [num, 3, 32, 32]."""
    source = torch.Generator().manual_seed(seed)
    return torch.randint(0, brightness, (num, 3, 32, 32), generator=source).byte()


def to_float(images: Tensor) -> Tensor:
    return images.float() / 127.5 - 1


SAMPLES, REAL = pictures(8, 0, 256), pictures(8, 1, 200)


def inputs_of(extractor: Extractor, samples: Tensor, real: Tensor) -> MetricInputs:
    """What metrics see of two sets of images in [-1, 1]."""
    return metric_inputs(
        samples=samples,
        features=cache(lambda _: extract(INCEPTION_2015, extractor, samples, CPU)),
        real_features=cache(lambda _: extract(INCEPTION_2015, extractor, real, CPU)),
    )


@pytest.fixture(scope="session")
def inputs(extractor: Extractor) -> MetricInputs:
    return inputs_of(extractor, to_float(SAMPLES), to_float(REAL))


# --- numbers ---


def theirs(samples: Tensor, real: Tensor, weights_path: Path, folder: Path, **settings: object) -> dict[str, float]:
    """What torch-fidelity says of two folders of PNG files."""
    from PIL import Image
    from torch_fidelity import calculate_metrics

    for name, images in (("samples", samples), ("real", real)):
        (folder / name).mkdir()
        for index, image in enumerate(images):
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / name / f"{index:02}.png")
    metrics: dict[str, float] = calculate_metrics(
        input1=str(folder / "samples"),
        input2=str(folder / "real"),
        feature_extractor="inception-v3-compat",
        feature_extractor_weights_path=str(weights_path),
        cuda=False,
        cache=False,
        verbose=False,
        save_cpu_ram=True,  # no workers
        **settings,
    )
    return metrics


@pytest.mark.slow
def test_torch_fidelity_gives_the_same_numbers_for_folders_of_pngs(
    inputs: MetricInputs, untrained: Path, tmp_path: Path
) -> None:
    settings = {"kid_subset_size": 6, "prc_neighborhood": 5, "isc_splits": 4}
    found = theirs(SAMPLES, REAL, untrained, tmp_path, kid=True, isc=True, prc=True, **settings)
    fake, real = inputs.features(""), inputs.real_features("")
    near = neighbourhoods(fake.values, real.values)
    ours = {
        "kernel_inception_distance_mean": kernel_distance(fake.values, real.values, subset_size=6),
        "inception_score_mean": inception_score(fake.logits, splits=4),
        "precision": near.precision,
        "recall": near.recall,
    }
    for name, value in ours.items():
        assert value == pytest.approx(found[name], rel=1e-4, abs=1e-6), name


@pytest.mark.slow
def test_a_set_is_at_distance_zero_from_itself(inputs: MetricInputs) -> None:
    same = metric_inputs(features=inputs.features, real_features=inputs.features)
    assert FID.compute(same) == pytest.approx(0, abs=1e-6)
    assert INCEPTION_PRECISION.compute(same) == INCEPTION_RECALL.compute(same) == 1


def test_features_do_not_depend_on_the_batches(inputs: MetricInputs, extractor: Extractor) -> None:
    in_fives = extract(dataclasses.replace(INCEPTION_2015, batch_size=5), extractor, inputs.samples, CPU)
    whole = inputs.features("").values
    assert torch.allclose(in_fives.values, whole, rtol=1e-5, atol=1e-5 * float(whole.abs().max()))
    assert in_fives.values.shape == (8, 2048)


def test_grey_images_count_as_colour_images_of_three_equal_channels(extractor: Extractor) -> None:
    grey = pictures(1, 2, 256)[:, :1]
    outputs = extractor.outputs(grey)["values"]
    assert torch.allclose(outputs, extractor.outputs(grey.repeat(1, 3, 1, 1))["values"])


def test_loading_leaves_the_global_generator_alone(untrained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANZOO_INCEPTION_WEIGHTS", str(untrained))
    before = torch.get_rng_state()
    INCEPTION_2015.load(CPU, Path())
    assert torch.equal(torch.get_rng_state(), before)


QUICK = EvaluationProtocol(
    name="quick", metrics=("inception-density",), num_samples=8, seeds=(0,), split="test", num_real=8
)


@pytest.mark.slow
def test_other_weights_are_a_deviation_and_edited_statistics_are_refused(
    untrained: Path, digits: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANZOO_INCEPTION_WEIGHTS", str(untrained))
    gan = make_gan(SampleSpec(kind="image", shape=(1, 28, 28)))
    result = evaluate_gan(gan, "tiny", QUICK, digits)
    assert result.metrics[0].value >= 0
    assert "untrained.pth does not hold the Inception weights" in (result.deviation or "")
    assert result.extractors[0]["sha256"] == weights.read(untrained, "").sha256

    (values,) = home.glob("statistics/mnist/*/values.npy")
    content = bytearray(values.read_bytes())
    content[-1] ^= 1
    values.write_bytes(content)
    with pytest.raises(EvaluationError, match=r"values\.npy is damaged or was edited"):
        evaluate_gan(gan, "tiny", QUICK, digits)


# --- what gives no number ---


def test_kid_of_too_few_samples_is_refused(inputs: MetricInputs) -> None:
    with pytest.raises(EvaluationError, match="needs 1,000 samples on both sides, not 8 and 8"):
        KID.compute(inputs)


def test_kid_without_subsets_takes_any_number(inputs: MetricInputs) -> None:
    fake, real = inputs.features("").values, inputs.real_features("").values
    assert KID_ALL.compute(inputs) == pytest.approx(kernel_distance(fake, real, subsets=1, subset_size=8), rel=1e-4)


def test_authenticity_tells_copies_from_other_images(extractor: Extractor, inputs: MetricInputs) -> None:
    assert INCEPTION_AUTHENTICITY.compute(inputs_of(extractor, to_float(REAL[:4]), to_float(REAL))) == 0
    fake, real = inputs.features("").values, inputs.real_features("").values
    assert INCEPTION_AUTHENTICITY.compute(inputs) == authenticity(fake, real)


def test_whether_the_weights_are_at_hand_is_known_without_a_download(
    untrained: Path, torch_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extractors = Extractors(CPU)
    assert not extractors.at_hand("inception-2015")
    assert not extractors.at_hand("unknown")
    assert extractors.at_hand("lenet-mnist")
    cached = torch_home / "hub" / "checkpoints" / weights.NAME
    cached.parent.mkdir(parents=True)
    cached.touch()
    assert extractors.at_hand("inception-2015")
    cached.unlink()
    monkeypatch.setenv("GANZOO_INCEPTION_WEIGHTS", str(untrained))
    assert extractors.at_hand("inception-2015")


def test_one_sample_has_no_fid(extractor: Extractor) -> None:
    one = to_float(SAMPLES[:1])
    with pytest.raises(EvaluationError, match="at least two samples"):
        FID.compute(inputs_of(extractor, one, one))


@pytest.mark.parametrize("metric", ["fid", "kid", "inception-recall", "inception-score"])
def test_curves_have_no_inception_metric(metric: str) -> None:
    samples = torch.zeros(10, 15)
    extractors = Extractors(CPU)
    inputs = metric_inputs(samples=samples, features=lambda name: extractors.extract(name, samples, "curve"))
    with pytest.raises(EvaluationError, match=r"inception-2015 takes images, not samples of shape \[15\]"):
        registry.metrics.get(metric).compute(inputs)


def test_images_of_other_channels_are_refused(extractor: Extractor) -> None:
    with pytest.raises(EvaluationError, match="one or three channels, not 4"):
        extract(INCEPTION_2015, extractor, torch.zeros(2, 4, 8, 8), CPU)


def test_broken_samples_have_no_features(extractor: Extractor) -> None:
    with pytest.raises(EvaluationError, match="NaN"):
        extract(INCEPTION_2015, extractor, torch.full((2, 3, 8, 8), float("nan")), CPU)


@pytest.mark.slow
def test_weights_without_their_final_layer_give_no_inception_score(
    untrained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensors = torch.load(untrained, weights_only=True)
    whole = weights.read(untrained, "")
    headless = {name: tensor for name, tensor in tensors.items() if not name.startswith("fc.")}
    save_file(headless, tmp_path / "headless.safetensors")
    # Zeros in its place are none either, though the network takes them.
    torch.save({**tensors, "fc.weight": torch.zeros(1008, 2048)}, tmp_path / "zeros.pth")
    for name in ("headless.safetensors", "zeros.pth"):
        found = weights.read(tmp_path / name, "")
        assert not found.has_classifier
        assert found.sha256 == whole.sha256
    assert whole.has_classifier

    monkeypatch.setenv("GANZOO_INCEPTION_WEIGHTS", str(tmp_path / "headless.safetensors"))
    images = to_float(SAMPLES[:2])
    inputs = inputs_of(INCEPTION_2015.load(CPU, tmp_path), images, images)
    with pytest.raises(EvaluationError, match="FID and KID, but no Inception Score"):
        INCEPTION_SCORE.compute(inputs)


def test_without_weights_and_network_there_is_one_line_within_seconds(
    ganzoo: Ganzoo, digits: Path, tmp_path: Path
) -> None:
    make_gan(SampleSpec(kind="image", shape=(1, 28, 28))).save(tmp_path / "gan")
    started = time.monotonic()
    result = ganzoo("eval", tmp_path / "gan", "--protocol", "mnist-fid10k-v1", "--data-dir", digits)
    assert_two_lines(result, 1, "cannot be downloaded", "GANZOO_INCEPTION_WEIGHTS", weights.URL)
    assert time.monotonic() - started < 60
    assert not list(tmp_path.rglob("*.partial"))


# --- weights ---


class Pickled:
    """A pickle that makes a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_a_pickle_that_does_something_is_refused_and_does_nothing(tmp_path: Path) -> None:
    torch.save({"fc.weight": Pickled(tmp_path / "done")}, tmp_path / "evil.pth")
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(Pickled(tmp_path / "done")))
    for name in ("evil.pth", "evil.pkl"):
        with pytest.raises(EvaluationError, match=r"evil\.p.* cannot be read"):
            weights.read(tmp_path / name, "")
    assert not (tmp_path / "done").exists()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("cut.pth", b"PK\x03\x04 and no more", "it is damaged"),
        ("cut.safetensors", (1000).to_bytes(8, "little") + b'{"a":', "neither safetensors nor a .pth"),
        ("page.pth", b"<html>not found</html>", "neither safetensors nor a .pth"),
        ("empty.pth", b"", "neither safetensors nor a .pth"),
    ],
)
def test_a_damaged_file_is_one_line(
    name: str, content: bytes, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).write_bytes(content)
    monkeypatch.setenv("GANZOO_INCEPTION_WEIGHTS", str(tmp_path / name))
    with pytest.raises(EvaluationError, match=says) as caught:
        INCEPTION_2015.load(CPU, tmp_path)
    assert "\n" not in str(caught.value)
    assert weights.URL in caught.value.hint


def test_a_file_with_nan_is_refused(tmp_path: Path) -> None:
    save_file({"fc.bias": torch.tensor([float("nan")])}, tmp_path / "nan.safetensors")
    with pytest.raises(EvaluationError, match="NaN"):
        weights.read(tmp_path / "nan.safetensors", "")


def test_weights_of_another_network_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_file({"layer.weight": torch.zeros(3, 3)}, tmp_path / "other.safetensors")
    monkeypatch.setenv("GANZOO_INCEPTION_WEIGHTS", str(tmp_path / "other.safetensors"))
    with pytest.raises(EvaluationError, match="other tensors than the Inception"):
        INCEPTION_2015.load(CPU, tmp_path)


def test_a_missing_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANZOO_INCEPTION_WEIGHTS", str(tmp_path / "nowhere.pth"))
    with pytest.raises(EvaluationError, match=r"nowhere\.pth is not a file"):
        INCEPTION_2015.load(CPU, tmp_path)


@pytest.mark.parametrize("name", [weights.NAME, weights.OTHER_NAME])
def test_other_values_in_the_cache_of_torch_hub_are_refused(name: str, torch_home: Path, tmp_path: Path) -> None:
    path = torch_home / "hub" / "checkpoints" / name
    path.parent.mkdir(parents=True)
    torch.save({"fc.bias": torch.zeros(3)}, path)
    with pytest.raises(EvaluationError, match=f"{name} does not hold the Inception weights of 2015-12-05"):
        INCEPTION_2015.load(CPU, tmp_path)


def test_the_digest_is_of_names_and_values_without_the_final_layer() -> None:
    tensors = {"b": torch.tensor([1.0, 2.0]), "a": torch.tensor(3.0), "fc.bias": torch.zeros(1)}
    expected = hashlib.sha256(b"a" + tensors["a"].numpy().tobytes() + b"b" + tensors["b"].numpy().tobytes())
    assert weights.content_sha256(tensors) == expected.hexdigest()


def test_the_address_is_that_of_torch_fidelity() -> None:
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

    assert weights.URL == URL_INCEPTION_V3


def test_offline_nothing_is_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with served(b"weights") as url, pytest.raises(EvaluationError, match="HF_HUB_OFFLINE forbids downloads"):
        weights.download(url, tmp_path / "x.pth")


def test_compressed_and_huge_files_are_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(3)}, tmp_path / "x.pth")
    with zipfile.ZipFile(tmp_path / "x.pth") as old, zipfile.ZipFile(tmp_path / "z.pth", "w", 8) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    with pytest.raises(EvaluationError, match=r"z\.pth cannot be read as a \.pth file"):
        weights.read(tmp_path / "z.pth", "hint")
    os.truncate(tmp_path / "x.pth", 8 << 30)
    with pytest.raises(EvaluationError, match="has more than 200,000,000 bytes"):
        weights.read(tmp_path / "x.pth", "hint")


def test_the_variable_is_not_a_training_setting() -> None:
    layer = environment_layer({"GANZOO_INCEPTION_WEIGHTS": "file.pth"})
    recipe = registry.recipes.get("cifar10-dcgan")
    assert resolve(recipe, [layer], seed=0).to_json() == resolve(recipe, [], seed=0).to_json()


@contextlib.contextmanager
def served(content: bytes) -> Iterator[str]:
    """A server that answers everything with these bytes."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/weights.pth"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_download_is_kept_only_when_its_digest_is_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    path, content = tmp_path / "new" / "weights.pth", b"weights"
    with served(content) as url:
        with pytest.raises(EvaluationError, match="sent another file") as caught:
            weights.download(url, path)
        assert weights.VARIABLE in caught.value.hint
        assert list(path.parent.iterdir()) == []
        weights.download(url, path, sha256=hashlib.sha256(content).hexdigest()[:8])
    assert [file.read_bytes() for file in path.parent.iterdir()] == [content]


# --- with the real weights ---


@needs_real_weights
def test_the_real_weights_are_known_in_every_place(
    torch_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANZOO_INCEPTION_WEIGHTS", str(REAL_WEIGHTS))
    named = weights.find(tmp_path)
    assert named.sha256 == weights.CONTENT_SHA256
    assert named.pinned
    monkeypatch.delenv("GANZOO_INCEPTION_WEIGHTS")
    for path in (tmp_path / weights.NAME, torch_home / "hub" / "checkpoints" / weights.OTHER_NAME):
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(dict(named.tensors), path)
        found = weights.find(tmp_path)
        assert (found.path, found.sha256, found.pinned) == (path, named.sha256, True)


def cifar10(num: int) -> list[Tensor]:
    """The first images of both splits, uint8."""
    load = registry.datasets.get("cifar10").load
    return [
        torch.from_numpy(load(Path(str(TEST_DATA)), split, False).samples[:num].copy()) for split in ("train", "test")
    ]


@pytest.fixture
def real_extractor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Extractor:
    monkeypatch.setenv("GANZOO_INCEPTION_WEIGHTS", str(REAL_WEIGHTS))
    extractor = INCEPTION_2015.load(CPU, tmp_path)
    assert extractor.deviation is None
    return extractor


@pytest.mark.slow
@pytest.mark.timeout(3600)
@needs_real_weights
@needs_real_data
def test_torch_fidelity_gives_the_same_fid_and_kid_of_cifar10(real_extractor: Extractor, tmp_path: Path) -> None:
    tensors = dict(weights.find(tmp_path).tensors)
    torch.save({"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008), **tensors}, tmp_path / "whole.pth")
    train, test = cifar10(60)
    found = theirs(train, test, tmp_path / "whole.pth", tmp_path, fid=True, kid=True, kid_subset_size=50)
    inputs = inputs_of(real_extractor, to_float(train), to_float(test))
    kid = kernel_distance(inputs.features("").values, inputs.real_features("").values, subset_size=50)
    fid = FID.compute(inputs)
    print(f"FID {fid}, KID {kid}; torch-fidelity: {found}")
    assert fid == pytest.approx(found["frechet_inception_distance"], rel=1e-5)
    assert kid == pytest.approx(found["kernel_inception_distance_mean"], abs=1e-6)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@needs_real_weights
@needs_real_data
def test_a_thousand_cifar10_images_of_each_split_are_46_0644_apart(real_extractor: Extractor) -> None:
    train, test = cifar10(1000)
    fid = FID.compute(inputs_of(real_extractor, to_float(train), to_float(test)))
    print(f"FID {fid}")
    assert fid == pytest.approx(46.0644, abs=1e-3)


def test_a_download_that_drips_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "TOTAL_SECONDS", 0.3)
    monkeypatch.setattr(weights, "urlopen", build_opener(ProxyHandler({})).open)

    def drip() -> None:
        connection, _ = server.accept()
        with connection, contextlib.suppress(OSError):
            connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
            for _ in range(100):  # ten seconds
                connection.sendall(b"x")
                time.sleep(0.1)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        started = time.monotonic()
        with pytest.raises(EvaluationError, match="takes longer than 0 s"):
            weights.download(f"http://127.0.0.1:{server.getsockname()[1]}", tmp_path / "x.pth")
        assert time.monotonic() - started < 5
        thread.join()
    assert list(tmp_path.iterdir()) == []
