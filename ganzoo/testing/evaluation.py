"""Checks of protocols, metrics and extractors."""

from __future__ import annotations

import contextlib
import math
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganzoo import registry
from ganzoo.data import open_dataset, to_float
from ganzoo.data.settings import configured, settings_of
from ganzoo.errors import EvaluationError, GanzooError, MissingDatasetError, PluginError, UnknownNameError
from ganzoo.evaluation.extractors import Extractors
from ganzoo.evaluation.measurement import compute
from ganzoo.evaluation.real import Cache, RealSamples
from ganzoo.guard import described
from ganzoo.specs import (
    ArrayData,
    DatasetSpec,
    EvaluationProtocol,
    Extractor,
    ExtractorSpec,
    Features,
    MetricInputs,
    MetricSpec,
    SampleSpec,
)
from ganzoo.testing.checks import Check, CheckError, CheckSkippedError, Example, blamed, expect
from ganzoo.testing.every_spec import EVERY_SPEC

NUM, NUM_IMAGES = 2000, 256
"""Samples that a metric is computed on, if the dataset has as many."""


# --- protocols ---


def check_protocol_names(protocol: EvaluationProtocol, dataset: DatasetSpec) -> None:
    """Check that everything a protocol names exists. Raises CheckError."""
    of = f"protocol {protocol.name!r}"
    expect(protocol.metrics, f"{of} has no metrics.", "Name at least one.")
    for name in protocol.metrics:
        expect(
            name in registry.metrics.names(),
            f"{of} names the metric {name!r}, which is not registered.",
            "Register it in the group ganzoo.metrics, or depend on the package that does; check the spelling.",
        )
    expect(
        protocol.split is None or protocol.split in dataset.splits,
        f"{of} names the split {protocol.split!r}, which {dataset.name!r} does not have.",
        f"Choose one of {', '.join(dataset.splits)}.",
    )
    expect(
        protocol.split is None or dataset.splits[protocol.split] is not None or protocol.num_real is not None,
        f"{of} has no num_real, but the split {protocol.split!r} is unlimited.",
        "Set num_real.",
    )
    unique = len(set(protocol.seeds)) == len(protocol.seeds)
    expect(protocol.seeds and unique, f"{of} has seeds={protocol.seeds}.", "Use at least one, and none twice.")
    settings_of(dataset, protocol.dataset_config or {}, of)


def its_names_exist(example: Example) -> None:
    """It names registered metrics, a registered dataset, one of its splits, and valid settings of it."""
    protocol: EvaluationProtocol = example.spec
    if protocol.dataset is None:
        raise CheckError("it does not name the dataset that it is for.", "Set `dataset`.")
    try:
        dataset = registry.datasets.get(protocol.dataset)
    except UnknownNameError as error:
        raise CheckError(
            f"its dataset {protocol.dataset!r} is not registered.", "Depend on the package that registers it."
        ) from error
    check_protocol_names(protocol, dataset)


PROTOCOL_CHECKS: tuple[Check, ...] = (*EVERY_SPEC, its_names_exist)


# --- metrics ---


@dataclass
class _Inputs:
    """The `MetricInputs` of some samples."""

    samples: Tensor
    sample: SampleSpec
    labels: Tensor | None
    texts: Sequence[str] | None
    real_samples: RealSamples
    extractors: Extractors

    def __post_init__(self) -> None:
        self.cached = Cache()
        self.real, self.real_features = self.real_samples.samples, self.real_samples.features
        self.cached_real = self.real_samples.cached
        self.real_texts, self.vocabulary = self.real_samples.texts, self.real_samples.vocabulary

    def features(self, extractor: str) -> Features:
        """Return the features of the samples."""
        return self.cached(
            f"features of {extractor}", lambda: self.extractors.extract(extractor, self.samples, self.sample.kind)
        )


def _protocol_of(spec: MetricSpec) -> tuple[DatasetSpec, EvaluationProtocol]:
    """Return a protocol that uses a metric, with its dataset. Raises CheckSkippedError without any."""
    for dataset in _specs(registry.datasets):
        for protocol in dataset.protocols:
            if spec.name in protocol.metrics:
                return dataset, protocol
    for protocol in _specs(registry.protocols):
        if spec.name in protocol.metrics and protocol.dataset in registry.datasets.names():
            return registry.datasets.get(protocol.dataset), protocol
    raise CheckSkippedError(f"no protocol uses the metric {spec.name!r}")


def _specs(found: registry.Registry[Any]) -> Iterator[Any]:
    for name in found:
        with contextlib.suppress(PluginError):  # somebody else's broken plugin
            yield found.get(name)


class _Case:
    """Real samples of a protocol that uses the metric, and noise of the same range, ready to be measured."""

    def __init__(self, example: Example) -> None:
        self.spec: MetricSpec = example.spec
        dataset, protocol = _protocol_of(self.spec)
        self.dataset = configured(dataset, protocol.dataset_config)
        split = protocol.split or next(iter(dataset.splits))
        try:
            opened = open_dataset(self.dataset, split, example.data_dir, download=False)
        except MissingDatasetError as error:
            raise CheckSkippedError(f"there are no files of {dataset.name}") from error
        self.labels: Tensor | None = None
        self.texts: Sequence[str] | None = None
        self.num = NUM_IMAGES if self.dataset.sample.kind == "image" else NUM
        if isinstance(opened.data, ArrayData):
            self.num = min(self.num, len(opened.data.samples))
            self.samples = to_float(torch.from_numpy(np.array(opened.data.samples[: self.num])))
            if opened.data.labels is not None:
                self.labels = torch.from_numpy(np.array(opened.data.labels[: self.num]))
            if opened.data.texts is not None:
                self.texts = [text.decode() for text in opened.data.texts[: self.num].tolist()]
        else:
            data = opened.data
            drawn = [
                None if function is None else function(self.num, torch.Generator().manual_seed(3))
                for function in (data.draw, data.draw_labels, data.draw_texts)
            ]
            self.samples, self.labels, self.texts = drawn  # type: ignore[assignment]
        self.protocol = replace(
            protocol,
            num_samples=self.num,
            num_real=None if protocol.split is None else self.num,
            real_sha256=None,
            seeds=(0,),
        )
        self.data_dir = example.data_dir
        self.extractors = Extractors(torch.device("cpu"))

    def inputs(self, samples: Tensor) -> MetricInputs:
        real = RealSamples(self.dataset, self.protocol, self.data_dir, self.extractors)
        return _Inputs(samples, self.dataset.sample, self.labels, self.texts, real, self.extractors)

    def value(self, samples: Tensor) -> float:
        """Return the metric of some samples; CheckSkippedError if an extractor is missing."""
        return self.value_of(self.inputs(samples))

    def value_of(self, inputs: MetricInputs) -> float:
        try:
            return compute(self.spec, inputs)
        except EvaluationError as error:
            raise CheckSkippedError(str(error)) from error

    def noise(self) -> Tensor:
        """Return uniform noise, in [-1, 1] for images, else in four times the range of the samples."""
        noise = torch.rand(self.samples.shape, generator=torch.Generator().manual_seed(9)) * 2 - 1
        return noise if self.dataset.sample.kind == "image" else noise * self.samples.abs().amax() * 4


def it_is_a_finite_number(example: Example) -> None:
    """Real samples and noise both have a finite value."""
    case = _Case(example)
    for what, samples in (("real samples", case.samples), ("noise", case.noise())):
        value = case.value(samples)
        expect(
            math.isfinite(value),
            f"compute returned {value} for {what}.",
            "Raise EvaluationError for samples that it cannot measure, and guard divisions.",
        )


def it_gives_the_same_number_again(example: Example) -> None:
    """It draws no random numbers of its own: the same samples have the same value."""
    case, values = _Case(example), []
    for seed in (1, 2):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            random.seed(seed)
            np.random.seed(seed)
            values.append(case.value(case.samples))
    expect(
        values[0] == values[1],
        f"compute returned {values[0]!r} and then {values[1]!r} for the same samples.",
        "Draw random numbers from a torch.Generator with a fixed seed.",
    )


def it_leaves_the_samples_unchanged(example: Example) -> None:
    """It changes neither samples, nor labels, nor real samples in place."""
    case = _Case(example)
    inputs = case.inputs(case.samples.clone())
    case.value_of(inputs)
    expect(
        torch.equal(inputs.samples, case.samples),
        "compute changes inputs.samples in place, which the next metric sees.",
        "Use operations without a trailing _, or clone() first.",
    )


def it_prefers_real_samples_to_noise(example: Example) -> None:
    """By the direction that `better` states, real samples are not worse than noise."""
    case = _Case(example)
    real, noise = case.value(case.samples), case.value(case.noise())
    expect(
        real <= noise if case.spec.better == "lower" else real >= noise,
        f"it is {real:.4g} for real samples and {noise:.4g} for noise, but better={case.spec.better!r}.",
        "Check `better`, and the sign.",
    )


def its_versions_are_text(example: Example) -> None:
    """`versions` returns name -> version."""
    with blamed("versions"):
        found = example.spec.versions()
    fits = hasattr(found, "items") and all(isinstance(text, str) for pair in found.items() for text in pair)
    expect(fits, f"versions returned {found!r}.", "Return a dictionary of texts.")


METRIC_CHECKS: tuple[Check, ...] = (
    *EVERY_SPEC,
    it_is_a_finite_number,
    it_gives_the_same_number_again,
    it_leaves_the_samples_unchanged,
    it_prefers_real_samples_to_noise,
    its_versions_are_text,
)


# --- extractors ---

BATCH = 4


def _extracted(example: Example) -> Iterator[tuple[Extractor, Callable[[Tensor], Tensor], Tensor]]:
    """Yield an extractor, a function from samples to its values, and samples that it takes."""
    spec: ExtractorSpec = example.spec
    try:
        _, extractor = _Given(spec).get(spec.name)
    except EvaluationError as error:
        raise CheckSkippedError(str(error)) from error
    candidates = [example.sample] if example.sample is not None else _samples_of(spec.kind)
    source, failure = torch.Generator().manual_seed(0), None
    for sample in candidates:
        samples = torch.rand(BATCH, *sample.shape, generator=source)
        samples = (samples * 255).to(torch.uint8) if sample.kind == "image" else samples

        def values(samples: Tensor) -> Tensor:
            with blamed("outputs"), torch.no_grad():
                return extractor.outputs(samples)["values"]

        try:
            values(samples)
        except EvaluationError as error:  # such as samples of another size than it takes
            failure = failure or CheckError(str(error), "Pass samples that it takes: Example(spec, sample=...).")
        except CheckError as error:
            failure = failure or error
        else:
            yield extractor, values, samples
            return
    raise failure or CheckSkippedError(f"no dataset has samples of kind {spec.kind!r}; pass Example(sample=...)")


class _Given(Extractors):
    """Loads one extractor that need not be registered."""

    def __init__(self, spec: ExtractorSpec) -> None:
        super().__init__(torch.device("cpu"))
        with torch.random.fork_rng(devices=[]), blamed("load"):
            self._loaded[spec.name] = spec, self._load(spec)


def _samples_of(kind: str) -> list[SampleSpec]:
    found = []
    for dataset in _specs(registry.datasets):
        with contextlib.suppress(GanzooError):
            found.append(configured(dataset).sample)
    return [sample for sample in found if sample.kind == kind]


def it_returns_values(example: Example) -> None:
    """`outputs` gives float32 `values` [batch, dim], finite, and the digest of its weights has 64 hex digits."""
    for extractor, values, samples in _extracted(example):
        found = values(samples)
        fits = found.dtype == torch.float32 and found.dim() == 2 and len(found) == BATCH
        expect(fits, f"values are {described(found)}, not float32 [{BATCH}, dim].", "Flatten them to one row each.")
        expect(found.isfinite().all(), "values are NaN or infinite.", "Look for a division by zero.")
        expect(
            re.fullmatch("[0-9a-f]{64}", extractor.sha256),
            f"sha256={extractor.sha256!r} is not a digest.",
            "Give hashlib.sha256(...).hexdigest() of its weights.",
        )


def a_row_depends_on_its_own_sample(example: Example) -> None:
    """The same samples have the same values again, and alone but for rounding."""
    for _, values, samples in _extracted(example):
        together = values(samples)
        expect(torch.equal(values(samples), together), "values differ when asked again.", "Put it in evaluation mode.")
        alone = torch.cat([values(samples[row : row + 1]) for row in range(BATCH)])
        expect(
            torch.allclose(alone, together, rtol=1e-3, atol=1e-3 * float(together.abs().amax())),
            "the values of a sample change with the others of its batch.",
            "Put it in evaluation mode, and use no statistics over the batch.",
        )


EXTRACTOR_CHECKS: tuple[Check, ...] = (*EVERY_SPEC, it_returns_values, a_row_depends_on_its_own_sample)
