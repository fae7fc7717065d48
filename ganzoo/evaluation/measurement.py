"""Samples of a model -> numbers, each with the protocol, the seeds and the digests that it was measured under."""

from __future__ import annotations

import math
import os
import platform
import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganzoo import __version__, registry
from ganzoo.distributed.processes import SINGLE_PROCESS, Processes
from ganzoo.distributed.torchrun import init_processes
from ganzoo.errors import EvaluationError, UnknownNameError
from ganzoo.evaluation import crew
from ganzoo.evaluation.extractors import Extractors
from ganzoo.evaluation.memo import Cache
from ganzoo.evaluation.real import RealSide
from ganzoo.evaluation.records import run_data_dir
from ganzoo.model import GAN
from ganzoo.specs import DatasetSpec, Features, MetricInputs, Protocol
from ganzoo.validation import validated


@dataclass(frozen=True)
class MetricValue:
    """One metric over the seeds of a protocol."""

    name: str
    value: float
    """Mean over the seeds."""
    std: float | None
    """Sample standard deviation over the seeds; None for one seed, which has none."""
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
    dataset: str
    """Name of the dataset."""
    protocol: Protocol
    real_digest: str | None
    """Digest of the real split, when the protocol has one."""
    extractors: tuple[dict[str, Any], ...]
    """Name, digest of the weights, resize rule and batch size of each extractor that was used."""
    tools: dict[str, str]
    """What else metrics were computed with: name -> version or sha256."""
    deviation: str | None
    """How this measurement departs from the protocol, so that its numbers compare with none; None as it should be."""
    metrics: tuple[MetricValue, ...]
    samples_per_second: float
    """How fast the generator drew the samples."""
    device: str
    dtype: str
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
        device: where samples are generated and features extracted; distances are computed on the CPU.
        data_dir: a folder with the dataset's files, for protocols that compare with real samples; None for the one
            that a run was trained from, else the store's own.

    Raises what `load` raises, UnknownNameError, EvaluationError, DatasetError.
    """
    from ganzoo.sources import load

    gan = load(reference, device=str(init_processes().device(device)))
    folder = run_data_dir(reference) if data_dir is None else Path(data_dir)
    return evaluate_gan(gan, str(reference), protocol, folder)


def evaluate_gan(
    gan: GAN, reference: str, protocol: str | Protocol | None = None, data_dir: Path | None = None
) -> Evaluation:
    """Measure a loaded model under a protocol of its dataset, or one of your own; raises as `evaluate` does.

    Under torchrun, all processes share the work, and each must call this.
    """
    dataset = registry.datasets.get(gan.config.dataset)
    chosen = protocol if isinstance(protocol, Protocol) else find_protocol(dataset, protocol)
    processes = init_processes()
    evaluator = Evaluator(dataset, chosen, gan.device, data_dir, processes)

    def measure() -> Evaluation | None:
        if processes.is_main:
            return evaluator.measure(gan, reference)
        evaluator.assist(gan)
        return None

    found = processes.run_on_all(measure)
    told = processes.broadcast(found and found.to_json())
    return found or validated(Evaluation, told, "the first process")


class Evaluator:
    """One protocol, ready to measure any number of models: what does not depend on the model is computed once."""

    def __init__(
        self,
        dataset: DatasetSpec,
        protocol: Protocol,
        device: torch.device,
        data_dir: Path | None,
        processes: Processes = SINGLE_PROCESS,
    ) -> None:
        self.dataset, self.protocol, self._processes = dataset, protocol, processes
        self._metrics = [registry.metrics.get(name) for name in protocol.metrics]
        self._extractors = Extractors(device, processes)
        self._real = RealSide(dataset, protocol, data_dir, self._extractors)

    def measure(self, gan: GAN, reference: str) -> Evaluation:
        """Measure one model, on the first rank, while the others `assist`.

        Raises EvaluationError, DatasetError, and what loading an extractor raises.
        """
        with crew.leading(self._processes):
            return self._measure(gan, reference)

    def assist(self, gan: GAN) -> None:
        """Help the first rank to measure the same model, until it is done. Raises what failed here or there."""
        crew.assist(gan, self._extractors, self._processes)

    def _measure(self, gan: GAN, reference: str) -> Evaluation:
        values: dict[str, list[float]] = {metric.name: [] for metric in self._metrics}
        seconds = 0.0
        for seed in self.protocol.seeds:
            started = time.perf_counter()
            samples = crew.sample(gan, self.protocol.num_samples, seed, self._processes)
            seconds += time.perf_counter() - started
            if not samples.isfinite().all():
                raise EvaluationError(
                    "the samples hold NaN or infinite values.", hint="Evaluate an earlier checkpoint."
                )
            inputs = metric_inputs(gan, samples, self._real, self._extractors)
            for metric in self._metrics:
                values[metric.name].append(_finite(metric.name, metric.compute(inputs)))
        deviations = [*([self._real.deviation] if self._real.deviation else []), *self._extractors.deviations()]
        return Evaluation(
            reference=reference,
            weights_sha256=gan.weights_sha256,
            dataset=self.dataset.name,
            protocol=self.protocol,
            real_digest=self._real.digest,
            extractors=tuple(self._extractors.used()),
            tools={name: told for metric in self._metrics for name, told in metric.tools().items()},
            deviation="; ".join(deviations) or None,
            metrics=tuple(
                MetricValue(
                    name=metric.name,
                    value=statistics.fmean(values[metric.name]),
                    std=statistics.stdev(values[metric.name]) if len(self.protocol.seeds) > 1 else None,
                    better=metric.better,
                    protocol=self.protocol.name,
                )
                for metric in self._metrics
            ),
            samples_per_second=round(self.protocol.num_samples * len(self.protocol.seeds) / seconds, 1),
            device=str(gan.device),
            dtype="float32",
            ganzoo=__version__,
            torch=torch.__version__,
            python=platform.python_version(),
        )


def _finite(name: str, value: float) -> float:
    if not math.isfinite(value):
        raise EvaluationError(f"{name} is {value}, no number.", hint="Look at the samples; they may all be the same.")
    return value


def metric_inputs(gan: GAN, samples: Tensor, real: RealSide, extractors: Extractors) -> MetricInputs:
    """Collect what metrics may look at; everything dear is computed when first asked for, and once."""
    shared = Cache()

    def features(name: str) -> Features:
        found: Features = shared(f"features of {name}", lambda: extractors.extract(name, samples))
        return found

    return MetricInputs(
        samples=samples,
        sample=gan.config.sample,
        labels=gan.labels(len(samples)),
        real=real.samples,
        features=features,
        real_features=real.features,
        real_texts=real.texts,
        vocabulary=real.vocabulary,
        shared=shared,
        real_shared=real.shared,
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
