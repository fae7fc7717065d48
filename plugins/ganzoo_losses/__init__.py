"""Adversarial losses and regularizers.

Notation: r = D(x) and f = D(G(z)) are raw logits [batch]; s(t) = 1 / (1 + exp(-t)).
"""

from __future__ import annotations

from ganzoo.deferred import deferred
from ganzoo.specs import LossSpec, RegularizerSpec

MINIMAX = LossSpec(
    name="minimax",
    summary="D: -log s(r) - log(1 - s(f)); G: log(1 - s(f))",
    paper="Goodfellow et al. 2014, arXiv:1406.2661, equation 1",
    discriminator=deferred("ganzoo_losses.losses:cross_entropy_discriminator"),
    generator=deferred("ganzoo_losses.losses:saturating_generator"),
    smoothable=True,
)

BCE = LossSpec(
    name="bce",
    summary="D: -log s(r) - log(1 - s(f)); G: -log s(f)",
    paper="Goodfellow et al. 2014, arXiv:1406.2661, section 3 (the non-saturating form)",
    discriminator=deferred("ganzoo_losses.losses:cross_entropy_discriminator"),
    generator=deferred("ganzoo_losses.losses:non_saturating_generator"),
    smoothable=True,
)

LEAST_SQUARES = LossSpec(
    name="least_squares",
    summary="D: ((r - 1)^2 + f^2) / 2; G: (f - 1)^2 / 2",
    paper="Mao et al. 2017, arXiv:1611.04076",
    discriminator=deferred("ganzoo_losses.losses:least_squares_discriminator"),
    generator=deferred("ganzoo_losses.losses:least_squares_generator"),
    smoothable=True,
)

WASSERSTEIN = LossSpec(
    name="wasserstein",
    summary="D: f - r; G: -f",
    paper="Arjovsky et al. 2017, arXiv:1701.07875; needs a Lipschitz constraint: weight_clip or gradient_penalty",
    discriminator=deferred("ganzoo_losses.losses:wasserstein_discriminator"),
    generator=deferred("ganzoo_losses.losses:wasserstein_generator"),
)

HINGE = LossSpec(
    name="hinge",
    summary="D: max(0, 1 - r) + max(0, 1 + f); G: -f",
    paper="Lim and Ye 2017, arXiv:1705.02894",
    discriminator=deferred("ganzoo_losses.losses:hinge_discriminator"),
    generator=deferred("ganzoo_losses.losses:wasserstein_generator"),
)

RELATIVISTIC = LossSpec(
    name="relativistic",
    summary="D: -log s(r - f); G: -log s(f - r)",
    paper="Jolicoeur-Martineau 2018, arXiv:1807.00734; with r1 and r2: Huang et al. 2025, arXiv:2501.05441",
    discriminator=deferred("ganzoo_losses.losses:relativistic_discriminator"),
    generator=deferred("ganzoo_losses.losses:relativistic_generator"),
    paired=True,
)

R1 = RegularizerSpec(
    name="r1",
    summary="|grad D(x)|^2 / 2 at real samples: flat around the data",
    paper="Mescheder et al. 2018, arXiv:1801.04406, equation 9",
    compute=deferred("ganzoo_losses.regularizers:r1"),
)

R2 = RegularizerSpec(
    name="r2",
    summary="|grad D(G(z))|^2 / 2 at fakes",
    paper="Mescheder et al. 2018, arXiv:1801.04406, equation 10",
    compute=deferred("ganzoo_losses.regularizers:r2"),
)

GRADIENT_PENALTY = RegularizerSpec(
    name="gradient_penalty",
    summary="(|grad D(x^)| - 1)^2 at x^ = x + epsilon (G(z) - x), a random point on the line between a real and a fake "
    "sample",
    paper="Gulrajani et al. 2017, arXiv:1704.00028, equation 3",
    compute=deferred("ganzoo_losses.regularizers:gradient_penalty"),
)

PATH_LENGTH = RegularizerSpec(
    name="path_length",
    summary="(|J^T y| - a)^2: steps of one length in z change the sample by one length a, the running mean of |J^T y|",
    paper="Karras et al. 2020, arXiv:1912.04958, equation 4, with z in place of w",
    of="generator",
    compute=deferred("ganzoo_losses.regularizers:path_length"),
    state=deferred("ganzoo_losses.regularizers:path_length_state"),
)
