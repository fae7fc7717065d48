"""What a discriminator and a generator minimise, and how images are augmented for them.

Notation: r = D(x) and f = D(G(z)) are raw logits [batch]; s(t) = 1 / (1 + exp(-t)).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Interval

from ganzoo.specs.registration import registered

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


@registered
@dataclass(frozen=True, kw_only=True)
class LossSpec:
    """The losses of the discriminator and of the generator that belong together."""

    name: str
    """As registered: the entry point's name."""
    summary: str
    """The formulas of what the discriminator D and the generator G minimise, on one line."""
    paper: str
    """Where it is from: authors, year, arXiv number, equation."""
    discriminator: Callable[[Tensor, Tensor, float | Tensor], Tensor]
    """(real_logits [batch], fake_logits [batch], label_smoothing) -> loss_d [], the real half plus the fake half."""
    generator: Callable[[Tensor, Tensor | None], Tensor]
    """(fake_logits [batch], real_logits [batch] or None) -> loss_g []."""
    smoothable: bool = False
    """Whether the discriminator has a target for real samples, which label smoothing lowers."""
    paired: bool = False
    """Whether the generator's loss compares fake logits with real ones, which are given then."""
    api_version: int = 1
    """Version of these contracts that the plugin was written for."""


@dataclass(frozen=True, kw_only=True)
class Discriminators:
    """One discriminator as a function of samples alone, its labels filled in where it is conditional."""

    real: Callable[[Tensor], Tensor]
    """Samples [batch, *shape] -> logits [batch], with the labels of the real samples."""
    fake: Callable[[Tensor], Tensor]
    """The same with the labels that the fakes were generated for."""


@dataclass(frozen=True, kw_only=True)
class RegularizerInputs:
    """What a regularizer of the discriminator may look at; all numbers are float32."""

    discriminators: Discriminators
    """The discriminator being updated."""
    discriminator: nn.Module
    """Its module, for regularizers that use more of it than its logits; they name its architecture in their spec."""
    real: Tensor
    """Real samples [batch, *shape], as the discriminator sees them: augmented where the recipe augments."""
    fake: Tensor
    """Fakes [batch, *shape], likewise; without a way back to the generator."""
    real_labels: Tensor | None = None
    """Labels int64 [batch], or texts int64 [batch, max_length], of the real samples; None without a condition."""
    fake_labels: Tensor | None = None
    """Those that the fakes were generated for."""
    epsilon: Tensor
    """[batch], uniform in [0, 1): interpolation coefficients."""
    state: Mapping[str, Tensor]
    """What the spec's `state` returned, to be changed in place; empty without."""


@dataclass(frozen=True, kw_only=True)
class GeneratorRegularizerInputs:
    """What a regularizer of the generator may look at; all numbers are float32."""

    generate: Callable[[Tensor], Tensor]
    """Latents [batch, dim] -> fakes [batch, *shape] of the generator being updated, labels filled in."""
    latents: Tensor
    """[batch, dim], those of this update."""
    fake: Tensor
    """[batch, *shape], what it generates from them, augmented where the recipe augments; gradients reach it."""
    labels: Tensor | None = None
    """Labels int64 [batch], or texts int64 [batch, max_length], that it generates for; None without a condition."""
    discriminator: nn.Module
    """The discriminator's module. A regularizer that calls its methods names its architecture in the spec; the term
    changes the generator only."""
    directions: Tensor
    """[batch, *shape], standard normal: random directions in the space of samples."""
    state: Mapping[str, Tensor]
    """What the spec's `state` returned, to be changed in place; empty without."""


def _no_state() -> dict[str, Any]:
    return {}


@registered
@dataclass(frozen=True, kw_only=True)
class RegularizerSpec:
    """A term that is added to the loss of one net, times its weight."""

    name: str
    """As registered: the entry point's name."""
    summary: str
    """The formula, and in words what it asks of the net, on one line."""
    paper: str
    """Where it is from: authors, year, arXiv number, equation."""
    of: Literal["discriminator", "generator"] = "discriminator"
    """The net whose loss it is added to."""
    compute: Callable[[Any], Tensor]
    """`RegularizerInputs` (or `GeneratorRegularizerInputs` for one of the generator) -> scalar [], differentiable by
    the net's parameters. It must not read values on the host, so that a step can be recorded."""
    state: Callable[[], Mapping[str, Tensor]] = _no_state
    """() -> name -> float32 tensor: what it remembers from step to step. It is kept on the training's device, saved in
    checkpoints, and averaged over the processes after each use."""
    architectures: tuple[str, ...] = ()
    """Names of the architectures with which it works, because it uses more of their nets than samples and logits;
    empty: with all. A recipe that combines it with another one is refused."""
    api_version: int = 1
    """Version of these contracts that the plugin was written for."""


@registered
@dataclass(frozen=True, kw_only=True)
class AugmentationSpec:
    """A random, differentiable change of the images that the discriminator sees."""

    name: str
    """As registered: the entry point's name."""
    summary: str
    """One line for `ganzoo show`."""
    paper: str
    """Where it is from: authors, year, arXiv number."""
    apply: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    """(images [batch, channels, height, width], numbers [batch, num_numbers], uniform in [0, 1)) -> images. Each image
    is changed by its own numbers. It must not read values on the host, so that a step can be recorded."""
    num_numbers: Annotated[int, Interval(ge=1, le=64)] = 3
    """How many random numbers it takes for each image."""
    api_version: int = 1
    """Version of these contracts that the plugin was written for."""
