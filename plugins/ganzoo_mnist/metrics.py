"""How generated digits compare with real ones, in the eyes of the digit classifier."""

from __future__ import annotations

from torch import Tensor

from ganzoo.distances import Neighbourhoods, frechet_distance_of_gaussians, neighbourhoods
from ganzoo.errors import EvaluationError
from ganzoo.specs import MetricInputs

EXTRACTOR = "lenet-mnist"


def fd_lenet(inputs: MetricInputs) -> float:
    """Squared Fréchet distance between Gaussians fitted to the features."""
    fake, real = inputs.features(EXTRACTOR), inputs.real_features(EXTRACTOR)
    return frechet_distance_of_gaussians(fake.mean, fake.covariance, real.mean, real.covariance)


def precision(inputs: MetricInputs) -> float:
    """Share of fakes near some real digit."""
    return _neighbourhoods(inputs).precision


def recall(inputs: MetricInputs) -> float:
    """Share of real digits near some fake."""
    return _neighbourhoods(inputs).recall


def density(inputs: MetricInputs) -> float:
    """How many real digits a fake is near to, as a share of what is usual among real ones."""
    return _neighbourhoods(inputs).density


def coverage(inputs: MetricInputs) -> float:
    """Share of real digits that have a fake nearby."""
    return _neighbourhoods(inputs).coverage


def _neighbourhoods(inputs: MetricInputs) -> Neighbourhoods:
    def compare() -> Neighbourhoods:
        return neighbourhoods(inputs.features(EXTRACTOR).values, inputs.real_features(EXTRACTOR).values)

    found: Neighbourhoods = inputs.shared(f"neighbourhoods of {EXTRACTOR}", compare)
    return found


def class_imbalance(inputs: MetricInputs) -> float:
    """Total variation distance between the histogram of the classes read and the uniform one."""
    logits = inputs.features(EXTRACTOR).logits
    shares = logits.argmax(1).bincount(minlength=logits.shape[1]).double() / len(logits)
    return float((shares - 1 / logits.shape[1]).abs().sum() / 2)


def label_accuracy(inputs: MetricInputs) -> float:
    """Share of digits that are read as the class they were asked for. Raises EvaluationError without classes."""
    if inputs.labels is None:
        raise EvaluationError(
            "label-accuracy needs a class-conditional model: this one cannot be asked for a class.",
            hint="Choose the protocol mnist-lenet-v1.",
        )
    read: Tensor = inputs.features(EXTRACTOR).logits.argmax(1)
    return float((read == inputs.labels).double().mean())
