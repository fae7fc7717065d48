"""What goes into a generator and what comes out: latents and samples."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
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
    """The generator's input z: float32 [batch, dim, *grid].

    Distributions, and how `interpolate` goes from one latent to another:

    - `normal`: standard normal in each component. Along the sphere (White 2016, arXiv:1609.04468, section 2.1).
    - `uniform`: uniform on [-1, 1) in each component. Straight.
    - `truncated_normal`: standard normal in each component, given that it lies within ± `truncation` (Brock et al.
      2019, arXiv:1809.11096, section 3.1). As normal, cut off at ± `truncation`.
    - `categorical`: one-hot over dim at each point of the grid, all categories equally likely (Chen et al. 2016,
      arXiv:1606.03657). Straight: a mixture of both categories.

    Raises ValueError when a latent has more than 1,048,576 components.
    """

    dim: Size
    """Length of z; the number of categories of a categorical one."""
    grid: Annotated[tuple[Size, ...], Len(0, 3)] = ()
    """Sizes of further axes, such as height and width of a map of latents; most generators take none."""
    distribution: Literal["normal", "uniform", "truncated_normal", "categorical"] = "normal"
    """The law of each component, independent of the others."""
    truncation: Annotated[float, Interval(gt=0, le=100)] = 2.0
    """Largest absolute value of a truncated normal component; other distributions ignore it."""

    def __post_init__(self) -> None:
        if prod(self.shape) > 1 << 20:
            raise ValueError(f"LatentSpec: dim and grid give {prod(self.shape):,} components; the limit is {1 << 20:,}")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one latent, [dim, *grid]."""
        return (self.dim, *self.grid)
