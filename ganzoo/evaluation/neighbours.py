"""Samples of a model beside the real images that they are nearest to, and whether it copies these."""

from __future__ import annotations

import json
import math
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from ganzoo import registry
from ganzoo.data import to_uint8
from ganzoo.data.location import remembered_folder
from ganzoo.data.packing import ShowProgress
from ganzoo.data.settings import ConfiguredDataset, configured
from ganzoo.distances import left_out_ratios, nearest_rows, own_distances
from ganzoo.distributed.processes import SINGLE_PROCESS
from ganzoo.errors import EvaluationError, GanzooError, UnknownNameError, UsageError, hint_for
from ganzoo.evaluation.extractors import Extractors
from ganzoo.evaluation.features import StoredRows
from ganzoo.evaluation.measurement import data_dir_of_run, generate
from ganzoo.evaluation.real import RealSamples
from ganzoo.evaluation.report import FOLDER
from ganzoo.model import GAN
from ganzoo.rendering import save_neighbours
from ganzoo.requirements import naming_plugins
from ganzoo.sources import load, resolve
from ganzoo.sources.kinds import Source
from ganzoo.specs import DatasetSpec, EvaluationProtocol
from ganzoo.system.files import expanded, write_json
from ganzoo.version import __version__

EXTRACTOR = "inception-2015"
"""Whose features are compared, where its weights are at hand."""
PIXELS = "pixels"
"""Compares pixels instead."""
PIXEL_SIZE = 32
"""Sides above this are reduced to it for that, so that a shift by a pixel matters little."""

MAX_REAL = 100_000
"""Real images that are compared with. The features of each take 8 kB."""


@dataclass(frozen=True)
class NearestImages:
    """The real images that are nearest to one sample."""

    index: int
    """Which sample it is, of those that the seed gives."""
    rows: tuple[int, ...]
    """Rows of the real split, the nearest first."""
    distances: tuple[float, ...]
    """Distances to them."""
    own_distance: float
    """Distance of the nearest of them to its own nearest other real image, above 0."""

    @property
    def ratio(self) -> float:
        """The nearest distance over `own_distance`: 0 for a copy, above 1 for a sample that counts as authentic."""
        return self.distances[0] / self.own_distance


@dataclass(frozen=True)
class Neighbours:
    """What `neighbours` found."""

    reference: str
    weights_sha256: str | None
    """Digest of the generator's file."""
    dataset: str
    split: str
    real_sha256: str
    """Digest of the split."""
    num_real: int
    """Real images that were compared with."""
    num_split: int
    """Real images of the split."""
    is_training_data: bool | None
    """Whether the split is the one that the model was trained on; None if the weights do not say."""
    features: str
    """What was compared: an extractor, or `pixels`."""
    distance: str
    """How distances are defined, in words."""
    extractors: tuple[dict[str, Any], ...]
    """Name, digest of the weights, resize rule and batch size of the extractor."""
    num: int
    """Samples."""
    seed: int
    authenticity: float
    """Share of samples that are farther from their nearest real image than that one is from its own nearest other."""
    authenticity_of_real: float
    """The same for real images, each left out of the others: what new images of the same kind would have."""
    real_ratio: float
    """The `NearestImages.ratio` of these that only one in a hundred is below. A sample below it is marked on the sheet:
    it is closer to a real image than real images are to each other."""
    samples: tuple[NearestImages, ...]
    """Every sample, those closest to a real image first."""
    sheet: Path | None
    """The picture, if one was written."""
    ganzoo: str
    torch: str

    @property
    def is_copying(self) -> bool:
        """Whether far fewer samples are authentic than real images would be: by more than chance explains.

        That is three standard errors of the difference of the two shares.
        """
        p, q = self.authenticity, self.authenticity_of_real
        variance = p * (1 - p) / self.num + q * (1 - q) / min(self.num, self.num_real)
        return q - p > 3 * math.sqrt(variance)

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            **asdict(self),
            "sheet": None if self.sheet is None else str(self.sheet),
            "is_copying": self.is_copying,
            "samples": [{**asdict(sample), "ratio": sample.ratio} for sample in self.samples],
        }


def neighbours(
    reference: str | os.PathLike[str] | GAN,
    num: int = 256,
    *,
    out: str | os.PathLike[str] | None = None,
    seed: int = 0,
    shown: int = 24,
    k: int = 5,
    features: str | None = None,
    split: str | None = None,
    num_real: int = MAX_REAL,
    device: str | torch.device = "cpu",
    data_dir: str | os.PathLike[str] | None = None,
    progress: ShowProgress | None = None,
) -> Neighbours:
    """Compare samples of a model with the real images that are nearest to them, and measure whether it copies them.

        ganzoo.neighbours("runs/photos").authenticity

    Args:
        reference: what `ganzoo.load` takes, or a loaded model, which stays on its device. Into a run or a folder,
            `neighbours.png` and `evaluations/neighbours.json` are written.
        num: samples that are measured.
        out: the picture, a .png; None for that in the run or folder, and for other weights none.
        seed: of the samples.
        shown: samples in the picture: those that are closest to a real image.
        k: nearest real images beside each.
        features: a registered extractor, or `pixels`; None for the Inception of FID if its weights are at hand, else
            pixels.
        split: of the dataset; None for the one that the model was trained on.
        num_real: compare with this many real images, evenly spaced, if there are more; at most 100,000.
        device: where samples are generated and features extracted.
        data_dir: as for `evaluate`.
        progress: called with (done, total) images while features are extracted.

    Raises what `load` raises, UnknownNameError, UsageError, EvaluationError, DatasetError.
    """
    target = None if out is None else expanded(out)
    if target is not None and target.suffix.lower() != ".png":
        raise UsageError(f"{target} is not a .png file.", hint="Name one: --out neighbours.png")
    if min(num, shown, k, num_real) < 1:
        raise UsageError("num, shown, k and num_real must be at least 1.", hint="Ask for more.")
    run: Path | None = None
    trained_split = trained_sha256 = None
    if isinstance(reference, str | os.PathLike):
        source = resolve(reference)
        gan, run = load(reference, device=device), source.folder
        trained_split, trained_sha256 = _trained_on(source)
        folder = remembered_folder(data_dir_of_run(reference))
    else:
        gan, folder = reference, None
    folder = folder if data_dir is None else Path(data_dir)
    with naming_plugins(gan.config.requires, reference):
        dataset = configured(registry.datasets.get(gan.config.dataset), gan.config.dataset_config)
    split = split or trained_split or next(iter(dataset.splits))
    extractors = Extractors(gan.device, progress=progress)
    real = _real_samples(dataset, split, num, seed, min(num_real, MAX_REAL), folder, extractors)
    real_rows = real.rows
    assert isinstance(real_rows, StoredRows)
    assert real.digest is not None
    name = features or (EXTRACTOR if extractors.at_hand(EXTRACTOR) else PIXELS)
    samples = generate(gan, num, seed, SINGLE_PROCESS)
    fake_values, real_values, scale, distance = _values(name, samples, real, extractors)
    found, rows = _nearest(fake_values, real_values, torch.from_numpy(real.index), k, scale)
    evenly = torch.linspace(0, len(real_values) - 1, min(num, len(real_values))).round().long()
    real_ratios = left_out_ratios(real_values, evenly)
    if target is None and run is not None:
        target = run / "neighbours.png"
    result = Neighbours(
        reference=gan.config.recipe if isinstance(reference, GAN) else str(reference),
        weights_sha256=gan.weights_sha256,
        dataset=dataset.name,
        split=split,
        real_sha256=real.digest,
        num_real=len(real_rows),
        num_split=real.num_split,
        is_training_data=None if trained_sha256 is None else trained_sha256 == real.digest,
        features=name,
        distance=distance,
        extractors=tuple(extractors.used()),
        num=num,
        seed=seed,
        authenticity=sum(one.ratio > 1 for one in found) / num,
        authenticity_of_real=float((real_ratios > 1).double().mean()),
        real_ratio=float(real_ratios.quantile(0.01)),
        samples=tuple(found),
        sheet=target,
        ganzoo=__version__,
        torch=torch.__version__,
    )
    images = [
        torch.cat([to_uint8(samples[one.index, None]), real_rows[rows[one.index].numpy()]]) for one in found[:shown]
    ]
    _write(result, images, run)
    return result


def _real_samples(
    dataset: ConfiguredDataset,
    split: str,
    num: int,
    seed: int,
    num_real: int,
    folder: Path | None,
    extractors: Extractors,
) -> RealSamples:
    """Open the real images. Raises EvaluationError for what are none, or too few; DatasetError for missing files."""
    _check(dataset, split)
    protocol = EvaluationProtocol(
        name="neighbours",
        metrics=(),
        num_samples=num,
        seeds=(seed,),
        split=split,
        dataset_config=None,
        num_real=num_real,
    )
    # An incomplete copy of an official set will do: what is asked is whether these images were copied.
    real = RealSamples(dataset, protocol, folder, extractors, any_number=True)
    if len(real.rows) < 3:
        raise EvaluationError(
            f"{dataset.name} {split} has {len(real.rows)} images, too few to compare with.", hint="Use at least three."
        )
    return real


def _values(name: str, samples: Tensor, real: RealSamples, extractors: Extractors) -> tuple[Tensor, Tensor, float, str]:
    """Return what is compared of samples and of real images, [num, dim] each; the scale of distances, and their name.

    Raises EvaluationError for an extractor that does not take images.
    """
    real_rows = real.rows
    assert isinstance(real_rows, StoredRows)
    if name == PIXELS:
        values = _pixels(samples)
        distance = f"root mean square difference of pixels, 0 to 255, in images of at most {PIXEL_SIZE}×{PIXEL_SIZE}"
        return values, _pixels(real_rows), math.sqrt(values.shape[1]), distance
    fake_values = extractors.extract(name, samples, "image").values
    return fake_values, real.features(name).values, 1.0, f"Euclidean, between features of {name}"


def _nearest(
    fake_values: Tensor, real_values: Tensor, index: Tensor, k: int, scale: float
) -> tuple[list[NearestImages], Tensor]:
    """Return the k nearest real images of each sample, the closest sample first.

    Also their rows in `real_values`, [num, k]; `index` says which rows of the split these are. Raises EvaluationError.
    """
    distances, rows = nearest_rows(fake_values, real_values, min(k, len(real_values)))
    own = own_distances(real_values, rows[:, 0])
    if own.isinf().any():
        raise EvaluationError("all real images are the same.", hint="Pass the folder with the right --data-dir.")
    found = [
        NearestImages(
            index=sample,
            rows=tuple(index[rows[sample]].tolist()),
            # In float64, as `own_distance`: equal distances must stay equal.
            distances=tuple((distances[sample].double() / scale).tolist()),
            own_distance=float(own[sample]) / scale,
        )
        for sample in range(len(rows))
    ]
    return sorted(found, key=lambda one: one.ratio), rows


def _write(result: Neighbours, images: list[Tensor], run: Path | None) -> None:
    """Write the picture, if one is asked for, and the numbers into a run. Raises GanzooError."""
    try:
        if result.sheet is not None:
            ratios = [one.ratio for one in result.samples[: len(images)]]
            save_neighbours(images, ratios, result.real_ratio, _title(result), result.sheet)
        if run is not None:
            write_json(run / FOLDER / "neighbours.json", result.to_json())
    except OSError as error:
        raise GanzooError(f"cannot write to {error.filename}: {error.strerror}.", hint=hint_for(error)) from error


def _trained_on(source: Source) -> tuple[str | None, str | None]:
    """Return split and digest of the data that weights were trained on, as far as their record says."""
    with suppress(GanzooError, OSError, ValueError, KeyError, TypeError, RecursionError):
        record = json.loads(source.read("training"))
        return str(record["settings"]["recipe"]["split"]), str(record["dataset_digest"])
    return None, None


def _check(dataset: DatasetSpec, split: str) -> None:
    if split not in dataset.splits:
        raise UnknownNameError(f"split of {dataset.name}", split, set(dataset.splits))
    assert not callable(dataset.sample)
    if dataset.sample.kind != "image":
        raise EvaluationError(
            f"the samples of {dataset.name} are {dataset.sample.kind}s; neighbours are looked for among images.",
            hint="Choose a model of images.",
        )
    if dataset.splits[split] is None:
        raise EvaluationError(
            f"{dataset.name} {split} is drawn without limit: there are no images that a model could copy.",
            hint="Choose a model of a dataset of files.",
        )


def _pixels(images: Tensor | StoredRows) -> Tensor:
    """Reduce images [num, channels, height, width] for a comparison of pixels: uint8 [num, dim]."""
    at_once = max(1, (1 << 24) // math.prod(images[:1].shape[1:]))  # large images take much memory as floats
    parts = []
    for start in range(0, len(images), at_once):
        part = images[start : start + at_once]
        part = to_uint8(part) if part.is_floating_point() else part
        size = (min(part.shape[2], PIXEL_SIZE), min(part.shape[3], PIXEL_SIZE))
        parts.append(adaptive_avg_pool2d(part.float(), size).round().byte().flatten(1))
    return torch.cat(parts)


def _title(found: Neighbours) -> tuple[str, str]:
    """Return two lines above the picture."""
    part = "" if found.num_real == found.num_split else f" of {found.num_split:,}"
    return (
        f"{found.dataset}: authenticity {found.authenticity:.2f} of {found.num:,} samples; "
        f"{found.authenticity_of_real:.2f} of real images left out",
        f"The samples that are closest to one of {found.num_real:,}{part} real images ({found.features}), "
        "beside the nearest of these.",
    )
