"""Recipes: architecture, dataset, loss, optimizers and length."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Interval

from ganzoo.specs.registration import registered
from ganzoo.specs.samples import LatentSpec

Rate = Annotated[float, Interval(ge=0, le=1)]
"""A probability or a decay: between 0 and 1."""


@dataclass(frozen=True, kw_only=True)
class Adam:
    """Adam (Kingma and Ba, arXiv:1412.6980)."""

    learning_rate: Annotated[float, Gt(0)]
    """Learning rate."""
    betas: tuple[Annotated[float, Interval(ge=0, lt=1)], Annotated[float, Interval(ge=0, lt=1)]] = (0.9, 0.999)
    """Decay of the running mean of the gradient and of its square."""
    eps: Annotated[float, Gt(0)] = 1e-8
    """Added to the denominator."""
    weight_decay: Annotated[float, Ge(0)] = 0.0
    """L2 penalty added to the gradient."""
    decay: Literal["none", "linear"] = "none"
    """Learning rate schedule: constant, or linear to zero after the last step of the run."""


@dataclass(frozen=True, kw_only=True)
class Optimizers:
    """One optimizer for each network."""

    generator: Adam
    """Updates the generator."""
    discriminator: Adam
    """Updates the discriminator."""


@registered
@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a named model is trained: architecture, dataset, loss, optimizers, length."""

    name: str
    """As registered: the entry point's name."""
    summary: str
    """One line for `ganzoo list` and `ganzoo show`."""
    architecture: str
    """Name of a registered architecture."""
    config: Mapping[str, Any]
    """Values for the architecture's config."""
    dataset: str
    """Name of a registered dataset."""
    dataset_config: Mapping[str, Any] = field(default_factory=dict)
    """Values for the dataset's settings; those that are not named have their defaults."""
    split: str = "train"
    """Split of the dataset that is trained on."""
    latent: LatentSpec
    """The generator's input."""
    optimizers: Optimizers
    """How both networks are updated."""
    batch_size: Annotated[int, Interval(ge=2, le=1 << 20)]
    """Real samples in each discriminator update, and fake samples in each update of either network."""
    steps: Annotated[int, Interval(ge=1, le=1 << 40)]
    """Generator updates."""
    conditional: bool = False
    """Whether both networks get a condition."""
    condition: Literal["classes", "text"] = "classes"
    """The condition of a conditional model: the class or the text of each sample. While training, generated samples get
    random classes, or the texts of real samples."""
    loss: str = "bce"
    """Name of an adversarial loss in `ganzoo.losses`."""
    discriminator_loss: Literal["sum", "mean"] = "sum"
    """Whether the losses of real and fake samples are added, or averaged as in some published code."""
    label_smoothing: Annotated[float, Interval(ge=0, lt=1)] = 0.0
    """One-sided: the discriminator's target for real samples is 1 - label_smoothing (losses with targets only)."""
    regularizers: Mapping[str, Annotated[float, Ge(0)]] = field(default_factory=dict)
    """Name of a regularizer in `ganzoo.losses` -> its weight."""
    discriminator_steps: Annotated[int, Interval(ge=1, le=1000)] = 1
    """Discriminator updates for each generator update."""
    weight_clip: Annotated[float, Gt(0)] | None = None
    """The discriminator's parameters are clipped to [-weight_clip, weight_clip] after each of its updates (WGAN)."""
    update_order: Literal["discriminator_first", "generator_first"] = "discriminator_first"
    """Which network is updated first in a step."""
    share_fakes: bool = False
    """Whether both nets see the same fakes in a step, generated once before the first update, or each its own. Needs
    discriminator_steps=1."""
    drop_last: bool = True
    """Whether the incomplete last batch of each epoch is left out, as in torch's DataLoader, or trained on. Steps with
    it are taken without a recorded graph. Synthetic data has no epochs."""
    augment: tuple[str, ...] = ()
    """Names of augmentations in `ganzoo.augmentations`, in order. They apply to all images that the discriminator sees,
    real and fake, in both updates. Images only."""
    ema_decay: Rate | None = None
    """Decay of the moving average of the generator (EMA), which is then saved and sampled instead; None: no EMA."""
    source: str = ""
    """The paper or published code that the recipe follows."""
    notes: str = ""
    """What was published, what was wrong with it, and what differs here."""
    api_version: int = 1
    """Version of these contracts that the plugin was written for."""
