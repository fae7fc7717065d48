"""Adversarial losses as functions of logits [batch]; every one returns a scalar to be minimised.

Softplus(t) = log(1 + exp(t)), so -log s(t) = softplus(-t).
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import relu, softplus


def cross_entropy_discriminator(real: Tensor, fake: Tensor, smoothing: float | Tensor) -> Tensor:
    """-[(1-a) log s(r) + a log(1 - s(r))] - log(1 - s(f)), with one-sided label smoothing a.

    The label of real samples only: Salimans et al., arXiv:1606.03498, section 3.4.
    """
    # -log s(r) = softplus(-r) and -log(1 - s(r)) = softplus(r) = softplus(-r) + r.
    return (softplus(-real) + smoothing * real).mean() + softplus(fake).mean()


def non_saturating_generator(fake: Tensor, real: Tensor | None) -> Tensor:
    """-log s(f): the generator makes the discriminator say "real"."""
    # Gradient by f: s(f) - 1, close to -1 for a fake that is recognised as one, where the generator has most to learn.
    return softplus(-fake).mean()


def saturating_generator(fake: Tensor, real: Tensor | None) -> Tensor:
    """log(1 - s(f)): the generator maximises the discriminator's own loss."""
    # Gradient by f: -s(f). It vanishes where the discriminator is sure of a fake, which is why the non-saturating form
    # is the usual one (Goodfellow et al., section 3).
    return -softplus(fake).mean()


def least_squares_discriminator(real: Tensor, fake: Tensor, smoothing: float | Tensor) -> Tensor:
    """((r - (1-a))^2 + f^2) / 2."""
    # The 0-1 coding of the paper: target 0 for fakes, 1 for real samples, and 1 for fakes in the generator's loss.
    return ((real - (1 - smoothing)).square().mean() + fake.square().mean()) / 2


def least_squares_generator(fake: Tensor, real: Tensor | None) -> Tensor:
    """(f - 1)^2 / 2."""
    return (fake - 1).square().mean() / 2


def wasserstein_discriminator(real: Tensor, fake: Tensor, smoothing: float | Tensor) -> Tensor:
    """Minimise f - r, the discriminator's estimate of the distance, negated."""
    # Not bounded below: without a Lipschitz constraint the discriminator lowers it by scaling its own weights.
    return fake.mean() - real.mean()


def wasserstein_generator(fake: Tensor, real: Tensor | None) -> Tensor:
    """-f."""
    return -fake.mean()


def hinge_discriminator(real: Tensor, fake: Tensor, smoothing: float | Tensor) -> Tensor:
    """max(0, 1 - r) + max(0, 1 + f)."""
    # No gradient from samples beyond the margin of 1. The generator's half has no margin: it is -f, as for Wasserstein.
    return relu(1 - real).mean() + relu(1 + fake).mean()


def relativistic_discriminator(real: Tensor, fake: Tensor, smoothing: float | Tensor) -> Tensor:
    """-log s(r - f): each real sample should look more real than the fake beside it."""
    # Entry i of one batch against entry i of the other. Only differences count: a constant added to all logits changes
    # neither loss, so the sign of a logit alone means little.
    return softplus(fake - real).mean()


def relativistic_generator(fake: Tensor, real: Tensor | None) -> Tensor:
    """-log s(f - r)."""
    assert real is not None
    return softplus(real - fake).mean()
