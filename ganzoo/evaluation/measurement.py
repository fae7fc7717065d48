"""Samples of a model -> numbers, each with the protocol, the seeds and the digests that it was measured under."""

from __future__ import annotations

import json
import os
import platform
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganzoo import registry
from ganzoo.data import open_dataset, to_float
from ganzoo.errors import EvaluationError, UnknownNameError
from ganzoo.files import write_atomically
from ganzoo.model import GAN
from ganzoo.references import FolderReference, parse_reference
from ganzoo.specs import ArrayData, DatasetSpec, MetricInputs, Protocol
from ganzoo.version import __version__


@dataclass(frozen=True)
class MetricValue:
    """One metric over the seeds of a protocol."""

    name: str
    value: float
    """Mean over the seeds."""
    std: float
    """Sample standard deviation over the seeds; 0 for one seed."""
    better: str
    """`lower` or `higher`."""
    protocol: str
    """Name of the protocol, which fixes the value."""


@dataclass(frozen=True)
class Evaluation:
    """The metrics of one model under one protocol."""

    reference: str
    """What was evaluated."""
    weights_sha256: str | None
    """Digest of the generator's file."""
    protocol: Protocol
    real_digest: str | None
    """Digest of the real split, when the protocol has one."""
    deviation: str | None
    """How this measurement departs from the protocol, so that its numbers compare with none; None as it should be."""
    metrics: tuple[MetricValue, ...]
    device: str
    ganzoo: str
    torch: str
    python: str

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def evaluate(
    reference: str | os.PathLike[str],
    *,
    protocol: str | None = None,
    device: str = "cpu",
    data_dir: str | os.PathLike[str] | None = None,
) -> Evaluation:
    """Measure weights, a run or a folder.

    Args:
        reference: what `ganzoo.load` takes.
        protocol: a protocol of the model's dataset; None for its default.
        device: where samples are generated; metrics are computed on the CPU.
        data_dir: a folder with the dataset's files, for protocols that compare with real samples; None for the one
            that a run was trained from, else the store's own.

    Raises what `load` raises, UnknownNameError, EvaluationError, DatasetError.
    """
    from ganzoo.zoo import load

    gan = load(reference, device=device)
    folder = _run_data_dir(reference) if data_dir is None else Path(data_dir)
    return evaluate_gan(gan, str(reference), protocol, folder)


def save_beside_run(reference: str | os.PathLike[str], evaluation: Evaluation) -> Path | None:
    """Keep an evaluation as evaluation.json in the run or folder that it measured; None for other weights.

    Raises OSError.
    """
    parsed = parse_reference(reference)
    if not isinstance(parsed, FolderReference):
        return None
    path = parsed.path / "evaluation.json"
    write_atomically(path, (json.dumps(evaluation.to_json(), indent=2) + "\n").encode())
    return path


def _run_data_dir(reference: str | os.PathLike[str]) -> Path | None:
    """Return the folder that a run's data came from; None for other weights."""
    parsed = parse_reference(reference)
    if not isinstance(parsed, FolderReference):
        return None
    try:
        folder = json.loads((parsed.path / "run.json").read_text(encoding="utf-8"))["data_dir"]
        return Path(folder) if folder is not None else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def evaluate_gan(gan: GAN, reference: str, protocol: str | None = None, data_dir: Path | None = None) -> Evaluation:
    """Measure a loaded model under a protocol of its dataset; raises as `evaluate` does."""
    dataset = registry.datasets.get(gan.config.dataset)
    chosen = find_protocol(dataset, protocol)
    metrics = [registry.metrics.get(name) for name in chosen.metrics]
    real = _RealSamples(dataset, chosen, data_dir)
    values: dict[str, list[float]] = {metric.name: [] for metric in metrics}
    for seed in chosen.seeds:
        samples = gan.sample(chosen.num_samples, seed=seed).cpu()
        inputs = MetricInputs(samples=samples, sample=gan.config.sample, real=real.samples)
        for metric in metrics:
            values[metric.name].append(metric.compute(inputs))
    return Evaluation(
        reference=reference,
        weights_sha256=gan.weights_sha256,
        protocol=chosen,
        real_digest=real.digest,
        deviation=real.deviation,
        metrics=tuple(
            MetricValue(
                name=metric.name,
                value=statistics.fmean(values[metric.name]),
                std=statistics.stdev(values[metric.name]) if len(chosen.seeds) > 1 else 0.0,
                better=metric.better,
                protocol=chosen.name,
            )
            for metric in metrics
        ),
        device=str(gan.device),
        ganzoo=__version__,
        torch=torch.__version__,
        python=platform.python_version(),
    )


def find_protocol(dataset: DatasetSpec, name: str | None) -> Protocol:
    """Return a dataset's protocol by name, its first for None. Raises UnknownNameError, EvaluationError."""
    if not dataset.protocols:
        raise EvaluationError(f"the dataset {dataset.name!r} has no protocol.", hint="Its plugin must define one.")
    if name is None:
        return dataset.protocols[0]
    by_name = {protocol.name: protocol for protocol in dataset.protocols}
    if name not in by_name:
        raise UnknownNameError(f"protocol of {dataset.name}", name, by_name)
    return by_name[name]


class _RealSamples:
    """The protocol's real split, opened when a metric first asks for it."""

    def __init__(self, dataset: DatasetSpec, protocol: Protocol, data_dir: Path | None) -> None:
        self._dataset, self._protocol, self._data_dir = dataset, protocol, data_dir
        self._samples: Tensor | None = None
        self.digest: str | None = None
        self.deviation: str | None = None

    def samples(self) -> Tensor:
        """Return the split as float32 [num, *shape] in the range that nets see."""
        if self._samples is None:
            if self._protocol.split is None:
                raise EvaluationError(
                    f"the protocol {self._protocol.name!r} names no real samples.", hint="Choose one that does."
                )
            opened = open_dataset(self._dataset, self._protocol.split, self._data_dir)
            if not isinstance(opened.data, ArrayData):
                raise EvaluationError(
                    f"the dataset {self._dataset.name!r} has no fixed set of real samples.",
                    hint="Choose a protocol that knows its law.",
                )
            self._samples = to_float(torch.from_numpy(np.array(opened.data.samples)))
            self.digest = opened.digest
            official = self._dataset.splits[opened.split]
            if len(self._samples) != official:
                self.deviation = f"{len(self._samples)} real samples instead of {official}"
        return self._samples
