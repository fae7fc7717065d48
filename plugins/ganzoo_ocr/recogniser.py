"""Word images -> texts, with PP-OCRv6 (small) from the rapidocr package."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ganzoo.errors import EvaluationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MODEL = "PP-OCRv6_rec_small.onnx"
SHA256 = "6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884"
"""The file in rapidocr 3.9 and 3.10; numbers from another file are not comparable."""

HEIGHT, WIDTH = 32, 128
INPUT_SHAPE = [3, 48, 192]
"""Images are resized (bilinear) to the recogniser's height, keeping their aspect ratio, so nothing is padded."""

MAX_THREADS = 8

_HINT = "Install it with: pip install 'ganzoo[ocr]'"


@dataclass(frozen=True)
class Reading:
    """The text read in one image."""

    text: str
    """In lower case and without spaces; may be empty."""
    confidence: float
    """Mean probability of its characters, 0 to 1; 0 for an empty text."""


def read(images: torch.Tensor) -> Sequence[Reading]:
    """Read images in [-1, 1], float32 [num, 1, 32, 128], one at a time, so that no reading depends on another image.

    Raises EvaluationError when the pinned recogniser is not installed.
    """
    engine = _recogniser()
    grey = images[:, 0].add(1).mul(127.5).round().clamp(0, 255).byte().numpy()  # [num, 32, 128], 0 to 255

    def read_one(image: NDArray[np.uint8]) -> Reading:
        # The recogniser takes three channels. The images are single upright words: neither text detection nor the
        # classifier of orientation is needed.
        found = engine(np.repeat(image[:, :, None], 3, axis=2), use_det=False, use_cls=False, use_rec=True)
        return Reading(text="".join(found.txts[0].split()).lower(), confidence=float(found.scores[0]))

    # Threads suffice: onnxruntime computes outside of Python's lock.
    with ThreadPoolExecutor(min(torch.get_num_threads(), MAX_THREADS)) as threads:
        return list(threads.map(read_one, grey))


@cache
def _recogniser() -> Any:
    try:
        import onnxruntime  # noqa: F401 - rapidocr imports it late and does not require it
        from rapidocr import RapidOCR
    except ImportError as error:
        raise EvaluationError(f"reading words needs {error.name or 'rapidocr'}.", hint=_HINT) from error
    return RapidOCR(
        params={
            "Global.log_level": "critical",
            "Rec.model_path": str(_model_path()),
            "Rec.rec_img_shape": INPUT_SHAPE,
            # Images are read in parallel instead: one image is too small for several threads.
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )


def _model_path() -> Path:
    """Return the pinned model inside the installed package. Raises EvaluationError when it has another one."""
    spec = find_spec("rapidocr")
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent / "models" / MODEL
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        raise EvaluationError(f"the installed rapidocr does not contain {MODEL}, which these metrics need.", hint=_HINT)
    return path


def versions() -> dict[str, str]:
    """Return the recogniser's sha256 and the versions of the packages that run it."""
    from importlib.metadata import version

    return {"recogniser": SHA256, "rapidocr": version("rapidocr"), "onnxruntime": version("onnxruntime")}
