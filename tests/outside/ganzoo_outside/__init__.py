"""What recent GANs are made of, written as a stranger would: with the public contracts alone, and tiny."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Interval

from ganzoo.deferred import deferred
from ganzoo.specs import (
    Adam,
    AdaptiveProbability,
    ArchitectureSpec,
    DatasetSpec,
    EvaluationProtocol,
    LatentSpec,
    LossSpec,
    MetricSpec,
    Number,
    Optimizers,
    OptimizerSpec,
    Recipe,
    RegisteredOptimizer,
    Regularization,
    RegularizerSpec,
    RMSprop,
    SampleSpec,
    Schedule,
)

Fraction = Annotated[float, Interval(ge=0, lt=1)]


def of(path: str):
    return deferred(f"ganzoo_outside.{path}")


@dataclass(frozen=True, kw_only=True)
class Config:
    width: Annotated[int, Interval(ge=1, le=64)] = 4


@dataclass(frozen=True, kw_only=True)
class Truncation:
    psi: Annotated[float, Interval(ge=0, le=1)] = 1.0


@dataclass(frozen=True, kw_only=True)
class LionConfig:
    betas: tuple[Number[Fraction], Number[Fraction]] = (0.9, 0.99)


def noise_shapes(config: Config, sample: SampleSpec) -> dict[str, tuple[int, ...]]:
    _, height, width = sample.shape
    return {"coarse": (1, height // 2, width // 2), "fine": (1, height, width)}


STYLE = ArchitectureSpec(
    name="outside-style",
    summary="mapping network, modulated layers with noise",
    paper="Karras et al. 2020, arXiv:1912.04958",
    license="MIT",
    config=Config,
    build_generator=of("style:Generator"),
    build_discriminator=of("style:Discriminator"),
    noise=noise_shapes,
    sampling_options=Truncation,
)
PROJECTION = ArchitectureSpec(
    name="outside-projection",
    summary="conditional batch norm, projection discriminator",
    paper="Miyato and Koyama 2018, arXiv:1802.05637",
    license="MIT",
    config=Config,
    build_generator=of("projection:Generator"),
    build_discriminator=of("projection:Discriminator"),
    conditions=("classes",),
)
SIGNAL_NET = ArchitectureSpec(
    name="outside-signal-net",
    summary="one-dimensional convolutions",
    paper="Donahue et al. 2019, arXiv:1802.04208",
    license="MIT",
    config=Config,
    build_generator=of("signal:Generator"),
    build_discriminator=of("signal:Discriminator"),
)
VOLUME_NET = ArchitectureSpec(
    name="outside-volume-net",
    summary="three-dimensional convolutions",
    paper="Wu et al. 2016, arXiv:1610.07584",
    license="MIT",
    config=Config,
    build_generator=of("volume:Generator"),
    build_discriminator=of("volume:Discriminator"),
)

EXPONENTIAL = LossSpec(
    name="outside-exponential",
    summary="D: exp(-r / 2) + exp(f / 2); G: exp(-f / 2)",
    paper="boosting's loss",
    discriminator=of("functions:exponential_discriminator"),
    generator=of("functions:exponential_generator"),
)
DRIFT = RegularizerSpec(
    name="outside-drift",
    summary="(D(x) - m)^2 with m the running mean of D(x)",
    paper="Karras et al. 2018, arXiv:1710.10196, appendix A.1, with a mean in place of 0",
    compute=of("functions:drift"),
    state=of("functions:drift_state"),
)
LION = OptimizerSpec(
    name="outside-lion",
    summary="signs of an interpolated momentum",
    paper="Chen et al. 2023, arXiv:2302.06675",
    config=LionConfig,
    build=of("functions:Lion"),
)
MEAN = MetricSpec(
    name="outside-mean",
    summary="difference of means and of standard deviations of all values",
    better="lower",
    compute=of("functions:mean"),
)


def dataset(name: str, sample: SampleSpec, load: str) -> DatasetSpec:
    protocol = EvaluationProtocol(
        name=f"{name}-v1", metrics=("outside-mean",), num_samples=70, seeds=(0, 1), split="train", num_real=100
    )
    return DatasetSpec(
        name=name,
        summary="drawn",
        homepage="none",
        license="CC0-1.0",
        sample=sample,
        splits={"train": None},
        load=of(f"data:{load}"),
        protocols=(protocol,),
    )


SHADES = dataset(
    "outside-shades", SampleSpec(kind="image", shape=(1, 8, 8), classes=("dark", "light", "none")), "load_shades"
)
SIGNALS = dataset("outside-signals", SampleSpec(kind="curve", shape=(2, 16)), "load_signals")
VOLUMES = dataset("outside-volumes", SampleSpec(kind="tensor", shape=(1, 16, 16, 16)), "load_volumes")

_ADAM = Adam(learning_rate=1e-3, betas=(0.0, 0.99))
_LION = RegisteredOptimizer(
    kind="outside-lion",
    learning_rate=Schedule(kind="linear", start=1e-3, end=1e-4),
    options={"betas": (0.9, {"kind": "linear", "start": 0.9, "end": 0.99})},
)

STYLE_GAN = Recipe(
    name="outside-style-gan",
    summary="lazy R1, ADA and a moving average of mapping and synthesis",
    architecture="outside-style",
    config={},
    dataset="outside-shades",
    latent=LatentSpec(dim=6),
    regularizers={"r1": Regularization(weight=1.0, every=16)},
    augment=("mirror", "translation"),
    augment_probability=AdaptiveProbability(target=0.0, images=100, every=2),
    optimizers=Optimizers(generator=_ADAM, discriminator=_ADAM),
    batch_size=8,
    steps=20,
    ema_decay=0.9,
)
PROJECTION_GAN = Recipe(
    name="outside-projection-gan",
    summary="class-conditional, with a loss of its own",
    architecture="outside-projection",
    config={},
    dataset="outside-shades",
    latent=LatentSpec(dim=6),
    conditional=True,
    loss="outside-exponential",
    optimizers=Optimizers(generator=_ADAM, discriminator=_ADAM),
    batch_size=8,
    steps=20,
)
SIGNAL_WGAN = Recipe(
    name="outside-signal-wgan",
    summary="RMSprop and weight clipping",
    architecture="outside-signal-net",
    config={},
    dataset="outside-signals",
    latent=LatentSpec(dim=6),
    loss="wasserstein",
    weight_clip=0.05,
    discriminator_steps=2,
    optimizers=Optimizers(generator=RMSprop(learning_rate=1e-3), discriminator=RMSprop(learning_rate=1e-3)),
    batch_size=8,
    steps=20,
)
VOLUME_GAN = Recipe(
    name="outside-volume-gan",
    summary="an optimizer and a regularizer of its own",
    architecture="outside-volume-net",
    config={"width": 2},
    dataset="outside-volumes",
    latent=LatentSpec(dim=6),
    loss="hinge",
    regularizers={"outside-drift": 0.01},
    optimizers=Optimizers(generator=_LION, discriminator=_LION),
    batch_size=4,
    steps=20,
)
