"""The Inception network of FID, and the metrics on its features. Importing this loads no torch."""

from __future__ import annotations

from ganzoo.deferred import deferred
from ganzoo.specs import ExtractorSpec, MetricSpec

INCEPTION_2015 = ExtractorSpec(
    name="inception-2015",
    summary="2048 features of the Inception v3 of 2015-12-05, trained on ImageNet: the network of FID",
    resize="299×299 bilinear as TensorFlow 1 does, inside torch-fidelity's network; grey images repeated to 3 channels",
    batch_size=64,
    load=deferred("ganzoo_inception.network:load"),
)

FID = MetricSpec(
    name="fid",
    summary="Fréchet Inception distance to the real images, from 0; only on the Inception of 2015",
    better="lower",
    compute=deferred("ganzoo_inception.metrics:fid"),
)

KID = MetricSpec(
    name="kid",
    summary="kernel Inception distance to the real images, unbiased, about 0 when alike; 100 subsets of 1,000",
    better="lower",
    compute=deferred("ganzoo_inception.metrics:kid"),
)

INCEPTION_PRECISION = MetricSpec(
    name="inception-precision",
    summary="share of the samples among the real images, 0 to 1, by 5 nearest neighbours on Inception features",
    better="higher",
    compute=deferred("ganzoo_inception.metrics:precision"),
)

INCEPTION_RECALL = MetricSpec(
    name="inception-recall",
    summary="share of the real images among the samples, 0 to 1, by 5 nearest neighbours on Inception features",
    better="higher",
    compute=deferred("ganzoo_inception.metrics:recall"),
)

INCEPTION_DENSITY = MetricSpec(
    name="inception-density",
    summary="how densely real images surround the samples, about 1 when alike, by 5 neighbours on Inception features",
    better="higher",
    compute=deferred("ganzoo_inception.metrics:density"),
)

INCEPTION_COVERAGE = MetricSpec(
    name="inception-coverage",
    summary="share of the real images with a sample near by, 0 to 1, by 5 neighbours on Inception features",
    better="higher",
    compute=deferred("ganzoo_inception.metrics:coverage"),
)

INCEPTION_SCORE = MetricSpec(
    name="inception-score",
    summary="Inception Score, 1 to 1,008: mean over 10 splits; needs weights with the final layer",
    better="higher",
    compute=deferred("ganzoo_inception.metrics:inception_score"),
)
