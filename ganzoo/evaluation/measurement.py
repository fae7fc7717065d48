"""Measure a model: samples -> metrics, with everything that fixes their values."""

from __future__ import annotations

import contextlib
import json
import math
import numbers
import os
import platform
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ganzoo import registry
from ganzoo.conditions import class_labels, text_batches
from ganzoo.data.location import remembered_folder
from ganzoo.data.settings import configured, settings_of
from ganzoo.distributed.processes import SINGLE_PROCESS, Processes
from ganzoo.distributed.torchrun import init_processes
from ganzoo.errors import EvaluationError, PluginError, UnknownNameError
from ganzoo.evaluation.extractors import Extractors
from ganzoo.evaluation.real import Cache, RealSamples
from ganzoo.evaluation.report import Evaluation, MetricValue
from ganzoo.guard import described, guarded, plugin_error
from ganzoo.model import GAN
from ganzoo.requirements import naming_plugins
from ganzoo.sources import load
from ganzoo.specs import DatasetSpec, EvaluationProtocol, Features, MetricInputs, MetricSpec
from ganzoo.system.files import read_json
from ganzoo.version import __version__
from ganzoo.weights.references import FolderReference, parse_reference

# A multiple of the batch sizes in sampling.py (64 and 256) and of the blocks in which latents are drawn.
BLOCK = 1024
"""Ranks generate whole blocks of samples, so that the generator sees the same batches as in one process."""


def evaluate(
    reference: str | os.PathLike[str],
    *,
    protocol: str | None = None,
    device: str | torch.device = "cpu",
    data_dir: str | os.PathLike[str] | None = None,
) -> Evaluation:
    """Measure weights, a run or a folder.

    Args:
        reference: what `ganzoo.load` takes.
        protocol: a protocol of the model's dataset; None for its default.
        device: where samples are generated and features extracted: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`, or a
            `torch.device`. Distances are computed on the CPU.
        data_dir: a folder with the dataset's files, or with a folder of the dataset's name, for protocols that compare
            with real samples; None for the one that a run was trained on, else the copy that was packed last.

    Raises what `load` raises, UnknownNameError, EvaluationError, DatasetError.
    """
    gan = load(reference, device=init_processes().device(device))
    folder = remembered_folder(data_dir_of_run(reference)) if data_dir is None else Path(data_dir)
    return evaluate_gan(gan, str(reference), protocol, folder)


def data_dir_of_run(reference: str | os.PathLike[str]) -> Path | None:
    """Return the folder that a run's data came from; None for other weights."""
    parsed = parse_reference(reference)
    if not isinstance(parsed, FolderReference):
        return None
    run = parsed.path.parent if parsed.path.name == "best" else parsed.path  # best/ lies in its run
    try:
        data_dir = read_json(run / "run.json")["data_dir"]
        return None if data_dir is None else Path(data_dir)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def evaluate_gan(
    gan: GAN, reference: str, protocol: str | EvaluationProtocol | None = None, data_dir: Path | None = None
) -> Evaluation:
    """Measure a loaded model under a protocol of its dataset, or one of your own; raises as `evaluate` does.

    Under torchrun, all processes share the work, and each must call this.
    """
    settings, source = gan.config.dataset_config, f"config.json of {reference}"
    with naming_plugins(gan.config.requires, reference):
        dataset = configured(registry.datasets.get(gan.config.dataset), settings, source)
    chosen = protocol if isinstance(protocol, EvaluationProtocol) else find_protocol(dataset, protocol)
    return Evaluator(dataset, chosen, gan.device, data_dir, init_processes()).measure(gan, reference)


class Evaluator:
    """One protocol, ready to measure any number of models: what depends on the real samples alone is computed once."""

    def __init__(
        self,
        dataset: DatasetSpec,
        protocol: EvaluationProtocol,
        device: torch.device,
        data_dir: Path | None,
        processes: Processes = SINGLE_PROCESS,
    ) -> None:
        self.dataset, self.protocol, self._processes = configured(dataset), protocol, processes
        self._metrics = [registry.metrics.get(name) for name in protocol.metrics]
        self._extractors = Extractors(device, processes)
        self._real = RealSamples(self.dataset, protocol, data_dir, self._extractors)

    def check_data(self) -> None:
        """Open the real samples if they come from files. All ranks must call this.

        Raises MissingDatasetError, DatasetError, EvaluationError.
        """
        with self._processes.sharing_errors():
            self._real.check()

    def measure(self, gan: GAN, reference: str) -> Evaluation:
        """Measure one model. All ranks must call this; the numbers are the same on each.

        Samples and features, which take most of the time, are shared out to the ranks and gathered; each rank then
        computes all metrics. Raises EvaluationError, DatasetError, and what loading an extractor raises.
        """
        with self._processes.sharing_errors():
            return self._measure(gan, reference)

    def _measure(self, gan: GAN, reference: str) -> Evaluation:
        if gan.config.sample.shape == self.dataset.sample.shape:  # else the metrics say that the model does not fit
            self._real.open()  # missing files are reported before samples are generated
        values: dict[str, list[float]] = {metric.name: [] for metric in self._metrics}
        texts = None
        if gan.config.sample.text is not None and self.protocol.split is not None:
            texts = self._real.texts()  # those that the real samples show, so that the two sides can be compared
        seconds = 0.0
        for seed in self.protocol.seeds:
            started = time.perf_counter()
            samples = generate(gan, self.protocol.num_samples, seed, self._processes, texts)
            seconds += time.perf_counter() - started
            inputs = GeneratedSamples(samples, gan, self._real, self._extractors, texts)
            # On every rank: features were gathered, so all compute the same values.
            for metric in self._metrics:
                value = compute(metric, inputs)
                # Such as a distance between identical samples. NaN is neither lower nor higher than any number, so it
                # could never be compared.
                if not math.isfinite(value):
                    raise EvaluationError(
                        f"{metric.name} is {value}.", hint="Look at the samples; they may all be the same."
                    )
                values[metric.name].append(value)
        # Last, because real samples and extractors are opened when a metric first asks for them.
        deviations = [
            *self._other_settings(),
            *([self._real.deviation] if self._real.deviation else []),
            *self._extractors.deviations(),
        ]
        return Evaluation(
            reference=reference,
            weights_sha256=gan.weights_sha256,
            dataset=self.dataset.name,
            protocol=self.protocol,
            real_digest=self._real.digest,
            num_real=self._real.num,
            extractors=tuple(self._extractors.used()),
            tools={name: version for metric in self._metrics for name, version in metric.versions().items()},
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

    def _other_settings(self) -> list[str]:
        """Return how the dataset's settings differ from those that the protocol is for."""
        if self.protocol.dataset_config is None:
            return []
        expected = settings_of(self.dataset, self.protocol.dataset_config, f"protocol {self.protocol.name}")
        return [
            f"the dataset has the setting {name}={json.dumps(value)} instead of {json.dumps(expected[name])}"
            for name, value in self.dataset.settings.items()
            if value != expected[name]
        ]


def compute(metric: MetricSpec, inputs: MetricInputs) -> float:
    """Return a metric's value. Raises PluginError for anything but a number."""
    with guarded(registry.metrics, metric.name, "compute"):
        value: object = metric.compute(inputs)
    if not isinstance(value, numbers.Real):  # numpy's numbers are registered as such; a tensor is not
        what = f"compute of {metric.name!r} returned {described(value)}, not a number."
        raise plugin_error(registry.metrics, metric.name, what)
    return float(value)


def generate(gan: GAN, num: int, seed: int, processes: Processes, texts: Sequence[str] | None = None) -> Tensor:
    """Return the samples that `gan.sample` returns, on the CPU of every rank. Raises EvaluationError for NaN."""
    shards = processes.shards(num, BLOCK)
    own = shards[processes.rank]
    with processes.sharing_errors():
        nothing = torch.empty(0, *gan.config.sample.shape, device=gan.device)  # few samples for many ranks
        part = torch.cat([nothing, *gan.stream(num, seed=seed, texts=texts, rows=own)]).cpu()
    samples = processes.all_gather_rows(part, shards)
    if not samples.isfinite().all():
        raise EvaluationError("the samples hold NaN or infinite values.", hint="Evaluate an earlier checkpoint.")
    return samples


class GeneratedSamples:
    """The `MetricInputs` of one seed."""

    def __init__(
        self,
        samples: Tensor,
        gan: GAN,
        real: RealSamples,
        extractors: Extractors,
        texts: Sequence[str] | None = None,
    ) -> None:
        self.samples, self.sample = samples, gan.config.sample
        num = len(samples)
        self.labels = class_labels(self.sample, num)
        batches = text_batches(self.sample, num, texts, num)
        self.texts: Sequence[str] | None = None if batches is None else next(batches)
        self.real, self.real_features, self.cached_real = real.samples, real.features, real.cached
        self.real_texts, self.vocabulary = real.texts, real.vocabulary
        self.cached = Cache()
        self._extractors = extractors

    def features(self, extractor: str) -> Features:
        """Return the features of the samples, extracted once."""
        return self.cached(
            f"features of {extractor}", lambda: self._extractors.extract(extractor, self.samples, self.sample.kind)
        )


def find_protocol(dataset: DatasetSpec, name: str | None) -> EvaluationProtocol:
    """Return a protocol for a dataset by name, its first for None: one of its own, or a registered one that names it.

    A dataset's own protocol comes before a registered one of the same name, so that a plugin cannot change what the
    numbers of another one mean. Raises UnknownNameError, PluginError, EvaluationError.
    """
    own = {protocol.name: protocol for protocol in dataset.protocols}
    if name is None and own:
        return dataset.protocols[0]
    if name in own:
        return own[name]
    if name in registry.protocols.names():
        registered = registry.protocols.get(name)
        if registered.dataset != dataset.name:
            raise EvaluationError(
                f"the protocol {name!r} is for models of {registered.dataset!r}, not of {dataset.name!r}.",
                hint="`ganzoo protocols` lists the protocols of each dataset.",
            )
        return registered
    added = _registered_protocols(dataset)
    if name is not None:
        raise UnknownNameError(f"protocol of {dataset.name}", name, [*own, *added])
    if not added:
        raise EvaluationError(
            f"the dataset {dataset.name!r} has no protocol.",
            hint="A plugin must define one: that of the dataset, or any other, under ganzoo.protocols.",
        )
    return next(iter(added.values()))


def _registered_protocols(dataset: DatasetSpec) -> dict[str, EvaluationProtocol]:
    """Return the protocols that plugins add to a dataset; imports all plugins that register protocols."""
    found = {}
    for name in registry.protocols:
        with contextlib.suppress(PluginError):  # it is reported where it is asked for by name
            protocol = registry.protocols.get(name)
            if protocol.dataset == dataset.name:
                found[name] = protocol
    return found
