"""Samples -> features, batch by batch; those of real samples are kept in the store.

    statistics/<dataset>/<key>/     values.npy, logits.npy, mean.npy, covariance.npy, record.json

The key is a digest of the real samples, the extractor and its weights: if any of them changes, so does the key. Every
file is verified against the sha256 in the record whenever it is read.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import json
import logging
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray
from torch import Tensor

from ganzoo.data import to_uint8
from ganzoo.data.packing import ShowProgress
from ganzoo.distances import gaussian
from ganzoo.distributed.processes import SINGLE_PROCESS, Processes
from ganzoo.errors import EvaluationError
from ganzoo.specs import Extractor, ExtractorSpec
from ganzoo.system.files import read_json, whole_folder, write_atomically, write_json
from ganzoo.weights.store import home

_log = logging.getLogger("ganzoo")

# Part of every key: with another number, features of the old format are not found, and are computed again.
FORMAT = 1


class StoredRows:
    """Some rows of a packed copy, read when they are sliced: 50,000 large images do not fit into memory."""

    def __init__(self, samples: NDArray[Any], index: NDArray[np.int64]) -> None:
        self._samples, self._index = samples, index

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, rows: slice | NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(np.array(self._samples[self._index[rows]]))  # copied out of the memory map


@torch.inference_mode()
def extract(
    spec: ExtractorSpec,
    extractor: Extractor,
    samples: Tensor | StoredRows,
    device: torch.device,
    processes: Processes = SINGLE_PROCESS,
    progress: ShowProgress | None = None,
) -> ExtractedFeatures:
    """Run an extractor over samples, the same on every rank: float32 [num, *shape], images in [-1, 1], or as stored.

    Each rank extracts whole batches, counted from the first sample, so that the features do not depend on the number of
    processes. Raises EvaluationError for NaN and infinite values, which rounding to bytes would hide.
    """
    if isinstance(samples, Tensor) and not samples.isfinite().all():
        raise EvaluationError("the samples hold NaN or infinite values.", hint="Evaluate an earlier checkpoint.")
    # Whole batches, because convolutions choose their algorithm by the size of a batch, and the last bits of a feature
    # with it.
    shards = processes.shards(len(samples), spec.batch_size)
    own = shards[processes.rank]
    batches = (
        samples[start : min(start + spec.batch_size, own.stop)] for start in range(own.start, own.stop, spec.batch_size)
    )
    outputs: list[Mapping[str, Tensor]] = []
    with processes.sharing_errors(), _without_tf32(device):
        for batch in batches:
            # Images are rounded to bytes, as real ones are stored: unrounded values would be a difference that no eye
            # can see.
            rounded = to_uint8(batch) if spec.kind == "image" and batch.is_floating_point() else batch
            outputs.append(extractor.outputs(rounded.to(device)))
            if progress is not None:
                progress(min(len(outputs) * spec.batch_size, own.stop - own.start), own.stop - own.start)
    names = processes.broadcast(sorted(outputs[0]) if outputs else None)  # the main rank has rows, others may not
    joined = {}
    for name in names:
        rows = torch.cat([output[name].cpu() for output in outputs]) if outputs else torch.empty(0)
        joined[name] = processes.all_gather_rows(rows, shards)
    return ExtractedFeatures(spec.name, joined["values"], joined.get("logits"))


@contextlib.contextmanager
def _without_tf32(device: torch.device) -> Iterator[None]:
    """Keep convolutions on CUDA from rounding to TF32: stored features must not depend on the device that made them."""
    if device.type != "cuda":
        yield
        return
    # cuDNN's convolutions may use TF32, with 10 bits of mantissa, unless told otherwise. Matrix products do not by
    # default, so they have no switch here.
    cudnn = torch.backends.cudnn
    # torch 2.9 renamed the switch, and refuses the old name once the new one was used.
    switch, name, off = (
        (cudnn.conv, "fp32_precision", "ieee") if hasattr(cudnn, "conv") else (cudnn, "allow_tf32", False)
    )
    before = getattr(switch, name)
    setattr(switch, name, off)
    try:
        yield
    finally:
        setattr(switch, name, before)


class ExtractedFeatures:
    """Features in memory."""

    def __init__(self, extractor: str, values: Tensor, logits: Tensor | None) -> None:
        self._extractor, self._logits = extractor, logits
        self.values = values

    @property
    def logits(self) -> Tensor:
        """float32 [num, classes]."""
        if self._logits is None:
            raise EvaluationError(
                f"the extractor {self._extractor!r} has no classifier.",
                hint="Provide weights with their final layer, or choose another metric.",
            )
        return self._logits

    @cached_property
    def _gaussian(self) -> tuple[Tensor, Tensor]:
        return gaussian(self.values)

    @property
    def mean(self) -> Tensor:
        """float64 [dim]."""
        return self._gaussian[0]

    @property
    def covariance(self) -> Tensor:
        """float64 [dim, dim]."""
        return self._gaussian[1]


class StoredFeatures:
    """Features of real samples in the store; each part is read and verified on first use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._digests: dict[str, str] = read_json(folder / "record.json")["files"]
        # A record without them is treated like one that is not JSON; logits are optional.
        if not {"values", "mean", "covariance"} <= self._digests.keys():
            raise KeyError("files")

    @cached_property
    def values(self) -> Tensor:
        """float32 [num, dim]."""
        return self._read("values")

    @cached_property
    def logits(self) -> Tensor:
        """float32 [num, classes]."""
        if "logits" not in self._digests:
            raise EvaluationError(
                f"{self.folder} was computed without the final layer of its extractor.",
                hint=f"Provide the extractor's complete weights, delete {self.folder} and evaluate again.",
            )
        return self._read("logits")

    @cached_property
    def mean(self) -> Tensor:
        """float64 [dim]."""
        return self._read("mean")

    @cached_property
    def covariance(self) -> Tensor:
        """float64 [dim, dim]."""
        return self._read("covariance")

    def _read(self, name: str) -> Tensor:
        """Read one array. Raises EvaluationError when it is not the one that was written."""
        path = self.folder / f"{name}.npy"
        try:
            # Read once: what is hashed is what is parsed. Without pickles, an edited file can hold wrong numbers but no
            # code.
            content = path.read_bytes()
        except OSError as error:
            raise EvaluationError(f"cannot read {path}: {error.strerror}.", hint=self._hint) from error
        if hashlib.sha256(content).hexdigest() != self._digests[name]:
            raise EvaluationError(f"{path} is damaged or was edited.", hint=self._hint)
        return torch.from_numpy(np.load(io.BytesIO(content), allow_pickle=False))

    @property
    def _hint(self) -> str:
        return f"Delete {self.folder} and evaluate again; the features are then computed again."


def stored_folder(dataset: str, real_digest: str, spec: ExtractorSpec, extractor: Extractor) -> Path:
    """Return the folder for the features of these real samples under this extractor."""
    # The name alone would not do: an extractor's weights can be replaced, and its resizing is part of every number.
    facts = [FORMAT, real_digest, spec.name, spec.resize, extractor.sha256]
    return home() / "statistics" / dataset / hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def read_stored(folder: Path) -> StoredFeatures | None:
    """Return stored features, or None when there are none. Raises EvaluationError when their record is damaged."""
    if not folder.is_dir():
        return None
    try:
        return StoredFeatures(folder)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise EvaluationError(
            f"{folder}/record.json is damaged.", hint=f"Delete {folder} and evaluate again."
        ) from error


def write_stored(
    folder: Path, features: ExtractedFeatures, facts: dict[str, Any]
) -> StoredFeatures | ExtractedFeatures:
    """Store features, the whole folder or nothing; another process may store the same ones.

    They are only a saving of time: where they cannot be written, as in a read-only store, a line says so and the
    computed ones are returned.
    """
    arrays = {"values": features.values, "mean": features.mean, "covariance": features.covariance}
    if features._logits is not None:
        arrays["logits"] = features.logits
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.parent / ".lock"):
            if not folder.is_dir():  # else another process was faster
                with whole_folder(folder) as partial:
                    digests = {name: _write_array(partial / f"{name}.npy", array) for name, array in arrays.items()}
                    write_json(partial / "record.json", {**facts, "files": digests})
    except OSError as error:
        _warn(f"features of real images cannot be kept in {folder.parent}: {error.strerror or error}.")
        return features
    return StoredFeatures(folder)


@functools.cache  # an evaluation may compute several features
def _warn(problem: str) -> None:
    _log.warning("Warning: %s They are computed again each time.", problem)


def _write_array(path: Path, array: Tensor) -> str:
    buffer = io.BytesIO()
    np.save(buffer, array.numpy(), allow_pickle=False)
    write_atomically(path, buffer.getvalue())
    return hashlib.sha256(buffer.getvalue()).hexdigest()
