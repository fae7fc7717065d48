"""Published numbers against measured ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ganzoo.distributed.torchrun import init_processes
from ganzoo.evaluation.measurement import evaluate_gan
from ganzoo.evaluation.report import Evaluation
from ganzoo.sources import load
from ganzoo.weights.manifest import WeightsEntry

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Comparison:
    """One metric of an entry, measured again."""

    reference: str
    metric: str
    protocol: str
    published: float
    measured: float | None
    """None if the protocol does not measure it any more."""
    tolerance: float
    """Largest difference that the entry allows."""
    deviation: str | None
    """How the measurement deviates from its protocol. A deviating measurement never confirms a published number."""

    @property
    def holds(self) -> bool:
        """Whether the published number was reproduced."""
        if self.deviation is not None or self.measured is None:
            return False
        return abs(self.measured - self.published) <= self.tolerance


def evaluate_entry(
    entry: WeightsEntry, device: str | torch.device = "cpu", data_dir: Path | None = None, protocol: str | None = None
) -> list[Evaluation]:
    """Measure weights under every protocol of their entry, or under one. Raises as `evaluate` does.

    Args:
        entry: the weights.
        device: where samples are generated and features extracted.
        data_dir: as for `evaluate`.
        protocol: one protocol instead of the entry's own.
    """
    gan = load(str(entry.reference), device=str(init_processes().device(device)))
    # The entry's own protocols, not the dataset's default: a default may change, a published number may not.
    names = entry.protocols if protocol is None else [protocol]
    return [evaluate_gan(gan, str(entry.reference), name, data_dir) for name in names]


def compare(entry: WeightsEntry, evaluation: Evaluation) -> list[Comparison]:
    """Compare a measurement with the numbers that the entry states for the same protocol."""
    measured = {metric.name: metric.value for metric in evaluation.metrics}
    return [
        Comparison(
            reference=str(entry.reference),
            metric=stated["name"],
            protocol=stated["protocol"],
            published=stated["value"],
            measured=measured.get(stated["name"]),
            tolerance=stated["tolerance"],
            deviation=evaluation.deviation,
        )
        for stated in entry.metrics
        if stated["protocol"] == evaluation.protocol.name
    ]
