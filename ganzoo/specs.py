"""The contracts between ganzoo and its plugins: frozen, keyword-only, torch-free.

A plugin provides data and callables; there are no base classes to inherit from. Importing this module, or a plugin's
`__init__`, does not load torch: builders and loaders import what they need inside.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

from annotated_types import Ge, Gt, Interval, Len

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

API_VERSION = 1
"""The newest version of these contracts that this ganzoo supports."""

TEXT_BYTES = 64
"""Maximum length of the text on a sample, in bytes of UTF-8."""

Size = Annotated[int, Interval(ge=1, le=1 << 20)]
"""A width, a height, a number of units: between 1 and 1,048,576."""

Rate = Annotated[float, Interval(ge=0, le=1)]
"""A probability or a decay: between 0 and 1."""


@dataclass(frozen=True, kw_only=True)
class CurveAxes:
    """The axes of a plot of curves."""

    x: tuple[float, ...]
    """x of each value, ascending."""
    lower: tuple[float, ...]
    """Smallest value of a real curve at each x."""
    upper: tuple[float, ...]
    """Largest value of a real curve at each x."""


@dataclass(frozen=True, kw_only=True)
class SampleSpec:
    """What one sample is. Images are float32 in [-1, 1]; curves are float32 in their own range."""

    kind: Literal["curve", "image"]
    """How samples are drawn, and what their values mean."""
    shape: Annotated[tuple[Size, ...], Len(1, 4)]
    """Curves: [points]. Images: [channels, height, width]."""
    classes: Annotated[tuple[str, ...], Len(1, 100_000)] | None = None
    """Name of each class, by label. Builders see it only when the model is class-conditional, else None."""
    axes: CurveAxes | None = None
    """Curves only: x values, and the band that contains every real curve."""


@dataclass(frozen=True, kw_only=True)
class LatentSpec:
    """The generator's input z."""

    dim: Size
    """Length of z; latents have shape [batch, dim]."""
    distribution: Literal["normal", "uniform"] = "normal"
    """Standard normal, or uniform on [-1, 1]; independent in each component."""


@dataclass(frozen=True, kw_only=True)
class ArchitectureSpec:
    """A generator and a discriminator, both built from one validated config."""

    name: str
    """As registered: the entry point's name."""
    summary: str
    """One line for `ganzoo show`."""
    paper: str
    """Where the networks come from: authors, year, arXiv number; or the published code."""
    license: str
    """SPDX identifier of the implementation."""
    config: type[Any]
    """A frozen dataclass. Bound every field (`annotated_types`): configs may come from untrusted files. Give fields
    that only the discriminator reads a default: generators are imported without their discriminator."""
    build_generator: Callable[[Any, LatentSpec, SampleSpec], torch.nn.Module]
    """(config, latent, sample) -> module; module(z [batch, dim]) -> [batch, *sample.shape].
    When `sample.classes` is given: module(z, labels), labels int64 [batch]."""
    build_discriminator: Callable[[Any, SampleSpec], torch.nn.Module]
    """(config, sample) -> module; module(samples [batch, *sample.shape] (, labels)) -> raw logits [batch]."""
    conditional: bool = False
    """Whether the builders understand `sample.classes`."""
    batch_independent: bool = False
    """Whether the discriminator's logit of a sample depends on that sample alone (no batch statistics), so that real
    and fake samples may be concatenated into one pass."""
    api_version: int = 1
    """Version of these contracts that the plugin was written for."""


@dataclass(frozen=True, kw_only=True)
class ArrayData:
    """A split that fits in memory (or in a memory map)."""

    samples: NDArray[Any]
    """[num, *shape]. Images: uint8, 0..255 for [-1, 1]. Curves: float32."""
    labels: NDArray[np.int64] | None = None
    """[num], int64, indices into `SampleSpec.classes`; None for a set without classes."""
    texts: NDArray[np.bytes_] | None = None
    """[num], bytes of length TEXT_BYTES, UTF-8: what is written on each image; None for a set without texts."""
    skipped: tuple[str, ...] = ()
    """Items that could not be read, each as its name and the reason. Formats that tolerate damage skip them."""
    sources: tuple[Path, ...] = ()
    """The files it was read from; when one changes, the packed copy is rebuilt."""


@dataclass(frozen=True, kw_only=True)
class StreamedData:
    """A split of any size, read piece by piece in several processes and written to its packed copy."""

    num: int
    """Number of items, including those that cannot be read."""
    read: Callable[[int, int], ArrayData]
    """(start, stop) -> the items [start, stop) in order, without those it skipped. Other processes call it, so it must
    be picklable (a `functools.partial` of a module's function); it is called with a few thousand items at a time."""
    sources: tuple[Path, ...] = ()
    """The files and folders whose change makes the packed copy stale. For a folder of millions of files: its index;
    where files may be added: their folder too."""


@dataclass(frozen=True, kw_only=True)
class SyntheticData:
    """An unlimited dataset, drawn from its distribution."""

    draw: Callable[[int, torch.Generator], torch.Tensor]
    """(num, generator) -> float32 [num, *shape], on the generator's device."""
    draw_texts: Callable[[int, torch.Generator], list[str]] | None = None
    """(num, generator) -> the texts on the samples that `draw` returns from the same state; None without texts."""
    vocabulary: Callable[[], frozenset[str]] | None = None
    """() -> every word that may be on a sample, in lower case; None without words."""


class Features(Protocol):
    """An extractor's outputs for a set of images. Each is computed, or read and verified, when first used."""

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
    """uint8 [batch, channels, height, width] on the extractor's device -> `values`, float32 [batch, dim], and `logits`,
    float32 [batch, classes], where it has a classifier. A row depends on its own image alone."""
    sha256: str
    """Digest of its weights, 64 hex digits. Numbers computed with other weights are not comparable."""
    deviation: str | None = None
    """How its weights differ from those that its name stands for, which makes its numbers incomparable; else None."""


@dataclass(frozen=True, kw_only=True)
class ExtractorSpec:
    """A fixed network that maps images to features, between which distances are measured."""

    name: str
    """As registered: the entry point's name."""
    summary: str
    """One line: the network, and what it was trained on."""
    resize: str
    """How images are resized to the network's input; part of every number."""
    batch_size: Annotated[int, Interval(ge=1, le=1 << 16)]
    """Images in each forward pass; fixed, because the last bits of features depend on it."""
    load: Callable[[torch.device, Path], Extractor]
    """(device, folder) -> the network. `folder` is its own folder in the store, for weights that it downloads; it may
    not exist yet. Raises EvaluationError, saying how to get the weights, when they cannot be found."""
    api_version: int = 1
    """Version of these contracts that the plugin was written for."""


@dataclass(frozen=True, kw_only=True)
class EvaluationProtocol:
    """Everything that fixes a metric's value. Change anything and the name must change too."""

    name: str
    """Unique and versioned, such as `quadratic-exact-v2`."""
    metrics: tuple[str, ...]
    """Names of registered metrics, in the order of the report."""
    num_samples: Annotated[int, Gt(0)]
    """Generated samples for each seed."""
    seeds: Annotated[tuple[int, ...], Len(1)]
    """One evaluation per seed; the report gives mean and standard deviation over them."""
    split: str | None = None
    """Split of the real samples; None if the metrics know the true distribution."""
    num_real: Annotated[int, Gt(0)] | None = None
    """Real samples, evenly spaced over the split, or drawn if the dataset is unlimited. None: the whole split."""
    real_sha256: str | None = None
    """Digest of the split, as `ganzoo data prepare` prints it; other samples are reported as a deviation. None if the
    split is not the same everywhere."""
    use: Literal["report", "training"] = "report"
    """Whether it is for publishing, or cheap enough to be run repeatedly during training."""


@dataclass(frozen=True, kw_only=True)
class DatasetSpec:
    """Real samples of one shape."""

    name: str
    """As registered: the entry point's name."""
    summary: str
    """One line for `ganzoo show`."""
    homepage: str
    """Where the data comes from."""
    license: str
    """Licence of the data; where none is stated, say so."""
    sample: SampleSpec
    """What one sample is."""
    splits: Mapping[str, int | None]
    """Split name -> number of samples of the official set, None when unlimited."""
    load: Callable[[Path, str, bool], ArrayData | StreamedData | SyntheticData]
    """(root, split, download) -> data. Looks for the files in any common layout under `root`. If they are missing, it
    downloads the official ones there if `download`, else raises MissingDatasetError, saying how to get them."""
    protocols: tuple[EvaluationProtocol, ...] = ()
    """How models of this dataset are evaluated; the first protocol is the default."""
    api_version: int = 1
    """Version of these contracts that the plugin was written for."""


@dataclass(frozen=True, kw_only=True)
class Adam:
    """Adam (Kingma and Ba, arXiv:1412.6980)."""

    learning_rate: Annotated[float, Gt(0)]
    """Learning rate."""
    betas: tuple[Annotated[float, Interval(ge=0, lt=1)], Annotated[float, Interval(ge=0, lt=1)]] = (0.9, 0.999)
    """Decay of the running mean of the gradient and of its square."""
    eps: Annotated[float, Gt(0)] = 1e-8
    """Added to the denominator."""
    weight_decay: Annotated[float, Ge(0)] = 0.0
    """L2 penalty added to the gradient."""
    decay: Literal["none", "linear"] = "none"
    """Learning rate schedule: constant, or linear to zero after the last step of the run."""


@dataclass(frozen=True, kw_only=True)
class Optimizers:
    """One optimizer for each network."""

    generator: Adam
    """Updates the generator."""
    discriminator: Adam
    """Updates the discriminator."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a named model is trained: architecture, dataset, loss, optimizers, length."""

    name: str
    """As registered: the entry point's name."""
    summary: str
    """One line for `ganzoo list` and `ganzoo show`."""
    architecture: str
    """Name of a registered architecture."""
    config: Mapping[str, Any]
    """Values for the architecture's config."""
    dataset: str
    """Name of a registered dataset."""
    split: str = "train"
    """Split of the dataset that is trained on."""
    latent: LatentSpec
    """The generator's input."""
    optimizers: Optimizers
    """How both networks are updated."""
    batch_size: Annotated[int, Interval(ge=2, le=1 << 20)]
    """Real samples in each discriminator update, and fake samples in each update of either network."""
    steps: Annotated[int, Interval(ge=1, le=1 << 40)]
    """Generator updates."""
    conditional: bool = False
    """Whether both networks get the labels."""
    loss: str = "bce"
    """Name of an adversarial loss in `ganzoo.losses`."""
    discriminator_loss: Literal["sum", "mean"] = "sum"
    """Whether the losses of real and fake samples are added, or averaged as in some published code."""
    label_smoothing: Annotated[float, Interval(ge=0, lt=1)] = 0.0
    """One-sided: the discriminator's target for real samples is 1 - label_smoothing (losses with targets only)."""
    regularizers: Mapping[str, Annotated[float, Ge(0)]] = field(default_factory=dict)
    """Name of a regularizer in `ganzoo.losses` -> its weight."""
    discriminator_steps: Annotated[int, Interval(ge=1, le=1000)] = 1
    """Discriminator updates for each generator update."""
    weight_clip: Annotated[float, Gt(0)] | None = None
    """The discriminator's parameters are clipped to [-weight_clip, weight_clip] after each of its updates (WGAN)."""
    update_order: Literal["discriminator_first", "generator_first"] = "discriminator_first"
    """Which network is updated first in a step."""
    share_fakes: bool = False
    """Whether both nets see the same fakes in a step, generated once before the first update, or each its own. Needs
    discriminator_steps=1."""
    drop_last: bool = True
    """Whether the incomplete last batch of each epoch is left out, as in torch's DataLoader, or trained on. Steps with
    it are taken without a recorded graph. Synthetic data has no epochs."""
    augment: tuple[str, ...] = ()
    """Names of augmentations in `ganzoo.augmentations`, in order. They apply to all images that the discriminator sees,
    real and fake, in both updates. Images only."""
    ema_decay: Rate | None = None
    """Decay of the moving average of the generator (EMA), which is then saved and sampled instead; None: no EMA."""
    source: str = ""
    """The paper or published code that the recipe follows."""
    notes: str = ""
    """What was published, what was wrong with it, and what differs here."""
    api_version: int = 1
    """Version of these contracts that the plugin was written for."""


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
    """int64 [num], the classes that a conditional model was asked for; None for others."""

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
