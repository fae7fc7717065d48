"""Published numbers against measured ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ganzoo.data.location import settings_key
from ganzoo.data.settings import ConfiguredDataset, configured
from ganzoo.distributed.torchrun import init_processes
from ganzoo.evaluation.measurement import Evaluator, evaluate_gan, find_protocol
from ganzoo.evaluation.report import Evaluation
from ganzoo.registry import datasets
from ganzoo.sources import load, resolve
from ganzoo.units import human_time
from ganzoo.weights.manifest import WeightsEntry
from ganzoo.weights.model_config import parse_model_config

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


def evaluate_entries(
    entries: Sequence[WeightsEntry],
    device: str | torch.device = "cpu",
    data_dir: Path | None = None,
    protocol: str | None = None,
    report: Callable[[str], None] = lambda _: None,
) -> Iterator[tuple[WeightsEntry, Evaluation]]:
    """Measure weights under every protocol of their entries, or under one, and yield each evaluation.

    Args:
        entries: the weights.
        device: where samples are generated and features extracted.
        data_dir: as for `evaluate`.
        protocol: one protocol instead of the entries' own.
        report: called with a line of text when an evaluation begins and when it ends.

    All real samples are opened first, so that files that are missing are reported before the first measurement.
    Raises as `evaluate` does.
    """
    target = init_processes().device(device)
    # The entry's own protocols, not the dataset's default: a default may change, a published number may not.
    tasks = [(entry, name) for entry in entries for name in (entry.protocols if protocol is None else [protocol])]
    check_data(tasks, target, data_dir)
    for index, (entry, name) in enumerate(tasks, 1):
        what = f"{index} of {len(tasks)}: {entry.reference} under {name}"
        report(f"Evaluating {what}")
        started = time.perf_counter()
        evaluation = evaluate_gan(load(str(entry.reference), device=target), str(entry.reference), name, data_dir)
        report(f"Evaluated {what} in {human_time(time.perf_counter() - started)}")
        yield entry, evaluation


def check_data(tasks: Sequence[tuple[WeightsEntry, str]], device: torch.device, data_dir: Path | None) -> None:
    """Open the real samples that entries are compared with under protocols; raises as `evaluate` does."""
    opened = {}
    for entry, name in tasks:
        dataset = _dataset_of(entry)
        opened[dataset.name, settings_key(dataset.settings), name] = dataset
    for (_, _, name), dataset in opened.items():
        Evaluator(dataset, find_protocol(dataset, name), device, data_dir, init_processes()).check_data()


def _dataset_of(entry: WeightsEntry) -> ConfiguredDataset:
    """Return the dataset of an entry with the settings that its model was trained with."""
    spec = datasets.get(entry.dataset)
    if spec.config is None:
        return configured(spec)
    where = f"config.json of {entry.reference}"
    return configured(spec, parse_model_config(resolve(entry).read("config"), where).dataset_config, where)


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
