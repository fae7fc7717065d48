"""The dataset CIFAR-10. Its recipes are in `ganzoo_cifar10.recipes`."""

from __future__ import annotations

from ganzoo.deferred import deferred
from ganzoo.specs import DatasetSpec, EvaluationProtocol, SampleSpec

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

_TRAIN_SHA256 = "973ef2abb5897efc795681a4d79a6f5f642fa2bcb1a828f7476017c89db53a57"
_TEST_SHA256 = "2c33b053d1cd726af8d86e174a96dd89d7000ba1412add026d68142375b89d51"


CIFAR10 = DatasetSpec(
    name="cifar10",
    summary="32×32 colour photographs of animals and vehicles, ten classes",
    homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
    license="none stated; cite Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images",
    sample=SampleSpec(kind="image", shape=(3, 32, 32), classes=CLASSES),
    splits={"train": 50_000, "test": 10_000},
    load=deferred("ganzoo_cifar10.files:load"),
    protocols=(
        # For a CPU: some minutes for the samples, and once as many for the real images.
        EvaluationProtocol(
            name="cifar10-inception-2k-v1",
            metrics=(
                "kid",
                "inception-precision",
                "inception-recall",
                "inception-density",
                "inception-coverage",
            ),
            num_samples=2_000,
            seeds=(0,),
            split="test",
            real_sha256=_TEST_SHA256,
            num_real=2_000,
        ),
        # What papers report.
        EvaluationProtocol(
            name="cifar10-fid50k-v1",
            metrics=("fid", "kid"),
            num_samples=50_000,
            seeds=(0,),
            split="train",
            real_sha256=_TRAIN_SHA256,
        ),
        EvaluationProtocol(
            name="cifar10-fid10k-v1",
            metrics=("fid",),
            num_samples=10_000,
            seeds=(0,),
            split="test",
            real_sha256=_TEST_SHA256,
        ),
        EvaluationProtocol(
            name="cifar10-inception-500-v1",
            metrics=("inception-coverage", "inception-density"),  # density rewards a single good image
            num_samples=500,
            seeds=(0,),
            split="test",
            real_sha256=_TEST_SHA256,
            num_real=500,
            use="training",
        ),
    ),
)
