"""MNIST handwritten digits: the dataset and its metrics. The recipes are in `ganzoo_mnist.recipes`."""

from __future__ import annotations

from pathlib import Path

from ganzoo.specs import ArrayData, DatasetSpec, MetricInputs, MetricSpec, Protocol, SampleSpec


def _load(root: Path, split: str, download: bool) -> ArrayData:
    from ganzoo_mnist.files import load

    return load(root, split, download)


def _fd_pool7(inputs: MetricInputs) -> float:
    from ganzoo_mnist.metrics import fd_pool7

    return fd_pool7(inputs)


FD_POOL7 = MetricSpec(
    name="fd-pool7",
    summary="Fréchet distance to real digits on 7×7 mean-pooled pixels; no learned extractor, so never call it FID",
    better="lower",
    compute=_fd_pool7,
)

MNIST = DatasetSpec(
    name="mnist",
    summary="28×28 grey images of handwritten digits, ten classes",
    homepage="https://yann.lecun.com/exdb/mnist/",
    license="not stated by its authors; commonly listed as CC BY-SA 3.0",
    sample=SampleSpec(kind="image", shape=(1, 28, 28), classes=tuple("0123456789")),
    splits={"train": 60_000, "test": 10_000},
    load=_load,
    protocols=(
        Protocol(
            name="mnist-pool7-v1",
            metrics=("fd-pool7",),
            num_samples=10_000,
            seeds=(0, 1, 2, 3, 4),
            split="test",
        ),
        Protocol(name="mnist-fid10k-v1", metrics=("fid", "kid"), num_samples=10_000, seeds=(0,), split="test"),
    ),
)
