"""The contracts between ganzoo and its plugins: frozen, keyword-only, torch-free.

A plugin hands over data and callables, never a class to inherit from. Importing this module, or a plugin's
`__init__`, loads no torch: builders and loaders import what they need inside.
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
"""The newest version of these contracts that this ganzoo understands."""

TEXT_BYTES = 64
"""Most bytes of the text on a sample, in UTF-8."""

Size = Annotated[int, Interval(ge=1, le=1 << 20)]
"""A width, a height, a number of units: between 1 and 1,048,576."""

Rate = Annotated[float, Interval(ge=0, le=1)]
"""A probability or a decay: between 0 and 1."""


@dataclass(frozen=True, kw_only=True)
class CurveAxes:
    """Where the values of a curve lie on paper."""

    x: tuple[float, ...]
    """Abscissa of each value, ascending."""
    lower: tuple[float, ...]
    """Smallest value a real curve takes at each x."""
    upper: tuple[float, ...]
    """Largest value a real curve takes at each x."""


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
    """Curves only: abscissae and the band that holds every real curve."""


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
    """Where the nets come from: authors, year, arXiv number; or the published code."""
    license: str
    """SPDX identifier of the implementation."""
    config: type[Any]
    """A frozen dataclass. Bound every field (`annotated_types`): configs come from files that others wrote."""
    build_generator: Callable[[Any, LatentSpec, SampleSpec], torch.nn.Module]
    """(config, latent, sample) -> module; module(z [batch, dim]) -> [batch, *sample.shape].
    When `sample.classes` is given: module(z, labels), labels int64 [batch]."""
    build_discriminator: Callable[[Any, SampleSpec], torch.nn.Module]
    """(config, sample) -> module; module(samples [batch, *sample.shape] (, labels)) -> raw logits [batch]."""
    conditional: bool = False
    """Whether the builders understand `sample.classes`."""
    batch_independent: bool = False
    """Whether the discriminator judges each sample by itself (no batch statistics), so that real and fake samples may
    go through it in one pass."""
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
    """What could not be read, an item each: its name and why. Formats that expect damage skip it and say so."""
    sources: tuple[Path, ...] = ()
    """The files it was read from; when one changes, the packed copy is made again."""


@dataclass(frozen=True, kw_only=True)
class StreamedData:
    """A split of any size, read piece by piece, in several processes, into its packed copy."""

    num: int
    """Items, those that cannot be read included."""
    read: Callable[[int, int], ArrayData]
    """(start, stop) -> the items [start, stop) in order, without those it skipped. Picklable (a `functools.partial` of
    a module's function), for other processes call it; it holds no more memory than a piece of a few thousand needs."""
    sources: tuple[Path, ...] = ()
    """The files and folders whose change makes the packed copy stale: for a folder of millions of files, its index; for
    files to which others may be added, their folder too."""


@dataclass(frozen=True, kw_only=True)
class SyntheticData:
    """An unlimited dataset, drawn from its law."""

    draw: Callable[[int, torch.Generator], torch.Tensor]
    """(num, generator) -> float32 [num, *shape], on the generator's device."""
    draw_texts: Callable[[int, torch.Generator], list[str]] | None = None
    """(num, generator) -> what is written on the samples that `draw` gives from the same state; None without texts."""
    vocabulary: Callable[[], frozenset[str]] | None = None
    """() -> every word that a sample may show, in lower case; None without words."""


class Features(Protocol):
    """The features of a set of images; each part is computed lazily, or read from disk and verified."""

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
    """A fixed net, ready to be run."""

    outputs: Callable[[torch.Tensor], Mapping[str, torch.Tensor]]
    """uint8 [batch, channels, height, width] on the extractor's device -> `values`, float32 [batch, dim], and `logits`,
    float32 [batch, classes], where it has a classifier. Each image's row depends on no other image."""
    sha256: str
    """Digest of its weights, 64 hex digits: numbers from other weights are not comparable."""
    deviation: str | None = None
    """How its weights differ from those that its name stands for, which makes its numbers incomparable."""


@dataclass(frozen=True, kw_only=True)
class ExtractorSpec:
    """A fixed net that turns images into features, between which distances are measured."""

    name: str
    """As registered: the entry point's name."""
    summary: str
    """One line: the net, what it was trained on."""
    resize: str
    """How images are resized to the net's input; part of every report."""
    batch_size: Annotated[int, Interval(ge=1, le=1 << 16)]
    """Images per batch, counted from the first image; fixed, because it affects the last digits of features."""
    load: Callable[[torch.device, Path], Extractor]
    """(device, folder) -> the net. `folder` is its own place in the store, for weights that it downloads; it need not
    exist yet. Raises EvaluationError, saying how to get the weights, when they are not to be had."""
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
    """Licence of the data, as far as it is stated; say when it is not."""
    sample: SampleSpec
    """What one sample is."""
    splits: Mapping[str, int | None]
    """Split name -> number of samples of the official set, None when unlimited."""
    load: Callable[[Path, str, bool], ArrayData | StreamedData | SyntheticData]
    """(root, split, download) -> data. Looks for the files of any usual layout under `root`; when they are missing
    downloads the official ones there if `download`, else raises MissingDatasetError saying how to get them."""
    protocols: tuple[EvaluationProtocol, ...] = ()
    """How samples of this set are evaluated; the first is the default."""
    api_version: int = 1
    """Version of these contracts that the plugin was written for."""


@dataclass(frozen=True, kw_only=True)
class Adam:
    """Adam (Kingma and Ba, arXiv:1412.6980)."""

    learning_rate: Annotated[float, Gt(0)]
    """Step size."""
    betas: tuple[Annotated[float, Interval(ge=0, lt=1)], Annotated[float, Interval(ge=0, lt=1)]] = (0.9, 0.999)
    """Decay of the running mean of the gradient and of its square."""
    eps: Annotated[float, Gt(0)] = 1e-8
    """Added to the denominator."""
    weight_decay: Annotated[float, Ge(0)] = 0.0
    """L2 penalty added to the gradient."""
    decay: Literal["none", "linear"] = "none"
    """How the step size goes down: not at all, or in a straight line to zero after the run's last step."""


@dataclass(frozen=True, kw_only=True)
class Optimizers:
    """One optimizer for each net."""

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
    """How both nets are updated."""
    batch_size: Annotated[int, Interval(ge=2, le=1 << 20)]
    """Real samples in each discriminator update, and fakes in each update of either net."""
    steps: Annotated[int, Interval(ge=1, le=1 << 40)]
    """Generator updates."""
    conditional: bool = False
    """Whether both nets are given the labels."""
    loss: str = "bce"
    """Name of an adversarial loss in `ganzoo.losses`."""
    discriminator_loss: Literal["sum", "mean"] = "sum"
    """Whether the real and the fake half are added, or halved too as some published code does."""
    label_smoothing: Annotated[float, Interval(ge=0, lt=1)] = 0.0
    """One-sided: the discriminator's target for real samples is 1 - label_smoothing (losses with targets only)."""
    regularizers: Mapping[str, Annotated[float, Ge(0)]] = field(default_factory=dict)
    """Name of a regularizer in `ganzoo.losses` -> its weight."""
    discriminator_steps: Annotated[int, Interval(ge=1, le=1000)] = 1
    """Discriminator updates for each generator update."""
    weight_clip: Annotated[float, Gt(0)] | None = None
    """The discriminator's parameters are clipped to [-weight_clip, weight_clip] after each of its updates (WGAN)."""
    update_order: Literal["discriminator_first", "generator_first"] = "discriminator_first"
    """Which net is updated first in a step."""
    share_fakes: bool = False
    """Whether both nets see the same fakes in a step, generated once before the first update, or each its own. Needs
    discriminator_steps=1."""
    drop_last: bool = True
    """Whether the incomplete last batch of each epoch is left out, as in torch's DataLoader, or trained on. Steps with
    it are taken without a recorded graph. Synthetic data has no epochs."""
    augment: tuple[str, ...] = ()
    """Names of augmentations in `ganzoo.augmentations`, in order: all that the discriminator sees is changed by them,
    real and generated, in both updates. Images only."""
    ema_decay: Rate | None = None
    """Decay of the moving average of the generator that is saved and sampled; None: the generator itself."""
    source: str = ""
    """The paper or published code that the recipe follows."""
    notes: str = ""
    """What was published, what was wrong with it, what differs here."""
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
