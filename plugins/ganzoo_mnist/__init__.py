"""MNIST handwritten digits: the dataset, its classifier and metrics. The recipes are in `ganzoo_mnist.recipes`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from ganzoo.deferred import deferred
from ganzoo.metrics import feature_metrics
from ganzoo.specs import (
    DatasetSpec,
    EvaluationProtocol,
    Extractor,
    ExtractorSpec,
    MetricSpec,
    SampleSpec,
)

if TYPE_CHECKING:
    import torch


def _load_lenet(device: torch.device, folder: Path) -> Extractor:
    from ganzoo_mnist.lenet import load

    return load(device)


LENET = ExtractorSpec(
    name="lenet-mnist",
    summary="128 features of a small convolutional classifier trained on the MNIST training digits",
    resize="none: 28 × 28 pixels / 255",
    batch_size=500,
    load=_load_lenet,
)

FD_LENET, LENET_PRECISION, LENET_RECALL, LENET_DENSITY, LENET_COVERAGE = feature_metrics("lenet-mnist", "lenet")
CLASS_IMBALANCE = MetricSpec(
    name="class-imbalance",
    summary="total variation distance of the classes read by lenet-mnist to uniform, 0 to 0.9 (a single class)",
    better="lower",
    compute=deferred("ganzoo_mnist.metrics:class_imbalance"),
)
LABEL_ACCURACY = MetricSpec(
    name="label-accuracy",
    summary="share of digits that lenet-mnist classifies as the requested label, 0 to 1",
    better="higher",
    compute=deferred("ganzoo_mnist.metrics:label_accuracy"),
)

_TEST_SHA256 = "a0863a96c44e5666edbb30c4071ee79ca0514c621e6349c5967fc78e7305c891"

_REPORT = EvaluationProtocol(
    name="mnist-lenet-v1",
    metrics=(
        "fd-lenet",
        "lenet-precision",
        "lenet-recall",
        "lenet-density",
        "lenet-coverage",
        "class-imbalance",
    ),
    num_samples=10_000,
    seeds=(0, 1, 2, 3, 4),
    split="test",
    real_sha256=_TEST_SHA256,
)

MNIST = DatasetSpec(
    name="mnist",
    summary="28×28 grey images of handwritten digits, ten classes",
    homepage="https://yann.lecun.com/exdb/mnist/",
    license="not stated by its authors; commonly listed as CC BY-SA 3.0",
    sample=SampleSpec(kind="image", shape=(1, 28, 28), classes=tuple("0123456789")),
    splits={"train": 60_000, "test": 10_000},
    load=deferred("ganzoo_mnist.files:load"),
    protocols=(
        _REPORT,
        dataclasses.replace(_REPORT, name="mnist-lenet-conditional-v1", metrics=("label-accuracy", *_REPORT.metrics)),
        EvaluationProtocol(
            name="mnist-lenet-quick-v1",
            metrics=("fd-lenet", "class-imbalance"),
            num_samples=2_000,
            seeds=(0,),
            split="test",
            real_sha256=_TEST_SHA256,
            use="training",
        ),
        EvaluationProtocol(
            name="mnist-fid10k-v1",
            metrics=("fid", "kid"),
            num_samples=10_000,
            seeds=(0,),
            split="test",
            real_sha256=_TEST_SHA256,
        ),
    ),
)
