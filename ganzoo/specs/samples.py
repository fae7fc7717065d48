"""What goes into a generator and what comes out: latents and samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Interval, Len

Size = Annotated[int, Interval(ge=1, le=1 << 20)]
"""A width, a height, a number of units: between 1 and 1,048,576."""


@dataclass(frozen=True, kw_only=True)
class CurveAxes:
    """The axes of a plot of curves."""

    x: tuple[float, ...]
    """x of each value, ascending."""
    lower: tuple[float, ...]
    """Smallest value of a real curve at each x."""
    upper: tuple[float, ...]
    """Largest value of a real curve at each x."""


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
    """Curves only: x values, and the band that contains every real curve."""


@dataclass(frozen=True, kw_only=True)
class LatentSpec:
    """The generator's input z."""

    dim: Size
    """Length of z; latents have shape [batch, dim]."""
    distribution: Literal["normal", "uniform"] = "normal"
    """Standard normal, or uniform on [-1, 1]; independent in each component."""
