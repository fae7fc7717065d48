"""Pictures -> PNG files, the whole file or none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ganzoo.rendering.charts import chart
from ganzoo.rendering.history import History
from ganzoo.rendering.items import png_bytes
from ganzoo.rendering.picture import picture
from ganzoo.specs import SampleSpec
from ganzoo.system.files import write_atomically

if TYPE_CHECKING:
    from torch import Tensor


def save_picture(samples: Tensor, spec: SampleSpec, path: Path) -> None:
    """Write one picture of all samples as a PNG, the whole file or none. Raises OSError."""
    write_atomically(path, png_bytes(picture(samples, spec)))


def save_chart(history: History, title: str, path: Path) -> None:
    """Write the charts of a run as a PNG, the whole file or none. Raises OSError."""
    write_atomically(path, png_bytes(chart(history, title)))
