"""A third party's plugin: samples that are not images, labels of drawn and streamed data, a dataset with settings.

`tests/plugins/test_sample_kinds.py` installs this folder as the distribution `ganzoo-shapes`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Interval

from ganzoo.deferred import deferred
from ganzoo.metrics import feature_metrics
from ganzoo.specs import (
    Adam,
    ArchitectureSpec,
    DatasetSpec,
    EvaluationProtocol,
    ExtractorSpec,
    LatentSpec,
    MetricSpec,
    Optimizers,
    Recipe,
    SampleSpec,
)

Width = Annotated[int, Interval(ge=1, le=64)]


@dataclass(frozen=True, kw_only=True)
class VolumeConfig:
    """Both networks."""

    width: Width = 2
    """Channels of the hidden layer."""


VOLUME_CONV = ArchitectureSpec(
    name="volume-conv",
    summary="one 3-D convolution up, one down",
    paper="none",
    license="MIT",
    config=VolumeConfig,
    build_generator=deferred("shapes.networks:Generator"),
    build_discriminator=deferred("shapes.networks:Discriminator"),
    batch_independent=True,
)


def protocol(
    name: str, metric: str, split: str | None = None, num_real: int | None = 32
) -> tuple[EvaluationProtocol, ...]:
    return (
        EvaluationProtocol(
            name=name, metrics=(metric,), num_samples=32, seeds=(0,), split=split, num_real=num_real, use="training"
        ),
    )


VOLUMES = DatasetSpec(
    name="volumes",
    summary="balls of random radius",
    homepage="",
    license="",
    sample=SampleSpec(kind="tensor", shape=(1, 16, 16, 16)),
    splits={"train": 40},
    load=deferred("shapes.data:load_volumes"),
    protocols=(
        *protocol("volumes-mean-v1", "mean-difference", "train"),
        *protocol("volumes-fd-v1", "fd-volumes", "train"),
        *protocol("volumes-inception-v1", "fid", "train"),
    ),
)

STEREO = DatasetSpec(
    name="stereo",
    summary="two-channel sines",
    homepage="",
    license="",
    sample=SampleSpec(kind="curve", shape=(2, 256)),
    splits={"train": None},
    load=deferred("shapes.data:load_stereo"),
    protocols=protocol("stereo-mean-v1", "mean-difference", "train"),
)

STEREO_TENSOR = DatasetSpec(
    name="stereo-tensor",
    summary="the same signal, never drawn",
    homepage="",
    license="",
    sample=SampleSpec(kind="tensor", shape=(2, 256)),
    splits={"train": None},
    load=deferred("shapes.data:load_stereo"),
    protocols=protocol("stereo-tensor-mean-v1", "mean-difference", "train"),
)

RING = DatasetSpec(
    name="ring",
    summary="eight Gaussians on a circle",
    homepage="",
    license="",
    sample=SampleSpec(kind="tensor", shape=(2,), classes=tuple("abcdefgh")),
    splits={"train": None},
    load=deferred("shapes.data:load_ring"),
    protocols=protocol("ring-distance-v1", "ring-distance", num_real=None),
)


@dataclass(frozen=True, kw_only=True)
class SquaresConfig:
    """Settings of `squares`."""

    size: Annotated[int, Interval(ge=4, le=32)] = 16
    """Height and width in pixels."""
    grey: bool = False
    """One channel instead of three."""
    crop: Annotated[int, Interval(ge=0, le=15)] = 0
    """Pixels that are cut off on each side before scaling, of 32."""


def squares(config: SquaresConfig) -> SampleSpec:
    if config.size > 32 - 2 * config.crop:
        raise ValueError(f"size {config.size} is larger than what a crop of {config.crop} leaves")
    return SampleSpec(
        kind="image", shape=(1 if config.grey else 3, config.size, config.size), classes=("dark", "light")
    )


SQUARES = DatasetSpec(
    name="squares",
    summary="squares on a ground, streamed, with settings",
    homepage="",
    license="",
    sample=squares,
    splits={"train": 24},
    load=deferred("shapes.data:load_squares"),
    config=SquaresConfig,
    protocols=protocol("squares-mean-v1", "mean-difference", "train", num_real=24),
)

NOISE = DatasetSpec(
    name="noise",
    summary="drawn images, with settings",
    homepage="",
    license="",
    sample=squares,
    splits={"train": None},
    load=deferred("shapes.data:load_noise"),
    config=SquaresConfig,
)

MEAN_DIFFERENCE = MetricSpec(
    name="mean-difference",
    summary="distance between the means of all values",
    better="lower",
    compute=deferred("shapes.data:mean_difference"),
)

VOLUME_MOMENTS = ExtractorSpec(
    name="volume-moments",
    summary="mean of each octant",
    resize="none",
    kind="tensor",
    batch_size=8,
    load=deferred("shapes.data:load_moments"),
)

FD_VOLUMES, *_ = feature_metrics("volume-moments", prefix="volumes")

RING_DISTANCE = MetricSpec(
    name="ring-distance",
    summary="mean distance of a sample from the centre of its class",
    better="lower",
    compute=deferred("shapes.data:ring_distance"),
)

_ADAM = Adam(learning_rate=1e-3)


def recipe(name: str, dataset: str, **fields: object) -> Recipe:
    common: dict[str, object] = {
        "architecture": "mlp",
        "config": {"generator_hidden": (8,), "discriminator_hidden": (8,), "output": "linear"},
        "latent": LatentSpec(dim=4),
        "optimizers": Optimizers(generator=_ADAM, discriminator=_ADAM),
        "batch_size": 8,
        "steps": 6,
    }
    return Recipe(name=name, summary="", dataset=dataset, **{**common, **fields})  # type: ignore[arg-type]


VOLUMES_CONV = recipe("volumes-conv", "volumes", architecture="volume-conv", config={"width": 3})
STEREO_MLP = recipe("stereo-mlp", "stereo")
STEREO_TENSOR_MLP = recipe("stereo-tensor-mlp", "stereo-tensor")
SQUARES_MLP = recipe("squares-mlp", "squares", conditional=True, dataset_config={"size": 8})
RING_MLP = recipe("ring-mlp", "ring", conditional=True)
