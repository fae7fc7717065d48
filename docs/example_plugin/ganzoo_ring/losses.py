"""The loss `pearson` as functions of logits [batch]; each returns a scalar to be minimised."""

from __future__ import annotations

from torch import Tensor


def pearson_discriminator(real: Tensor, fake: Tensor, smoothing: float | Tensor) -> Tensor:
    """((r - 1)^2 + (f + 1)^2) / 2. It declares no targets to smooth, so `smoothing` is 0."""
    return ((real - 1).square().mean() + (fake + 1).square().mean()) / 2


def pearson_generator(fake: Tensor, real: Tensor | None) -> Tensor:
    """f^2 / 2: the generator wants the logit half-way between those of real and of fake samples."""
    return fake.square().mean() / 2
