"""The Inception network of FID, and the metrics on its features. Importing this loads no torch."""

from __future__ import annotations

from ganzoo.deferred import deferred
from ganzoo.metrics import feature_metrics
from ganzoo.specs import ExtractorSpec, MetricSpec

INCEPTION_2015 = ExtractorSpec(
    name="inception-2015",
    summary="2048 features of the Inception v3 of 2015-12-05, trained on ImageNet: the network of FID",
    resize="299×299 bilinear as TensorFlow 1 does, inside torch-fidelity's network; grey images repeated to 3 channels",
    batch_size=64,
    load=deferred("ganzoo_inception.network:load"),
    at_hand=deferred("ganzoo_inception.weights:at_hand"),
)

FID, INCEPTION_PRECISION, INCEPTION_RECALL, INCEPTION_DENSITY, INCEPTION_COVERAGE = feature_metrics(
    "inception-2015", "inception", distance_name="fid"
)

KID = MetricSpec(
    name="kid",
    summary="kernel Inception distance to the real samples, unbiased, about 0 when alike; 100 subsets of 1,000",
    better="lower",
    compute=deferred("ganzoo_inception.metrics:kid"),
)

KID_ALL = MetricSpec(
    name="kid-all",
    summary="kernel Inception distance without subsets, for any number of images: unbiased, about 0 when alike",
    better="lower",
    compute=deferred("ganzoo_inception.metrics:kid_of_all"),
)

INCEPTION_AUTHENTICITY = MetricSpec(
    name="inception-authenticity",
    summary="share of samples that do not copy a real one: 0 for copies, about 0.5 for new real images",
    better="higher",
    compute=deferred("ganzoo_inception.metrics:authenticity"),
)

INCEPTION_SCORE = MetricSpec(
    name="inception-score",
    summary="Inception Score, 1 to 1,008: mean over 10 splits; needs weights with the final layer",
    better="higher",
    compute=deferred("ganzoo_inception.metrics:inception_score"),
)
