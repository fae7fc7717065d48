"""CIFAR-10: the dataset. The recipes are in `ganzoo_cifar10.recipes`."""

from __future__ import annotations

from pathlib import Path

from ganzoo.specs import ArrayData, DatasetSpec, SampleSpec

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def _load(root: Path, split: str, download: bool) -> ArrayData:
    from ganzoo_cifar10.files import load

    return load(root, split, download)


CIFAR10 = DatasetSpec(
    name="cifar10",
    summary="32×32 colour photographs of animals and vehicles, ten classes",
    homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
    license="none stated; cite Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images",
    sample=SampleSpec(kind="image", shape=(3, 32, 32), classes=CLASSES),
    splits={"train": 50_000, "test": 10_000},
    load=_load,
)
