"""The result of an evaluation, and its file beside the run or folder: `evaluations/<protocol>.json`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import NoneType
from typing import Any

from ganzoo.specs import EvaluationProtocol
from ganzoo.system.files import read_json, write_atomically
from ganzoo.weights.manifest import check_types
from ganzoo.weights.references import FolderReference, parse_reference

FOLDER = "evaluations"


@dataclass(frozen=True)
class MetricValue:
    """One metric over the seeds of a protocol."""

    name: str
    value: float
    """Mean over the seeds."""
    std: float | None
    """Sample standard deviation over the seeds; None for one seed."""
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
    protocol: EvaluationProtocol
    real_digest: str | None
    """Digest of the real samples; None if no metric used them."""
    num_real: int | None
    """How many of them were compared with: of a split whose number varies, maybe fewer than the protocol takes."""
    extractors: tuple[dict[str, Any], ...]
    """Name, digest of the weights, resize rule and batch size of each extractor that was used."""
    tools: dict[str, str]
    """`MetricSpec.versions` of all metrics: name -> version or sha256."""
    deviation: str | None
    """How this measurement deviates from the protocol, which makes its numbers incomparable; usually None."""
    metrics: tuple[MetricValue, ...]
    samples_per_second: float
    """Speed of the generator."""
    device: str
    dtype: str
    ganzoo: str
    torch: str
    python: str

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def save_beside_run(reference: str | os.PathLike[str], evaluation: Evaluation) -> Path | None:
    """Save an evaluation in the run or folder that it measured; None for other weights. Raises OSError."""
    parsed = parse_reference(reference)
    if not isinstance(parsed, FolderReference):
        return None
    path = parsed.path / FOLDER / f"{evaluation.protocol.name}.json"
    write_atomically(path, (json.dumps(evaluation.to_json(), indent=2) + "\n").encode())
    return path


def saved_metrics(folder: Path, weights_sha256: str) -> Iterator[dict[str, Any]]:
    """Yield name, value, std and protocol of every metric measured on exactly these weights, without deviation."""
    for path in sorted((folder / FOLDER).glob("*.json")):
        try:
            document = read_json(path)
            # A run that was trained further still has the reports on its earlier weights.
            if document["weights_sha256"] != weights_sha256 or document["deviation"] is not None:
                continue
            metrics = [{name: metric[name] for name in _METRIC_TYPES} for metric in document["metrics"]]
            for metric in metrics:
                check_types(metric, _METRIC_TYPES, "metric")
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue  # damaged, or of another program
        yield from metrics


_METRIC_TYPES = {"name": str, "value": (int, float), "std": (int, float, NoneType), "protocol": str}
