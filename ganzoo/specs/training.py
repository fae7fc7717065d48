"""Recipes: architecture, dataset, loss, optimizers and length."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Interval

from ganzoo.specs.optimizers import Optimizers
from ganzoo.specs.registration import registered
from ganzoo.specs.samples import LatentSpec
from ganzoo.specs.schedules import Number

Rate = Annotated[float, Interval(ge=0, le=1)]
"""A probability or a decay: between 0 and 1."""
Weight = Annotated[float, Ge(0)]


@dataclass(frozen=True, kw_only=True)
class Regularization:
    """A regularizer's weight, and how often it is computed."""

    weight: Number[Weight]
    """Factor of the regularizer in the loss, or its schedule."""
    every: Annotated[int, Interval(ge=1, le=1 << 20)] = 1
    """It is computed in each k-th step, beginning with the first, and counts k times there: lazy regularization (Karras
    et al., arXiv:1912.04958, section 3.1)."""


@dataclass(frozen=True, kw_only=True)
class AdaptiveProbability:
    """A probability of augmentation that follows the overfitting of the discriminator (ADA).

    Karras et al., arXiv:2006.06676, section 3: r_t is the mean sign of the logits of real samples. It is 0 for a
    discriminator that guesses and 1 for one that has learned them by heart. The probability goes up while r_t is above
    its target and down while it is below; it begins at 0 and stays within 0 and 1.
    """

    kind: Literal["adaptive"] = "adaptive"
    """Tells it from schedules in files."""
    target: Annotated[float, Interval(ge=-1, le=1)] = 0.6
    """The r_t that is aimed at."""
    images: Annotated[int, Interval(ge=1, le=1 << 40)] = 500_000
    """Real images in which the probability goes from 0 to 1 if it only goes up."""
    every: Annotated[int, Interval(ge=1, le=1 << 20)] = 4
    """Steps between two changes; r_t is the mean over them."""


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
    accumulate: Annotated[int, Interval(ge=1, le=1 << 20)] = 1
    """Parts into which each update splits its batch; their gradients are averaged. More parts need less memory. The
    result is that of the whole batch, except for nets and losses that take statistics over a batch."""
    steps: Annotated[int, Interval(ge=1, le=1 << 40)]
    """Generator updates."""
    conditional: bool = False
    """Whether both networks get a condition."""
    condition: Literal["classes", "text"] = "classes"
    """The condition of a conditional model: the class or the text of each sample. While training, generated samples get
    random classes, or the texts of real samples."""
    loss: str = "bce"
    """Name of a registered loss."""
    discriminator_loss: Literal["sum", "mean"] = "sum"
    """Whether the losses of real and fake samples are added, or averaged as in some published code."""
    label_smoothing: Number[Annotated[float, Interval(ge=0, lt=1)]] = 0.0
    """One-sided: the discriminator's target for real samples is 1 - label_smoothing (losses with targets only)."""
    regularizers: Mapping[str, Number[Weight] | Regularization] = field(default_factory=dict)
    """Name of a registered regularizer -> its weight, and how often it is computed."""
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
    """Names of registered augmentations, in order. They apply to all images that the discriminator sees, real and fake,
    in both updates. Images only."""
    augment_probability: Number[Rate] | AdaptiveProbability = 1.0
    """Probability with which each augmentation applies to an image."""
    ema_decay: Number[Rate] | None = None
    """Decay of the moving average of the generator (EMA), which is then saved and sampled instead; None: no EMA."""
    source: str = ""
    """The paper or published code that the recipe follows."""
    notes: str = ""
    """What was published, what was wrong with it, and what differs here."""
    api_version: int = 1
    """Version of these contracts that the plugin was written for."""
