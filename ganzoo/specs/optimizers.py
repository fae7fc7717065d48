"""Optimizers: the settings of the usual ones, and the contract of others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge, Gt, Interval

from ganzoo.specs.registration import registered
from ganzoo.specs.schedules import LearningRate, Number

if TYPE_CHECKING:
    import torch

Fraction = Annotated[float, Interval(ge=0, lt=1)]
"""The decay of a running mean, or a momentum: at least 0 and less than 1."""
Norm = Annotated[float, Gt(0)]


@dataclass(frozen=True, kw_only=True)
class Adam:
    """Adam (Kingma and Ba, arXiv:1412.6980, algorithm 1)."""

    kind: Literal["adam"] = "adam"
    """Name of the registered optimizer."""
    learning_rate: LearningRate
    """Learning rate, or its schedule."""
    betas: tuple[Number[Fraction], Number[Fraction]] = (0.9, 0.999)
    """Decay of the running mean of the gradient and of its square, or their schedules."""
    eps: Annotated[float, Gt(0)] = 1e-8
    """Added to the denominator."""
    weight_decay: Annotated[float, Ge(0)] = 0.0
    """L2 penalty added to the gradient."""
    clip_norm: Norm | None = None
    """Largest norm of the gradient of all parameters together; a longer gradient is scaled down to it."""


@dataclass(frozen=True, kw_only=True)
class AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter, arXiv:1711.05101, algorithm 2)."""

    kind: Literal["adamw"] = "adamw"
    """Name of the registered optimizer."""
    learning_rate: LearningRate
    """Learning rate, or its schedule."""
    betas: tuple[Number[Fraction], Number[Fraction]] = (0.9, 0.999)
    """Decay of the running mean of the gradient and of its square, or their schedules."""
    eps: Annotated[float, Gt(0)] = 1e-8
    """Added to the denominator."""
    weight_decay: Annotated[float, Ge(0)] = 0.01
    """Parameters shrink by the learning rate times this in each update."""
    clip_norm: Norm | None = None
    """As for Adam."""


@dataclass(frozen=True, kw_only=True)
class RMSprop:
    """Steps divided by a running root mean square (Tieleman and Hinton 2012, lecture 6.5)."""

    kind: Literal["rmsprop"] = "rmsprop"
    """Name of the registered optimizer."""
    learning_rate: LearningRate
    """Learning rate, or its schedule."""
    alpha: Fraction = 0.99
    """Decay of the running mean of the squared gradient."""
    eps: Annotated[float, Gt(0)] = 1e-8
    """Added to the denominator."""
    weight_decay: Annotated[float, Ge(0)] = 0.0
    """L2 penalty added to the gradient."""
    momentum: Fraction = 0.0
    """Fraction of the step before that is added to the next one."""
    clip_norm: Norm | None = None
    """As for Adam."""


@dataclass(frozen=True, kw_only=True)
class SGD:
    """Gradient descent, with optional momentum (Sutskever et al. 2013)."""

    kind: Literal["sgd"] = "sgd"
    """Name of the registered optimizer."""
    learning_rate: LearningRate
    """Learning rate, or its schedule."""
    momentum: Fraction = 0.0
    """Fraction of the step before that is added to the next one."""
    nesterov: bool = False
    """Whether the gradient counts as if the momentum's part of the step had been taken already."""
    weight_decay: Annotated[float, Ge(0)] = 0.0
    """L2 penalty added to the gradient."""
    clip_norm: Norm | None = None
    """As for Adam."""


@dataclass(frozen=True, kw_only=True)
class RegisteredOptimizer:
    """An optimizer of a plugin."""

    kind: str
    """Its name in the entry-point group `ganzoo.optimizers`."""
    learning_rate: LearningRate
    """Learning rate, or its schedule."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Values for its config."""
    clip_norm: Norm | None = None
    """As for Adam."""

    def __post_init__(self) -> None:
        if self.kind in OPTIMIZER_KINDS:
            raise ValueError(f"kind {self.kind!r} has a class of its own, {OPTIMIZER_KINDS[self.kind].__name__}")


OPTIMIZER_KINDS: Mapping[str, type[Adam | AdamW | RMSprop | SGD]] = {
    "adam": Adam,
    "adamw": AdamW,
    "rmsprop": RMSprop,
    "sgd": SGD,
}
"""The kinds whose settings are fields of their own, instead of `options`."""

Optimizer = Adam | AdamW | RMSprop | SGD | RegisteredOptimizer


@dataclass(frozen=True, kw_only=True)
class Optimizers:
    """One optimizer for each network."""

    generator: Optimizer
    """Updates the generator."""
    discriminator: Optimizer
    """Updates the discriminator."""

    def __post_init__(self) -> None:
        # Settings are stored as plain data: a foreign class with the same fields would be read back as one of ours.
        known = (*OPTIMIZER_KINDS.values(), RegisteredOptimizer)
        for net, optimizer in (("generator", self.generator), ("discriminator", self.discriminator)):
            if type(optimizer) not in known:
                names = ", ".join(kind.__name__ for kind in known)
                raise TypeError(f"optimizers.{net} is a {type(optimizer).__name__}, not one of {names}")


@registered
@dataclass(frozen=True, kw_only=True)
class OptimizerSpec:
    """How the parameters of a net are updated."""

    name: str
    """As registered: the entry point's name."""
    summary: str
    """One line for `ganzoo show`."""
    paper: str
    """Where it is from: authors, year, arXiv number."""
    config: type[Any]
    """A frozen dataclass of what can be set besides the learning rate: every field bounded and with a default. A field
    of type `Number` accepts schedules. (The optimizers with settings of their own have those: `Adam` and so on.)"""
    build: Callable[[Sequence[torch.Tensor], Any], torch.nn.Module]
    """(parameters, config) -> module, with a method `update(parameters, gradients, values) -> None` that changes the
    parameters in place.

    The module's buffers are the optimizer's state: changed in place, laid out as the parameters are (`zeros_like`),
    saved in checkpoints by name. Gradients have the shapes of the parameters, but maybe other strides. `values` are the
    numbers of this step, tensors []: `learning_rate`, and those fields of the config that have a schedule (`betas.1`
    for the second entry of a tuple). They must not be read on the host, so that a step can be recorded."""
    api_version: int = 1
    """Version of these contracts that the plugin was written for."""
