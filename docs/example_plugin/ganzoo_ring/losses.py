"""The loss `relativistic-average` as functions of logits [batch]; each returns a scalar to be minimised."""

from __future__ import annotations

from torch import Tensor


def relativistic_average_discriminator(real: Tensor, fake: Tensor, smoothing: float | Tensor) -> Tensor:
    """(r - mean f - 1)^2 + (f - mean r + 1)^2: real samples look more real than the average fake, and the reverse.

    The spec declares no targets to smooth, so `smoothing` is 0.
    """
    return (real - fake.mean() - 1).square().mean() + (fake - real.mean() + 1).square().mean()


def relativistic_average_generator(fake: Tensor, real: Tensor | None) -> Tensor:
    """(f - mean r - 1)^2 + (r - mean f + 1)^2. The spec declares `paired`, so real logits are given."""
    assert real is not None
    return (fake - real.mean() - 1).square().mean() + (real - fake.mean() + 1).square().mean()
