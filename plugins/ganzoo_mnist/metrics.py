"""Metrics on the predictions of the digit classifier; those on its features come from `ganzoo.metrics`."""

from __future__ import annotations

from torch import Tensor

from ganzoo.errors import EvaluationError
from ganzoo.specs import MetricInputs

EXTRACTOR = "lenet-mnist"


def class_imbalance(inputs: MetricInputs) -> float:
    """Total variation distance between the histogram of predicted classes and the uniform one."""
    logits = inputs.features(EXTRACTOR).logits
    # minlength: a class that is never predicted still counts as a bar of height 0.
    fractions = logits.argmax(1).bincount(minlength=logits.shape[1]).double() / len(logits)
    # Half the L1 distance. 0 for equal classes, 0.9 when all samples are one of ten digits.
    return float((fractions - 1 / logits.shape[1]).abs().sum() / 2)


def label_accuracy(inputs: MetricInputs) -> float:
    """Share of digits classified as the requested label. Raises EvaluationError for unconditional models."""
    if inputs.labels is None:
        raise EvaluationError(
            "label-accuracy needs a class-conditional model.",
            hint="Choose the protocol mnist-lenet-v1.",
        )
    predicted: Tensor = inputs.features(EXTRACTOR).logits.argmax(1)
    return float((predicted == inputs.labels).double().mean())
