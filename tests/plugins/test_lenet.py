from __future__ import annotations

import dataclasses
import importlib
import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

import ganzoo
from ganzoo.errors import EvaluationError
from ganzoo.evaluation.features import ExtractedFeatures, extract
from ganzoo.evaluation.measurement import evaluate_gan
from ganzoo.registry import extractors, metrics
from ganzoo.specs import EvaluationProtocol, Features, SampleSpec
from ganzoo_mnist import LENET, MNIST, lenet, train_lenet
from tests.conftest import InstallPlugin
from tests.test_evaluation import metric_inputs
from tests.test_model import make_gan

CPU = torch.device("cpu")
NOWHERE = Path("unused: the weights are bundled")
DIGITS = SampleSpec(kind="image", shape=(1, 28, 28))
CONDITIONAL = "mnist-lenet-conditional-v1"


def load(digits: Path, split: str) -> tuple[Tensor, Tensor]:
    data = MNIST.load(digits, split, False)
    return torch.from_numpy(data.samples.copy()).float() / 127.5 - 1, torch.from_numpy(data.labels)


def read(images: Tensor) -> ExtractedFeatures:
    return extract(LENET, LENET.load(CPU, NOWHERE), images, CPU)


def measure(metric: str, samples: Tensor, real: Tensor | None = None, labels: Tensor | None = None) -> float:
    def features_of(images: Tensor | None) -> Features:
        assert images is not None
        return read(images)

    inputs = metric_inputs(
        samples=samples,
        sample=MNIST.sample,
        labels=labels,
        features=lambda _: features_of(samples),
        real_features=lambda _: features_of(real),
    )
    return metrics.get(metric).compute(inputs)


def test_the_bundled_net_reads_real_digits(digits: Path) -> None:
    images, labels = load(digits, "test")
    assert (read(images).logits.argmax(1) == labels).float().mean() >= 0.98


def test_the_bundled_weights_say_how_they_were_made() -> None:
    with safe_open(lenet.WEIGHTS, "pt") as file:
        record = json.loads(file.metadata()["training"])
    assert record["test_accuracy"] >= 0.994
    assert {"seed", "epochs", "torch"} <= set(record)
    assert lenet.WEIGHTS.stat().st_size <= 1_000_000
    assert extractors.get("lenet-mnist").load(CPU, NOWHERE).sha256 == lenet.SHA256


def test_identical_sets_are_at_no_distance(digits: Path) -> None:
    images, _ = load(digits, "train")
    assert measure("fd-lenet", images, images) == pytest.approx(0, abs=1e-6)
    for name in ("precision", "recall", "coverage"):
        assert measure(f"lenet-{name}", images, images) == 1
    assert measure("lenet-density", images, images) == pytest.approx(1.2, abs=0.01)  # itself and k others, over k = 5


def test_the_further_the_digits_move_the_larger_is_the_distance(digits: Path) -> None:
    images, _ = load(digits, "train")
    distances = [measure("fd-lenet", images.roll(pixels, 3), images) for pixels in (0, 2, 4, 6)]
    assert distances == sorted(distances)
    assert distances[1] > 1000 * distances[0]
    precisions = [measure("lenet-precision", images.roll(pixels, 3), images) for pixels in (0, 6)]
    assert precisions[0] > 2 * precisions[1]


def test_features_do_not_depend_on_how_many_images_follow() -> None:
    images = torch.rand(1200, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert 1000 % LENET.batch_size == 0
    whole, part = read(images), read(images[:1000])
    assert whole.values.shape == (1200, lenet.NUM_FEATURES)
    assert torch.equal(whole.values[:1000], part.values)
    assert torch.equal(whole.logits[:1000], part.logits)


@pytest.mark.parametrize("damage", ["flipped", "truncated", "missing"])
def test_damaged_weights_are_one_clear_line(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "lenet.safetensors"
    content = bytearray(lenet.WEIGHTS.read_bytes())
    content[-7] ^= damage == "flipped"
    if damage != "missing":
        path.write_bytes(content[:-4] if damage == "truncated" else content)
    with pytest.raises(EvaluationError, match=r"lenet\.safetensors") as caught:
        lenet.load(CPU, path)
    assert "\n" not in str(caught.value)
    assert "Reinstall" in caught.value.hint


def test_images_of_another_shape_are_refused(tmp_path: Path) -> None:
    make_gan(SampleSpec(kind="image", shape=(3, 28, 28))).save(tmp_path / "gan")
    with pytest.raises(EvaluationError, match="28 × 28 grey images, not 3 × 28 × 28"):
        ganzoo.evaluate(tmp_path / "gan", protocol="mnist-lenet-quick-v1")


def test_class_imbalance_runs_from_balanced_to_a_single_class(digits: Path) -> None:
    images, _ = load(digits, "train")
    classes = read(images).logits.argmax(1)
    few = int(classes.bincount().min())
    balanced = torch.cat([images[classes == label][:few] for label in range(10)])
    assert measure("class-imbalance", balanced) == pytest.approx(0, abs=1e-12)
    assert measure("class-imbalance", images[classes == 7]) == pytest.approx(0.9)
    assert measure("class-imbalance", torch.cat([balanced, images[classes == 7]])) > 0.05


def test_label_accuracy_is_the_share_read_as_asked(digits: Path) -> None:
    images, labels = load(digits, "test")
    assert measure("label-accuracy", images, labels=labels) >= 0.98
    assert measure("label-accuracy", images, labels=(labels + 1) % 10) <= 0.02


def test_label_accuracy_is_for_conditional_models(tmp_path: Path, digits: Path) -> None:
    make_gan(DIGITS).save(tmp_path / "gan")
    with pytest.raises(EvaluationError, match="class-conditional") as caught:
        ganzoo.evaluate(tmp_path / "gan", protocol=CONDITIONAL, data_dir=digits)
    assert "mnist-lenet-v1" in caught.value.hint


@pytest.mark.parametrize("name", ["mean", "covariance"])
def test_real_statistics_edited_on_disk_are_no_number(tmp_path: Path, digits: Path, home: Path, name: str) -> None:
    gan = make_gan(DIGITS)
    protocol = dataclasses.replace(MNIST.protocols[0], metrics=("fd-lenet",), num_samples=100, num_real=128)
    evaluate_gan(gan, "gan", protocol, digits)
    (path,) = home.rglob(f"{name}.npy")
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(EvaluationError, match="damaged or was edited") as caught:
        evaluate_gan(gan, "gan", protocol, digits)
    assert "Delete" in caught.value.hint


COUNTED = """
from ganzoo.specs import Extractor, ExtractorSpec, MetricSpec

seen = []

def outputs(images):
    seen.append(len(images))
    return {"values": images.flatten(1)[:, ::50].float()}

def distance(inputs):
    return float((inputs.features("counted").mean - inputs.real_features("counted").mean).abs().sum())

EXTRACTOR = ExtractorSpec(
    name="counted", summary="", resize="none", batch_size=64,
    load=lambda device, folder: Extractor(outputs=outputs, sha256="0"),
)
METRIC = MetricSpec(name="counted-distance", summary="", better="lower", compute=distance)
"""


def test_a_second_evaluation_does_not_run_the_extractor_on_real_images(
    digits: Path, install_plugin: InstallPlugin
) -> None:
    groups = {
        "ganzoo.extractors": {"counted": "counted:EXTRACTOR"},
        "ganzoo.metrics": {"counted-distance": "counted:METRIC"},
    }
    install_plugin("counted", groups, {"counted.py": COUNTED})
    seen = importlib.import_module("counted").seen
    protocol = EvaluationProtocol(
        name="p", metrics=("counted-distance",), num_samples=100, seeds=(0, 1), split="test", num_real=128
    )
    values, images = [], []
    for _ in range(2):
        values.append(evaluate_gan(make_gan(DIGITS), "gan", protocol, digits).metrics[0].value)
        images.append(sum(seen))
        seen.clear()
    assert images == [2 * 100 + 128, 2 * 100]
    assert values[0] == values[1] > 0


@pytest.mark.slow
def test_training_the_net_twice_gives_the_same_bytes(
    tmp_path: Path, digits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    contents = []
    for name in ("first", "second"):
        path = tmp_path / name
        train_lenet.main(["--data-dir", str(digits), "--out", str(path), "--epochs", "1"])
        contents.append(path.read_bytes())
    assert contents[0] == contents[1]
    assert "test accuracy 0." in capsys.readouterr().out.splitlines()[-1]
