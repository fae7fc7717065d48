"""The metrics that any extractor gives, for plugins: one call makes all five of their specs. Loads no torch."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from ganzoo.specs import MetricInputs, MetricSpec


class FeatureMetrics(NamedTuple):
    """Generated samples against real ones, by the features of one extractor."""

    frechet_distance: MetricSpec
    """Heusel et al., arXiv:1706.08500."""
    precision: MetricSpec
    """Kynkäänniemi et al., arXiv:1904.06991; so is recall."""
    recall: MetricSpec
    density: MetricSpec
    """Naeem et al., arXiv:2002.09797; so is coverage."""
    coverage: MetricSpec


def feature_metrics(extractor: str, prefix: str, *, distance_name: str | None = None) -> FeatureMetrics:
    """Return Fréchet distance, precision, recall, density and coverage on the features of a registered extractor.

    Register each as an entry point under its name: `fd-<prefix>` (or `distance_name`), `<prefix>-precision`,
    `<prefix>-recall`, `<prefix>-density`, `<prefix>-coverage`.
    """

    def neighbours(statistic: str, summary: str) -> MetricSpec:
        return MetricSpec(
            name=f"{prefix}-{statistic}",
            summary=f"{summary} (5 nearest neighbours on features of {extractor})",
            better="higher",
            compute=partial(_neighbourhood_statistic, extractor, statistic),
        )

    return FeatureMetrics(
        frechet_distance=MetricSpec(
            name=distance_name or f"fd-{prefix}",
            summary=f"Fréchet distance to the real samples, from 0, on features of {extractor}",
            better="lower",
            compute=partial(_frechet_distance, extractor),
        ),
        precision=neighbours("precision", "share of samples that are close to a real one, 0 to 1"),
        recall=neighbours("recall", "share of real samples that are close to a generated one, 0 to 1"),
        density=neighbours("density", "how densely real samples surround the generated ones, about 1 when alike"),
        coverage=neighbours("coverage", "share of real samples with a generated one in their neighbourhood, 0 to 1"),
    )


def _frechet_distance(extractor: str, inputs: MetricInputs) -> float:
    from ganzoo.distances import frechet_distance_of_gaussians

    fake, real = inputs.features(extractor), inputs.real_features(extractor)
    # Means and covariances of real samples are stored; reading them is enough, the features themselves stay unread.
    return frechet_distance_of_gaussians(fake.mean, fake.covariance, real.mean, real.covariance)


def _neighbourhood_statistic(extractor: str, statistic: str, inputs: MetricInputs) -> float:
    from ganzoo.distances import neighbourhoods

    found = inputs.cached(  # one search for neighbours gives all four
        f"neighbourhoods on {extractor}",
        lambda: neighbourhoods(inputs.features(extractor).values, inputs.real_features(extractor).values),
    )
    return float(getattr(found, statistic))
