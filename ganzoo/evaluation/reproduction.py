"""Published numbers against those of weights that were trained again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from ganzoo.evaluation.checking import Comparison

MAX_DEVIATIONS = 2
"""A published number may lie so many standard deviations of the new trainings from their mean."""

MIN_TRAININGS = 3
"""Of fewer, the standard deviation says too little."""


@dataclass(frozen=True)
class Reproduction:
    """One published metric, and what each new training reaches."""

    metric: str
    protocol: str
    published: float
    tolerance: float
    """Largest difference that the entry allows, which covers rounding on other processors, not other trainings."""
    values: Mapping[int, float]
    """Seed of the training -> value; without those that the protocol does not measure any more."""
    unmeasured: int
    """How many trainings have no value."""
    deviation: str | None
    """How a measurement deviates from its protocol, if one does; then nothing is reproduced."""

    @property
    def mean(self) -> float | None:
        """Mean over the trainings; None without any."""
        return fmean(self.values.values()) if self.values else None

    @property
    def std(self) -> float | None:
        """Standard deviation between the trainings; None for fewer than two."""
        return stdev(self.values.values()) if len(self.values) > 1 else None

    @property
    def holds(self) -> bool:
        """Whether the published number is within the tolerance of the mean, or within the spread of the trainings."""
        if self.deviation is not None or self.mean is None or self.unmeasured:
            return False
        spread = MAX_DEVIATIONS * self.std if self.std is not None and len(self.values) >= MIN_TRAININGS else 0.0
        return abs(self.mean - self.published) <= max(self.tolerance, spread)


def reproductions(trainings: Mapping[int, Sequence[Comparison]]) -> Iterator[Reproduction]:
    """Yield each published metric with the values of all trainings: seed -> comparisons, in the same order for each."""
    for compared in zip(*trainings.values(), strict=True):
        first = compared[0]
        values = {seed: one.measured for seed, one in zip(trainings, compared, strict=True)}
        yield Reproduction(
            metric=first.metric,
            protocol=first.protocol,
            published=first.published,
            tolerance=first.tolerance,
            values={seed: value for seed, value in values.items() if value is not None},
            unmeasured=sum(value is None for value in values.values()),
            deviation=next((one.deviation for one in compared if one.deviation is not None), None),
        )
