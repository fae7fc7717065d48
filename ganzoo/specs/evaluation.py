"""Numbers about generated samples: metrics, feature extractors and protocols."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

from annotated_types import Gt, Interval, Len

from ganzoo.specs.registration import NAME, NAME_RULE, registered
from ganzoo.specs.samples import SampleKind, SampleSpec

if TYPE_CHECKING:
    import torch


class Features(Protocol):
    """An extractor's outputs for a set of samples. Each is computed, or read and verified, when first used."""

    @property
    def values(self) -> torch.Tensor:
        """float32 [num, dim], on the CPU."""

    @property
    def logits(self) -> torch.Tensor:
        """float32 [num, classes], on the CPU. Raises EvaluationError for an extractor without a classifier."""

    @property
    def mean(self) -> torch.Tensor:
        """float64 [dim], of the values."""

    @property
    def covariance(self) -> torch.Tensor:
        """float64 [dim, dim], of the values, with num - 1 in the denominator."""


@dataclass(frozen=True, kw_only=True)
class Extractor:
    """A fixed network, ready to run."""

    outputs: Callable[[torch.Tensor], Mapping[str, torch.Tensor]]
    """Samples [batch, *shape] on the extractor's device -> `values`, float32 [batch, dim], and `logits`, float32
    [batch, classes], where it has a classifier. Images are uint8 [batch, channels, height, width]; curves and tensors
    are float32 in their own range. A row depends on its own sample alone."""
    sha256: str
    """Digest of its weights, 64 hex digits. Numbers computed with other weights are not comparable."""
    differentiable: bool = False
    """Whether `outputs` also takes float32 images in [0, 255], and gradients of `values` reach them."""
    deviation: str | None = None
    """How its weights differ from those that its name stands for, which makes its numbers incomparable; else None."""


@registered
@dataclass(frozen=True, kw_only=True)
class ExtractorSpec:
    """A fixed network that maps samples to features, between which distances are measured."""

    name: str
    """As registered: the entry point's name."""
    summary: str
    """One line: the network, and what it was trained on."""
    resize: str
    """How samples are resized to the network's input; part of every number."""
    kind: SampleKind = "image"
    """The kind of samples that it takes; those of other kinds are refused before its weights are downloaded."""
    batch_size: Annotated[int, Interval(ge=1, le=1 << 16)]
    """Samples in each forward pass; fixed, because the last bits of features depend on it."""
    load: Callable[[torch.device, Path], Extractor]
    """(device, folder) -> the network. `folder` is its own folder in the store, for weights that it downloads; it may
    not exist yet. Raises EvaluationError, saying how to get the weights, when they cannot be found."""
    at_hand: Callable[[Path], bool] | None = None
    """(folder) -> whether `load` finds its weights without downloading them. None: always."""
    api_version: int = 1
    """Version of these contracts that the plugin was written for."""


@registered
@dataclass(frozen=True, kw_only=True)
class EvaluationProtocol:
    """Everything that fixes a metric's value. Change anything and the name must change too."""

    name: str
    """Unique and versioned, such as `quadratic-exact-v2`. If it is registered: the entry point's name."""
    dataset: str | None = None
    """The dataset whose models it evaluates. Needed if it is registered under `ganzoo.protocols`, which adds it to a
    dataset of any plugin; the protocols in a `DatasetSpec` belong to that dataset and leave it out."""
    metrics: tuple[str, ...]
    """Names of registered metrics, in the order of the report."""
    num_samples: Annotated[int, Gt(0)]
    """Generated samples for each seed."""
    seeds: Annotated[tuple[int, ...], Len(1)]
    """One evaluation per seed; the report gives mean and standard deviation over them."""
    split: str | None = None
    """Split of the real samples; None if the metrics know the true distribution."""
    dataset_config: Mapping[str, Any] | None = field(default_factory=dict)
    """Settings of the dataset that its numbers are for, the defaults for those that are not named. A model of other
    settings is measured too, but the report calls that a deviation. None: any settings; numbers of different ones are
    not comparable."""
    num_real: Annotated[int, Gt(0)] | None = None
    """Real samples, evenly spaced over the split, or drawn if the dataset is unlimited. Of a split whose number varies:
    at most this many; the report states how many there were. None: the whole split."""
    min_real: Annotated[int, Gt(0)] | None = None
    """Fewest real samples for which its numbers mean something, of a split whose number varies; with fewer,
    EvaluationError. None: any number that its metrics accept."""
    real_sha256: str | None = None
    """Digest of the split, as `ganzoo data prepare` prints it; other samples are reported as a deviation. None if the
    split is not the same everywhere."""
    use: Literal["report", "training"] = "report"
    """Whether it is for publishing, or cheap enough to be run repeatedly during training."""
    api_version: int = 1
    """Version of these contracts that the plugin was written for."""

    def __post_init__(self) -> None:
        if NAME.fullmatch(self.name) is None:  # reports are files of this name
            raise ValueError(f"{self.name!r} is not a name of a protocol: {NAME_RULE}")


class MetricInputs(Protocol):
    """What a metric may look at. Expensive parts are computed lazily, and at most once.

    Members may be added; the meaning of the existing ones will not change. With several processes each of them computes
    every metric, so a metric must do the same in all of them.
    """

    samples: torch.Tensor
    """Generated samples, float32 [num, *sample.shape], on the CPU, in the range that `SampleSpec` states."""
    sample: SampleSpec
    """What one sample is."""
    labels: torch.Tensor | None
    """int64 [num], the classes that a class-conditional model was asked for; None for others."""
    texts: Sequence[str] | None
    """[num], the texts that a text-conditional model was asked for: those of the real samples in turn, or, without real
    texts, the examples of its `TextSpec`. None for others."""

    def real(self) -> torch.Tensor:
        """Return the real samples of the protocol's split, same shape and range. Raises EvaluationError without any."""

    def features(self, extractor: str) -> Features:
        """Return the features of the generated samples under a registered extractor."""

    def real_features(self, extractor: str) -> Features:
        """Return the features of the real samples, from the store if they were computed before."""

    def real_texts(self) -> Sequence[str] | None:
        """Return the text shown on each real sample; None for a dataset without texts."""

    def vocabulary(self) -> frozenset[str]:
        """Return every word of the protocol's split, in lower case. Raises EvaluationError without texts."""

    def cached(self, name: str, compute: Callable[[], Any]) -> Any:
        """Return `compute()`, called once for all metrics that use the same name on these samples."""

    def cached_real(self, name: str, compute: Callable[[], Any]) -> Any:
        """As `cached`, for what depends on the real samples alone: called once for all seeds."""


def _no_versions() -> dict[str, str]:
    return {}


@registered
@dataclass(frozen=True, kw_only=True)
class MetricSpec:
    """One number about generated samples."""

    name: str
    """As registered: the entry point's name."""
    summary: str
    """One line: what it measures, its unit and range."""
    better: Literal["lower", "higher"]
    """Which direction is an improvement."""
    compute: Callable[[MetricInputs], float]
    """Raises EvaluationError when the samples do not fit."""
    versions: Callable[[], Mapping[str, str]] = _no_versions
    """() -> what else the number depends on: name -> version, or sha256 of a file. Extractors are reported anyway."""
    api_version: int = 1
    """Version of these contracts that the plugin was written for."""
