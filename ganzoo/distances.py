"""Distances between sets of features: plain functions, each with its formula and paper."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ganzoo.errors import EvaluationError


def frechet_distance(first: Tensor, second: Tensor) -> float:
    """Squared Fréchet distance between Gaussians fitted to two sets of features [num, dim].

    Raises EvaluationError for fewer than two samples or values that are not finite.
    """
    return frechet_distance_of_gaussians(*gaussian(first), *gaussian(second))


def gaussian(features: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean [dim] and covariance [dim, dim] of features [num, dim], in float64.

    Raises EvaluationError for fewer than two samples or values that are not finite.
    """
    if len(features) < 2 or not features.isfinite().all():
        raise EvaluationError("a Fréchet distance needs at least two samples, all finite.", hint="Take more samples.")
    # The distance is a small difference of large sums, of which float32 would lose digits.
    features = features.double()
    # torch.cov returns a scalar for a single feature.
    return features.mean(0), torch.atleast_2d(torch.cov(features.T))


def frechet_distance_of_gaussians(mean1: Tensor, covariance1: Tensor, mean2: Tensor, covariance2: Tensor) -> float:
    """|m1 - m2|² + tr(C1 + C2 - 2 (C1 C2)^½): Dowson and Landau 1982; Heusel et al., arXiv:1706.08500, equation 6.

    With C1 = F Fᵀ the trace of (C1 C2)^½ is the sum of the roots of the eigenvalues of Fᵀ C2 F, which is symmetric: two
    seconds for 2048 features, where the eigenvalues of C1 C2 itself take half a minute.
    """
    factor = _factor(covariance1)
    # AB and BA have the same eigenvalues except zeros: with A = F and B = Fᵀ C2, those of C1 C2. Only rounding makes
    # one of them negative.
    cross = torch.linalg.eigvalsh(factor.T @ covariance2 @ factor).clamp(min=0).sqrt().sum()
    distance = (mean1 - mean2).square().sum() + covariance1.trace() + covariance2.trace() - 2 * cross
    return max(0.0, float(distance))  # rounding may leave equal Gaussians slightly below zero


def _factor(covariance: Tensor) -> Tensor:
    """Return F [dim, rank] with F Fᵀ = C."""
    factor, failed = torch.linalg.cholesky_ex(covariance)
    if not failed:
        return factor
    # Singular, as with fewer samples than features.
    values, vectors = torch.linalg.eigh(covariance)
    # The threshold of numpy.linalg.matrix_rank: smaller eigenvalues are rounding errors of zero.
    kept = values > values[-1].clamp(min=0) * len(values) * torch.finfo(values.dtype).eps
    return vectors[:, kept] * values[kept].sqrt()


def kernel_distance(first: Tensor, second: Tensor, *, subsets: int = 100, subset_size: int = 1000) -> float:
    """Mean over random subsets of the unbiased squared MMD between features [num, dim], with (x·y / dim + 1)³.

    Bińkowski et al., arXiv:1801.01401, sections 3 and 4. The subsets are drawn with numpy's legacy generator from seed
    2020, as torch-fidelity draws them, so that both give the same number.

    Raises EvaluationError for fewer than `subset_size` samples on either side.
    """
    import numpy as np

    if min(len(first), len(second)) < subset_size:
        raise EvaluationError(
            f"a kernel distance needs {subset_size:,} samples on both sides, not {len(first):,} and {len(second):,}.",
            hint="Choose a protocol with more samples.",
        )
    source = np.random.RandomState(2020)
    total = 0.0
    for _ in range(subsets):
        x = first[torch.from_numpy(source.choice(len(first), subset_size, replace=False))]
        y = second[torch.from_numpy(source.choice(len(second), subset_size, replace=False))]
        total += _unbiased_mmd(x, y)
    return total / subsets


def _unbiased_mmd(x: Tensor, y: Tensor) -> float:
    """Bińkowski et al., equation 4, for two sets of one size."""
    num = len(x)
    # Without the diagonal, the similarity of each sample to itself. This makes the estimate unbiased, and it is why it
    # can be negative for two samples of one distribution.
    within = sum(float(matrix.sum() - matrix.diagonal().sum()) for matrix in (_kernel(x, x), _kernel(y, y)))
    return within / (num * (num - 1)) - 2 * float(_kernel(x, y).mean())


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    """(x·y / dim + 1)³ for each pair of rows, float64 [num_x, num_y]."""
    return (x @ y.T / x.shape[1] + 1).double().pow_(3)


def kernel_distance_of_all(first: Tensor, second: Tensor) -> float:
    """Unbiased squared MMD between all features of two sets [num, dim], which may be of any and of different size.

    The same kernel and expected value as `kernel_distance`, without subsets: Bińkowski et al., arXiv:1801.01401,
    equation 4. Its variance is the smallest that the samples allow, and nothing is drawn.

    Raises EvaluationError for fewer than two samples on either side.
    """
    if min(len(first), len(second)) < 2:
        raise EvaluationError("a kernel distance needs at least two samples on both sides.", hint="Take more samples.")
    within = sum(
        (_kernel_sum(one, one) - float(_kernel_diagonal(one).sum())) / (len(one) * (len(one) - 1))
        for one in (first, second)
    )
    return within - 2 * _kernel_sum(first, second) / (len(first) * len(second))


def _kernel_sum(x: Tensor, y: Tensor) -> float:
    """Sum over all pairs of rows, in blocks: the whole matrix of two sets of 10,000 has 800 MB."""
    return sum(float(_kernel(rows, y).sum()) for rows in x.split(_ROWS))


def _kernel_diagonal(x: Tensor) -> Tensor:
    return (x.square().sum(1) / x.shape[1] + 1).double().pow_(3)


@dataclass(frozen=True)
class Neighbourhoods:
    """How two sets of features cover each other; each 0 to 1, density also above."""

    precision: float
    """Share of fakes inside the ball of some real sample (Kynkäänniemi et al., arXiv:1904.06991, equation 2)."""
    recall: float
    """Share of real samples inside the ball of some fake (the same, equation 3)."""
    density: float
    """Mean number of real balls that hold a fake, over k (Naeem et al., arXiv:2002.09797, equation 4)."""
    coverage: float
    """Share of real samples whose ball holds a fake (the same, equation 5)."""


def neighbourhoods(fake: Tensor, real: Tensor, *, k: int = 5) -> Neighbourhoods:
    """Compare features [num, dim]. A sample's ball reaches to its k-th nearest neighbour within its own set.

    Memory grows with the number of samples times a block of rows, not with its square.

    Raises EvaluationError for k samples or fewer on either side.
    """
    if min(len(fake), len(real)) <= k:
        raise EvaluationError(f"a ball to the {k}th neighbour needs more than {k} samples.", hint="Take more samples.")
    # cdist expands |x - y|² into |x|² - 2xy + |y|², which loses the digits of features that lie far from the origin.
    center = real.mean(0)
    fake, real = fake - center, real - center
    real_radii, fake_radii = _radii(real, k), _radii(fake, k)
    inside_real = torch.zeros(len(fake))  # [num_fake]: real balls that hold each fake
    inside_fake, covered = [], []
    for rows, radii in zip(real.split(_ROWS), real_radii.split(_ROWS), strict=True):
        distances = torch.cdist(rows, fake)  # [rows, num_fake]
        holds = distances <= radii.unsqueeze(1)
        inside_real += holds.sum(0)
        covered.append(holds.any(1))
        inside_fake.append((distances <= fake_radii).any(1))  # each fake's own radius, along columns
    return Neighbourhoods(
        precision=float((inside_real > 0).float().mean()),
        recall=float(torch.cat(inside_fake).float().mean()),
        density=float(inside_real.mean()) / k,
        coverage=float(torch.cat(covered).float().mean()),
    )


_ROWS = 1000
"""Rows of the matrix of distances that are in memory at a time."""


def _radii(features: Tensor, k: int) -> Tensor:
    """Distance of each row to its k-th nearest neighbour among the others, [num]."""
    # The nearest of all is the row itself. topk of so few takes a tenth of the time of kthvalue.
    nearest = (torch.cdist(rows, features).topk(k + 1, largest=False) for rows in features.split(_ROWS))
    return torch.cat([found.values[:, -1] for found in nearest])


def nearest_rows(queries: Tensor, rows: Tensor, k: int = 1, *, others: bool = False) -> tuple[Tensor, Tensor]:
    """Find the k rows [num_rows, dim] that are nearest to each query [num, dim], in blocks of rows.

    Args:
        queries: of any real type, as `rows`; computed in float64, in which equal rows are recognised as such.
        rows: the set that is searched, at least k.
        k: number of neighbours.
        others: do not count rows that equal the query: itself, and its copies.

    Returns distances, float64 [num, k], nearest first, and row numbers, int64 [num, k]. Where fewer than k rows count,
    the rest is at an infinite distance.
    """
    queries = queries.double()
    best = torch.full((len(queries), k), math.inf, dtype=torch.float64)
    found = torch.zeros(len(queries), k, dtype=torch.int64)
    # Features of one image may differ in their last bits, where it was in batches of different sizes.
    same = 1e-5 * queries.norm(dim=1, keepdim=True)
    for start in range(0, len(rows), _ROWS):
        distances = torch.cdist(queries, rows[start : start + _ROWS].double())  # [num, block]
        if others:
            distances[distances <= same] = math.inf
        near = distances.topk(min(k, distances.shape[1]), largest=False)
        candidates = torch.cat([best, near.values], 1)
        best, order = candidates.topk(k, largest=False)
        found = torch.cat([found, near.indices + start], 1).gather(1, order)
    return best, found


def authenticity(fake: Tensor, real: Tensor) -> float:
    """Share of fakes that are farther from their nearest real sample than that one is from its own nearest other.

    Alaa et al., arXiv:2102.08921, on features [num, dim]. Copies of real samples give 0. New samples of the
    same distribution give about a half, not 1. Copies within the real samples count as one: otherwise a real sample
    that is there twice would let every near copy of it pass.

    Raises EvaluationError for fewer than two real samples.
    """
    if len(real) < 2:
        raise EvaluationError("authenticity needs at least two real samples.", hint="Take more real samples.")
    distances, rows = nearest_rows(fake, real)
    return float((distances[:, 0] > own_distances(real, rows[:, 0])).double().mean())


def own_distances(real: Tensor, rows: Tensor) -> Tensor:
    """Return the distance of some of the real features [num, dim] to their nearest other, float64 [len(rows)]."""
    distinct, position = rows.unique(return_inverse=True)  # many samples may have the same neighbour
    return nearest_rows(real[distinct], real, others=True)[0][position, 0]


def left_out_ratios(real: Tensor, rows: Tensor) -> Tensor:
    """Measure some real features [num, dim] as if they were fakes: each is left out of the rest meanwhile.

    Returns the distance to the nearest other real sample over that one's distance to its own nearest other, float64
    [len(rows)]; the share above 1 is the authenticity of a generator that samples the true distribution. Raises
    EvaluationError for fewer than three real samples.
    """
    if len(real) < 3:
        raise EvaluationError("it takes three real samples to leave one out.", hint="Take more real samples.")
    distances, nearest = nearest_rows(real[rows], real, others=True)
    own, own_rows = nearest_rows(real[nearest[:, 0]], real, 2, others=True)
    # The sample itself is left out, so the second counts where it is the first.
    return distances[:, 0] / torch.where(own_rows[:, 0] == rows, own[:, 1], own[:, 0])


def inception_score(logits: Tensor, *, splits: int = 10) -> float:
    """Return the exponential of E[KL(p(y|x) || p(y))] of logits [num, classes], in the mean over splits.

    Salimans et al., arXiv:1606.03498, section 4. The samples are shuffled with numpy's legacy generator from seed 2020,
    as torch-fidelity shuffles them, so that both give the same number.

    Raises EvaluationError for fewer samples than splits.
    """
    import numpy as np

    num = len(logits)
    if num < splits:
        raise EvaluationError(f"an Inception Score needs {splits} samples or more.", hint="Take more samples.")
    log_p = logits[torch.from_numpy(np.random.RandomState(2020).permutation(num))].double().log_softmax(1)
    bounds = [split * num // splits for split in range(splits + 1)]
    scores = [_score(log_p[start:stop]) for start, stop in itertools.pairwise(bounds)]
    return sum(scores) / splits


def _score(log_p: Tensor) -> float:
    # log p(y), the mean of p(y|x) over the split, computed from logarithms so that small probabilities do not vanish.
    marginal = log_p.logsumexp(0) - math.log(len(log_p))
    return float((log_p.exp() * (log_p - marginal)).sum(1).mean().exp())
