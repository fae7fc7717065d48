"""Real samples: where they come from, and how models of them are evaluated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ganzoo.specs.evaluation import EvaluationProtocol
from ganzoo.specs.registration import registered
from ganzoo.specs.samples import SampleSpec

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray


TEXT_BYTES = 64
"""Maximum length of the text on a sample, in bytes of UTF-8."""


@dataclass(frozen=True, kw_only=True)
class ArrayData:
    """A split that fits in memory (or in a memory map)."""

    samples: NDArray[Any]
    """[num, *shape]. Images: uint8, 0..255 for [-1, 1]. Curves and tensors: float32."""
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
    be picklable (a `functools.partial` of a module's function); it is called with a few thousand items at a time, or
    with `piece`."""
    samples_per_item: int = 1
    """How many samples `read` returns for an item that can be read, such as 2 for an image and its mirror image."""
    piece: int | None = None
    """Maximum number of items that are read at a time; fewer than the default where one takes long."""
    sources: tuple[Path, ...] = ()
    """The files and folders whose change makes the packed copy stale. For a folder of millions of files: its index;
    where files may be added: their folder too."""


@dataclass(frozen=True, kw_only=True)
class SyntheticData:
    """An unlimited dataset, drawn from its distribution."""

    draw: Callable[[int, torch.Generator], torch.Tensor]
    """(num, generator) -> float32 [num, *shape], on the generator's device."""
    draw_labels: Callable[[int, torch.Generator], torch.Tensor] | None = None
    """(num, generator) -> int64 [num], the labels of the samples that `draw` returns from the same state, on the
    generator's device: indices into `SampleSpec.classes`. None without labels."""
    draw_texts: Callable[[int, torch.Generator], list[str]] | None = None
    """(num, generator) -> the texts on the samples that `draw` returns from the same state; None without texts."""
    vocabulary: Callable[[], frozenset[str]] | None = None
    """() -> every word that may be on a sample, in lower case; None without words."""


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """How to train on a user's own pictures: what `ganzoo train PATH` starts."""

    recipe: str
    """Name of a registered recipe."""
    reason: str
    """Why this one, in one line for the user."""
    settings: Mapping[str, Any]
    """Dotted keys over the recipe, such as `dataset_config.size`, `dataset_config.classes` and `conditional`."""
    num: int
    """Pictures that were found."""
    notes: tuple[str, ...] = ()
    """What else the user should know, a line each, such as how many files cannot be read."""


@registered
@dataclass(frozen=True, kw_only=True)
class DatasetSpec:
    """Real samples of one shape, which may depend on settings of the dataset.

    Raises ValueError when `config` and `sample` do not fit together.
    """

    name: str
    """As registered: the entry point's name."""
    summary: str
    """One line for `ganzoo show`."""
    homepage: str
    """Where the data comes from."""
    license: str
    """Licence of the data; where none is stated, say so."""
    sample: SampleSpec | Callable[[Any], SampleSpec]
    """What one sample is; for a dataset with `config` it may be a function, (config) -> sample. That function raises
    ValueError for settings that do not fit together."""
    splits: Mapping[str, int | Literal["varies"] | None]
    """Split name -> number of samples of the official set, None when unlimited, "varies" where it is whatever number
    the user's files are."""
    load: Callable[..., ArrayData | StreamedData | SyntheticData]
    """(root, split, download) -> data; for a dataset with `config`, (root, split, download, config) -> data. Looks for
    the files in any common layout under `root`. If they are missing, it downloads the official ones there if
    `download`, else raises MissingDatasetError, saying how to get them."""
    config: type[Any] | None = None
    """Settings such as size, crop or grey: a frozen dataclass. Every field has a default, and is bounded
    (`annotated_types`). Recipes set its fields in `dataset_config`. Data of different settings is packed and identified
    separately. None: no settings."""
    protocols: tuple[EvaluationProtocol, ...] = ()
    """How models of this dataset are evaluated; the first protocol is the default."""
    suggest: Callable[[Path, int | None, bool], Suggestion] | None = None
    """(folder or archive, size or None, whether sub-folders are classes) -> the recipe that suits these pictures. Only
    for a dataset of the user's own files. Raises DatasetError in one line where they cannot be trained on."""
    api_version: int = 1
    """Version of these contracts that the plugin was written for."""

    def __post_init__(self) -> None:
        if self.config is None:
            if not isinstance(self.sample, SampleSpec):
                raise ValueError("DatasetSpec.sample must be a SampleSpec where config is None")
            return
        parameters = getattr(self.config, "__dataclass_params__", None)
        if not isinstance(self.config, type) or parameters is None or not parameters.frozen:
            raise ValueError(f"DatasetSpec.config must be a frozen dataclass, not {self.config!r}")
        for field in fields(self.config):
            if field.default is MISSING and field.default_factory is MISSING:
                raise ValueError(f"DatasetSpec.config: {field.name} needs a default, for recipes that do not set it")
