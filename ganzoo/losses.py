"""Adversarial losses and regularizers: plain functions of logits, each with its formula and paper.

Notation: r = D(x) and f = D(G(z)) are raw logits [batch]; s(t) = 1 / (1 + exp(-t)). Softplus(t) = log(1 + exp(t)), so
-log s(t) = softplus(-t). Every function returns a scalar to be minimised.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus

from ganzoo.errors import SettingsError, UnknownNameError


@dataclass(frozen=True, kw_only=True)
class AdversarialLoss:
    """The losses of the discriminator and of the generator that belong together."""

    name: str
    """As in `Recipe.loss`."""
    formula: str
    """What the discriminator D and the generator G minimise."""
    paper: str
    """Where it is from."""
    discriminator: Callable[[Tensor, Tensor, float], Tensor]
    """(real_logits, fake_logits, label_smoothing) -> loss_d, the real half plus the fake half."""
    generator: Callable[[Tensor, Tensor | None], Tensor]
    """(fake_logits, real_logits or None) -> loss_g."""
    smoothable: bool = False
    """Whether the discriminator has a target for real samples, which label smoothing lowers."""
    paired: bool = False
    """Whether the generator's loss compares fake logits with real ones."""


def cross_entropy_discriminator(real: Tensor, fake: Tensor, smoothing: float) -> Tensor:
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


def least_squares_discriminator(real: Tensor, fake: Tensor, smoothing: float) -> Tensor:
    """((r - (1-a))^2 + f^2) / 2."""
    # The 0-1 coding of the paper: target 0 for fakes, 1 for real samples, and 1 for fakes in the generator's loss.
    return ((real - (1 - smoothing)).square().mean() + fake.square().mean()) / 2


def least_squares_generator(fake: Tensor, real: Tensor | None) -> Tensor:
    """(f - 1)^2 / 2."""
    return (fake - 1).square().mean() / 2


def wasserstein_discriminator(real: Tensor, fake: Tensor, smoothing: float) -> Tensor:
    """Minimise f - r, the discriminator's estimate of the distance, negated."""
    # Not bounded below: without a Lipschitz constraint the discriminator lowers it by scaling its own weights.
    return fake.mean() - real.mean()


def wasserstein_generator(fake: Tensor, real: Tensor | None) -> Tensor:
    """-f."""
    return -fake.mean()


def hinge_discriminator(real: Tensor, fake: Tensor, smoothing: float) -> Tensor:
    """max(0, 1 - r) + max(0, 1 + f)."""
    # No gradient from samples beyond the margin of 1. The generator's half has no margin: it is -f, as for Wasserstein.
    return relu(1 - real).mean() + relu(1 + fake).mean()


def relativistic_discriminator(real: Tensor, fake: Tensor, smoothing: float) -> Tensor:
    """-log s(r - f): each real sample should look more real than the fake beside it."""
    # Entry i of one batch against entry i of the other. Only differences count: a constant added to all logits changes
    # neither loss, so the sign of a logit alone means little.
    return softplus(fake - real).mean()


def relativistic_generator(fake: Tensor, real: Tensor | None) -> Tensor:
    """-log s(f - r)."""
    assert real is not None
    return softplus(real - fake).mean()


_LOSSES = (
    AdversarialLoss(
        name="minimax",
        formula="D: -log s(r) - log(1 - s(f)); G: log(1 - s(f))",
        paper="Goodfellow et al. 2014, arXiv:1406.2661, equation 1",
        discriminator=cross_entropy_discriminator,
        generator=saturating_generator,
        smoothable=True,
    ),
    AdversarialLoss(
        name="bce",
        formula="D: -log s(r) - log(1 - s(f)); G: -log s(f)",
        paper="Goodfellow et al. 2014, arXiv:1406.2661, section 3 (the non-saturating form)",
        discriminator=cross_entropy_discriminator,
        generator=non_saturating_generator,
        smoothable=True,
    ),
    AdversarialLoss(
        name="least_squares",
        formula="D: ((r - 1)^2 + f^2) / 2; G: (f - 1)^2 / 2",
        paper="Mao et al. 2017, arXiv:1611.04076",
        discriminator=least_squares_discriminator,
        generator=least_squares_generator,
        smoothable=True,
    ),
    AdversarialLoss(
        name="wasserstein",
        formula="D: f - r; G: -f",
        paper="Arjovsky et al. 2017, arXiv:1701.07875; needs a Lipschitz constraint: weight_clip or gradient_penalty",
        discriminator=wasserstein_discriminator,
        generator=wasserstein_generator,
    ),
    AdversarialLoss(
        name="hinge",
        formula="D: max(0, 1 - r) + max(0, 1 + f); G: -f",
        paper="Lim and Ye 2017, arXiv:1705.02894",
        discriminator=hinge_discriminator,
        generator=wasserstein_generator,
    ),
    AdversarialLoss(
        name="relativistic",
        formula="D: -log s(r - f); G: -log s(f - r)",
        paper="Jolicoeur-Martineau 2018, arXiv:1807.00734; with r1 and r2: Huang et al. 2025, arXiv:2501.05441",
        discriminator=relativistic_discriminator,
        generator=relativistic_generator,
        paired=True,
    ),
)
LOSSES = {loss.name: loss for loss in _LOSSES}


def get_loss(name: str, label_smoothing: float = 0.0) -> AdversarialLoss:
    """Return a loss by name. Raises UnknownNameError, or SettingsError for smoothing without a target."""
    if name not in LOSSES:
        raise UnknownNameError("loss", name, LOSSES)
    loss = LOSSES[name]
    if label_smoothing and not loss.smoothable:
        raise SettingsError(
            f"the loss {name!r} has no targets to smooth, but label_smoothing is {label_smoothing}.",
            hint="Set label_smoothing=0, or use bce, minimax or least_squares.",
        )
    return loss


Discriminator = Callable[[Tensor], Tensor]
"""Samples [batch, *shape] -> logits [batch]."""


@dataclass(frozen=True)
class Discriminators:
    """One discriminator as a function of samples alone, its labels filled in where it is conditional."""

    real: Discriminator
    """With the labels of the real samples."""
    fake: Discriminator
    """With the labels that the fakes were generated for."""


def r1(discriminators: Discriminators, real: Tensor, fake: Tensor, epsilon: Tensor) -> Tensor:
    """|grad D(x)|^2 / 2 at real samples: flat around the data (Mescheder et al., arXiv:1801.04406, equation 9)."""
    return _squared_gradient(discriminators.real, real).mean() / 2


def r2(discriminators: Discriminators, real: Tensor, fake: Tensor, epsilon: Tensor) -> Tensor:
    """|grad D(G(z))|^2 / 2 at fakes (Mescheder et al., arXiv:1801.04406, equation 10)."""
    return _squared_gradient(discriminators.fake, fake).mean() / 2


def gradient_penalty(discriminators: Discriminators, real: Tensor, fake: Tensor, epsilon: Tensor) -> Tensor:
    """(|grad D(x^)| - 1)^2 at x^ = x + epsilon (G(z) - x), a random point on the line between a real and a fake sample.

    Gulrajani et al., arXiv:1704.00028, equation 3. Their epsilon is our 1 - epsilon; both are uniform.
    """
    epsilon = epsilon.view(-1, *[1] * (real.dim() - 1))
    interpolated = torch.lerp(real, fake, epsilon)  # real at 0, fake at 1
    # 1e-12: the gradient of the root is infinite at zero.
    # The labels are those of the real samples; fakes have the same ones unless the recipe shares fakes.
    norm = _squared_gradient(discriminators.real, interpolated).add(1e-12).sqrt()
    return (norm - 1).square().mean()


def _squared_gradient(discriminator: Discriminator, samples: Tensor) -> Tensor:
    """Squared norm of the gradient of each sample's logit, [batch], itself differentiable."""
    # A leaf of its own: the gradient is taken at the samples, and nothing flows back into what made them.
    samples = samples.detach().requires_grad_()
    # The gradient of the sum holds each sample's own gradient as long as no logit depends on another sample: penalties
    # and batch normalization in the discriminator do not go together (Gulrajani et al., section 4).
    # create_graph: the penalty is a function of this gradient, and the update differentiates it once more.
    (gradient,) = torch.autograd.grad(discriminator(samples).sum(), samples, create_graph=True)
    return gradient.flatten(1).square().sum(1)


REGULARIZERS = {"r1": r1, "r2": r2, "gradient_penalty": gradient_penalty}
"""Name -> (discriminators, real, fake, epsilon) -> scalar. Epsilon [batch] is uniform in [0, 1)."""
