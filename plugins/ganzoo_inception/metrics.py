"""Kernel distance and Inception Score of the 2015 Inception; FID and the rest come from `ganzoo.metrics`."""

from __future__ import annotations

from ganzoo import distances
from ganzoo.errors import EvaluationError
from ganzoo.specs import MetricInputs

EXTRACTOR = "inception-2015"


def kid(inputs: MetricInputs) -> float:
    """Kernel Inception distance (Bińkowski et al., arXiv:1801.01401)."""
    return distances.kernel_distance(inputs.features(EXTRACTOR).values, inputs.real_features(EXTRACTOR).values)


def kid_of_all(inputs: MetricInputs) -> float:
    """Kernel Inception distance over all samples at once, where there may be too few for the subsets of `kid`."""
    return distances.kernel_distance_of_all(inputs.features(EXTRACTOR).values, inputs.real_features(EXTRACTOR).values)


def authenticity(inputs: MetricInputs) -> float:
    """Share of samples that are not nearly copies of a real one (Alaa et al., arXiv:2102.08921)."""
    return distances.authenticity(inputs.features(EXTRACTOR).values, inputs.real_features(EXTRACTOR).values)


def inception_score(inputs: MetricInputs) -> float:
    """Inception Score (Salimans et al., arXiv:1606.03498).

    Only the weights that make the features are pinned; the final layer is taken as the file has it.
    """
    features = inputs.features(EXTRACTOR)
    try:
        logits = features.logits
    except EvaluationError as error:
        raise EvaluationError(
            "these Inception weights lack their final layer: they give FID and KID, but no Inception Score.",
            hint="Set GANZOO_INCEPTION_WEIGHTS to the official .pth file, which has it.",
        ) from error
    return distances.inception_score(logits)
