"""Evaluations beside the run or folder that they measured: `evaluations/<protocol>.json`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganzoo.system.files import write_atomically
from ganzoo.weights.references import FolderReference, parse_reference

if TYPE_CHECKING:
    from ganzoo.evaluation.measurement import Evaluation

FOLDER = "evaluations"


def save_beside_run(reference: str | os.PathLike[str], evaluation: Evaluation) -> Path | None:
    """Keep an evaluation in the run or folder that it measured; None for other weights. Raises OSError."""
    folder = _folder(reference)
    if folder is None:
        return None
    path = folder / FOLDER / f"{evaluation.protocol.name}.json"
    write_atomically(path, (json.dumps(evaluation.to_json(), indent=2) + "\n").encode())
    return path


def saved_metrics(folder: Path, weights_sha256: str) -> Iterator[dict[str, Any]]:
    """Yield name, value, std and protocol of every metric that was measured on these very weights, as it should be."""
    for path in sorted((folder / FOLDER).glob("*.json")):
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            if document["weights_sha256"] != weights_sha256 or document["deviation"] is not None:
                continue
            for metric in document["metrics"]:
                yield {key: metric[key] for key in ("name", "value", "std", "protocol")}
        except (OSError, ValueError, KeyError, TypeError):
            continue


def run_data_dir(reference: str | os.PathLike[str]) -> Path | None:
    """Return the folder that a run's data came from; None for other weights."""
    folder = _folder(reference)
    if folder is not None and folder.name == "best":
        folder = folder.parent
    try:
        data_dir = json.loads((folder / "run.json").read_text(encoding="utf-8"))["data_dir"] if folder else None
        return Path(data_dir) if data_dir is not None else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _folder(reference: str | os.PathLike[str]) -> Path | None:
    parsed = parse_reference(reference)
    return parsed.path if isinstance(parsed, FolderReference) else None
