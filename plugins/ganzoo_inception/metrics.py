"""Metrics on the features of the 2015 Inception."""

from __future__ import annotations

from ganzoo import distances
from ganzoo.errors import EvaluationError
from ganzoo.specs import Features, MetricInputs

EXTRACTOR = "inception-2015"


def fid(inputs: MetricInputs) -> float:
    """Fréchet Inception distance (Heusel et al., arXiv:1706.08500)."""
    fake, real = _features(inputs), inputs.real_features(EXTRACTOR)
    return distances.frechet_distance_of_gaussians(fake.mean, fake.covariance, real.mean, real.covariance)


def kid(inputs: MetricInputs) -> float:
    """Kernel Inception distance (Bińkowski et al., arXiv:1801.01401)."""
    return distances.kernel_distance(_features(inputs).values, inputs.real_features(EXTRACTOR).values)


def precision(inputs: MetricInputs) -> float:
    """Improved precision."""
    return _neighbourhoods(inputs).precision


def recall(inputs: MetricInputs) -> float:
    """Improved recall."""
    return _neighbourhoods(inputs).recall


def density(inputs: MetricInputs) -> float:
    """Density."""
    return _neighbourhoods(inputs).density


def coverage(inputs: MetricInputs) -> float:
    """Coverage."""
    return _neighbourhoods(inputs).coverage


def inception_score(inputs: MetricInputs) -> float:
    """Inception Score (Salimans et al., arXiv:1606.03498).

    Only the features' weights are pinned; a final layer is taken as the file has it.
    """
    features = _features(inputs)
    try:
        logits = features.logits
    except EvaluationError as error:
        raise EvaluationError(
            "these Inception weights lack their final layer: they give FID and KID, but no Inception Score.",
            hint="Set GANZOO_INCEPTION_WEIGHTS to the official .pth file, which has it.",
        ) from error
    return distances.inception_score(logits)


def _features(inputs: MetricInputs) -> Features:
    if inputs.sample.kind != "image" or len(inputs.sample.shape) != 3 or inputs.sample.shape[0] not in (1, 3):
        raise EvaluationError(
            "the Inception looks at images with one or three channels, and these samples are none.",
            hint="Choose a metric of the model's own dataset.",
        )
    return inputs.features(EXTRACTOR)


def _neighbourhoods(inputs: MetricInputs) -> distances.Neighbourhoods:
    def compute() -> distances.Neighbourhoods:
        return distances.neighbourhoods(_features(inputs).values, inputs.real_features(EXTRACTOR).values)

    found: distances.Neighbourhoods = inputs.shared(f"neighbourhoods on {EXTRACTOR}", compute)
    return found
