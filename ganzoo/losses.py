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
    """The two sides of one game."""

    name: str
    """As in `Recipe.loss`."""
    formula: str
    """What D and G minimise."""
    paper: str
    """Where it is from."""
    discriminator: Callable[[Tensor, Tensor, float], Tensor]
    """(real logits, fake logits, label smoothing) -> the real half plus the fake half."""
    generator: Callable[[Tensor, Tensor | None], Tensor]
    """(fake logits, real logits or None) -> loss of the generator."""
    smoothable: bool = False
    """Whether label smoothing has a meaning."""
    paired: bool = False
    """Whether the generator's side compares with real logits."""


def cross_entropy_discriminator(real: Tensor, fake: Tensor, smoothing: float) -> Tensor:
    """-[(1-a) log s(r) + a log(1 - s(r))] - log(1 - s(f)), with the one-sided smoothing a.

    Smoothing of the real label only: Salimans et al., arXiv:1606.03498, section 3.4.
    """
    # -log s(r) = softplus(-r) and -log(1 - s(r)) = softplus(r) = softplus(-r) + r.
    return (softplus(-real) + smoothing * real).mean() + softplus(fake).mean()


def non_saturating_generator(fake: Tensor, real: Tensor | None) -> Tensor:
    """-log s(f): the generator makes the discriminator say "real"."""
    return softplus(-fake).mean()


def saturating_generator(fake: Tensor, real: Tensor | None) -> Tensor:
    """log(1 - s(f)): the generator maximises the discriminator's own loss."""
    return -softplus(fake).mean()


def least_squares_discriminator(real: Tensor, fake: Tensor, smoothing: float) -> Tensor:
    """((r - (1-a))^2 + f^2) / 2."""
    return ((real - (1 - smoothing)).square().mean() + fake.square().mean()) / 2


def least_squares_generator(fake: Tensor, real: Tensor | None) -> Tensor:
    """(f - 1)^2 / 2."""
    return (fake - 1).square().mean() / 2


def wasserstein_discriminator(real: Tensor, fake: Tensor, smoothing: float) -> Tensor:
    """F - r: the critic's estimate of the distance, negated."""
    return fake.mean() - real.mean()


def wasserstein_generator(fake: Tensor, real: Tensor | None) -> Tensor:
    """-f."""
    return -fake.mean()


def hinge_discriminator(real: Tensor, fake: Tensor, smoothing: float) -> Tensor:
    """max(0, 1 - r) + max(0, 1 + f)."""
    return relu(1 - real).mean() + relu(1 + fake).mean()


def relativistic_discriminator(real: Tensor, fake: Tensor, smoothing: float) -> Tensor:
    """-log s(r - f): each real sample should look more real than the fake beside it."""
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


Critic = Callable[[Tensor], Tensor]
"""Samples [batch, *shape] -> logits [batch]."""


@dataclass(frozen=True)
class Critics:
    """The discriminator as a function of samples alone; a conditional one judges by the labels of its batch."""

    real: Critic
    """With the labels of the real samples."""
    fake: Critic
    """With the labels that the fakes were asked for."""


def r1(critics: Critics, real: Tensor, fake: Tensor, epsilon: Tensor) -> Tensor:
    """|grad r|^2 / 2 at real samples: flat around the data (Mescheder et al., arXiv:1801.04406, equation 9)."""
    return _squared_gradient(critics.real, real).mean() / 2


def r2(critics: Critics, real: Tensor, fake: Tensor, epsilon: Tensor) -> Tensor:
    """|grad f|^2 / 2 at fakes (Mescheder et al., arXiv:1801.04406, equation 10)."""
    return _squared_gradient(critics.fake, fake).mean() / 2


def gradient_penalty(critics: Critics, real: Tensor, fake: Tensor, epsilon: Tensor) -> Tensor:
    """(|grad| - 1)^2 at random points between real and fake (Gulrajani et al., arXiv:1704.00028, equation 3)."""
    epsilon = epsilon.view(-1, *[1] * (real.dim() - 1))
    norm = _squared_gradient(critics.real, torch.lerp(real, fake, epsilon)).add(1e-12).sqrt()
    return (norm - 1).square().mean()


def _squared_gradient(critic: Critic, samples: Tensor) -> Tensor:
    """Squared norm of each sample's gradient of its logit, [batch], itself differentiable."""
    samples = samples.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(samples).sum(), samples, create_graph=True)
    return gradient.flatten(1).square().sum(1)


# Each is given `shares`, [batch], random numbers in [0, 1), whether it needs them or not.
REGULARIZERS = {"r1": r1, "r2": r2, "gradient_penalty": gradient_penalty}
