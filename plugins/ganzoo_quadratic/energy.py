"""Energy distance, and the permutation test on it."""

from __future__ import annotations

import torch
from torch import Tensor


def energy_test(
    first: Tensor, second: Tensor, num_permutations: int, generator: torch.Generator
) -> tuple[float, float]:
    """Return the energy distance of two samples, float64 [num, dim] each, and the p-value of its permutation test.

    The distance is 2 E|X - Y| - E|X - X'| - E|Y - Y'|, with means over all pairs, so it is at least 0 (Székely and
    Rizzo 2013, Energy statistics, Journal of Statistical Planning and Inference 143, section 6). The p-value is the
    share of permutations, identity included, with a distance at least as large: at least 1 / (num_permutations + 1).
    """
    # Under the hypothesis that both have one law, any split of the pooled samples is as likely as the given one.
    pooled = torch.cat([first, second])
    num, num_first = len(pooled), len(first)
    # [num, num], once for all permutations. Not as |x|² - 2xy + |y|², which loses the digits of close points.
    pairs = torch.cdist(pooled, pooled, compute_mode="donot_use_mm_for_euclid_dist")
    # One column per permutation, 1 for "first": a single matrix product then gives all sums within and between the two.
    labels = pooled.new_zeros(num, 1 + num_permutations)
    labels[:num_first, 0] = 1
    for column in range(1, 1 + num_permutations):
        labels[torch.randperm(num, generator=generator)[:num_first], column] = 1
    within_first = (labels * (pairs @ labels)).sum(dim=0)  # ordered pairs: each counts twice, as in both means
    touching_first = pairs.sum(dim=1) @ labels  # all distances from its points: within + between
    between = touching_first - within_first
    within_second = pairs.sum() - touching_first - between  # the total holds `between` in both directions
    num_second = num - num_first
    distances = 2 * between / (num_first * num_second) - within_first / num_first**2 - within_second / num_second**2
    return float(distances[0]), float((distances >= distances[0]).double().mean())
