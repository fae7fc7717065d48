"""Samples -> files: one picture, a folder of single pictures, or an array."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ganzoo.errors import GanzooError, UsageError
from ganzoo.files import write_atomically
from ganzoo.rendering.charts import chart
from ganzoo.rendering.history import History
from ganzoo.rendering.picture import picture
from ganzoo.specs import SampleSpec

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor


def save_picture(samples: Tensor, spec: SampleSpec, path: Path) -> None:
    """Write one picture of all samples as a PNG, the whole file or none. Raises OSError."""
    write_atomically(path, _png(samples, spec))


def save_chart(history: History, title: str, path: Path) -> None:
    """Write the charts of a run as a PNG, the whole file or none. Raises OSError."""
    write_atomically(path, _png_bytes(chart(history, title)))


def write_samples(samples: Tensor, spec: SampleSpec, target: str) -> Path:
    """Write samples in the form that the target's name asks for, and return its path.

    `x.png` is one picture of all; `x.npy` and `x.safetensors` hold float32 [num, *shape]; a name that ends in a
    slash, or an existing folder, gets one numbered PNG for each sample. Raises UsageError, GanzooError.
    """
    path = Path(target).expanduser()
    try:
        if target.endswith(("/", "\\")) or path.is_dir():
            digits = max(6, len(str(len(samples) - 1)))
            for index in range(len(samples)):
                save_picture(samples[index : index + 1], spec, path / f"{index:0{digits}d}.png")
        else:
            write_atomically(path, _encoder(path)(samples, spec))
    except OSError as error:
        raise GanzooError(
            f"cannot write {path}: {error.strerror}.", hint="Free some space, or choose another --out."
        ) from error
    return path


def _encoder(path: Path) -> Callable[[Tensor, SampleSpec], bytes]:
    encoders = {".png": _png, ".npy": _npy, ".safetensors": _safetensors}
    if path.suffix.lower() not in encoders:
        raise UsageError(
            f"{path} names no known form.", hint="End it in .png, .npy or .safetensors, or in a slash for single files."
        )
    return encoders[path.suffix.lower()]


def _png(samples: Tensor, spec: SampleSpec) -> bytes:
    return _png_bytes(picture(samples, spec))


def _png_bytes(image: Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def _npy(samples: Tensor, spec: SampleSpec) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, samples.cpu().numpy(), allow_pickle=False)
    return buffer.getvalue()


def _safetensors(samples: Tensor, spec: SampleSpec) -> bytes:
    from safetensors.torch import save

    return save({"samples": samples.cpu().contiguous()})
