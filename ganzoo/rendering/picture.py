"""One picture of many samples, whatever their kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ganzoo.rendering.curves import curve_plot, curves_only
from ganzoo.rendering.grid import image_grid
from ganzoo.specs import SampleSpec

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

_PAINTERS: dict[str, Callable[[Tensor, SampleSpec], Image]] = {"image": image_grid, "curve": curve_plot}


def picture(samples: Tensor, spec: SampleSpec) -> Image:
    """Draw samples [num, *spec.shape] in the range that the spec states."""
    return _PAINTERS[spec.kind](samples, spec)


def for_terminal(image: Image, spec: SampleSpec) -> Image:
    """Return of a picture of samples what characters can show: of curves no labels, and thicker lines."""
    return curves_only(image) if spec.kind == "curve" else image.copy()
