"""What goes into a generator and what comes out: latents and samples."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Annotated, Literal

from annotated_types import Interval, Len

Size = Annotated[int, Interval(ge=1, le=1 << 20)]
"""A width, a height, a number of units: between 1 and 1,048,576."""


@dataclass(frozen=True, kw_only=True)
class CurveAxes:
    """The axes of a plot of curves; all three have one number for each point. Raises ValueError otherwise."""

    x: tuple[float, ...]
    """x of each value, ascending."""
    lower: tuple[float, ...]
    """Smallest value of a real curve at each x."""
    upper: tuple[float, ...]
    """Largest value of a real curve at each x."""

    def __post_init__(self) -> None:
        lengths = {name: len(getattr(self, name)) for name in ("x", "lower", "upper")}
        if len(set(lengths.values())) > 1:
            listed = ", ".join(f"{name} has {length}" for name, length in lengths.items())
            raise ValueError(f"CurveAxes: x, lower and upper must have the same number of values; {listed}")
        if any(right <= left for left, right in pairwise(self.x)):
            raise ValueError("CurveAxes.x must be ascending")
        if any(low > high for low, high in zip(self.lower, self.upper, strict=True)):
            raise ValueError("CurveAxes.lower must not be above CurveAxes.upper")


@dataclass(frozen=True, kw_only=True)
class TextSpec:
    """The texts that a model can be conditioned on. Raises ValueError when its fields contradict each other."""

    alphabet: Annotated[str, Len(1, 30_000)]
    """Every character that a text may have; no character twice."""
    max_length: Annotated[int, Interval(ge=1, le=1024)]
    """Characters of the longest text."""
    examples: Annotated[tuple[str, ...], Len(1, 1000)]
    """Texts that samples take in turn when none are asked for: in pictures of a training, for example."""

    def __post_init__(self) -> None:
        if not self.alphabet or len(set(self.alphabet)) < len(self.alphabet):
            raise ValueError("TextSpec.alphabet must have at least one character, and no character twice")
        if not self.examples:
            raise ValueError("TextSpec.examples must have at least one text")
        for text in self.examples:
            self.encode(text)

    def encode(self, text: str) -> tuple[int, ...]:
        """Return what networks get for a text: [max_length], 1 for the first character of the alphabet, 0 for padding.

        Raises ValueError for a text that is too long or has a character outside of the alphabet.
        """
        if len(text) > self.max_length:
            raise ValueError(f"the text {text[:100]!r} is longer than {self.max_length} characters")
        indices = [1 + self.alphabet.find(character) for character in text]
        if 0 in indices:
            raise ValueError(
                f"the text {text!r} has {text[indices.index(0)]!r}, which is not in {self.alphabet[:100]!r}"
            )
        return (*indices, *[0] * (self.max_length - len(indices)))


SampleKind = Literal["curve", "image", "tensor"]
"""What `SampleSpec` says of each."""


@dataclass(frozen=True, kw_only=True)
class SampleSpec:
    """What one sample is: float32 of a fixed shape.

    | kind | shape | values | drawn as |
    |---|---|---|---|
    | `image` | [channels, height, width], 1 channel (grey) or 3 (RGB) | in [-1, 1] | a grid of pictures |
    | `curve` | [points] or [channels, points] | in their own range | lines in one plot |
    | `tensor` | one to four sizes | in their own range | never; samples are written as arrays |

    A spec that contradicts itself raises ValueError, which names the field, when it is constructed.
    """

    kind: SampleKind
    """What the values mean, and how samples are drawn."""
    shape: Annotated[tuple[Size, ...], Len(1, 4)]
    """Sizes of one sample, without the batch."""
    classes: Annotated[tuple[str, ...], Len(1, 100_000)] | None = None
    """Name of each class, by label; no name twice. Builders see it only when the model is class-conditional, else
    None."""
    text: TextSpec | None = None
    """The texts that are on samples, or that describe them. Builders see it only when the model is conditioned on text,
    else None."""
    axes: CurveAxes | None = None
    """Curves only: x values, and the band that contains every real curve, of every channel. Without axes, curves are
    drawn over their index."""

    def __post_init__(self) -> None:
        shapes = {
            "image": "[channels, height, width]",
            "curve": "[points] or [channels, points]",
            "tensor": "1 to 4 sizes",
        }
        ranks = {"image": (3,), "curve": (1, 2), "tensor": (1, 2, 3, 4)}
        if self.kind not in shapes:
            raise ValueError(f"SampleSpec.kind must be one of {', '.join(shapes)}, not {self.kind!r}")
        whole = all(isinstance(size, int) and not isinstance(size, bool) and size >= 1 for size in self.shape)
        if len(self.shape) not in ranks[self.kind] or not whole:
            raise ValueError(f"SampleSpec.shape of kind {self.kind!r} must be {shapes[self.kind]}, not {self.shape}")
        if self.kind == "image" and self.shape[0] not in (1, 3):
            raise ValueError(
                f"SampleSpec.shape: an image has 1 channel (grey) or 3 (RGB), not {self.shape[0]}; use kind='tensor'"
            )
        if self.classes is not None and (not self.classes or len(set(self.classes)) < len(self.classes)):
            raise ValueError("SampleSpec.classes must have at least one name, and no name twice")
        if self.axes is not None and self.kind != "curve":
            raise ValueError(f"SampleSpec.axes belong to kind 'curve', not {self.kind!r}")
        if self.axes is not None and len(self.axes.x) != self.shape[-1]:
            raise ValueError(f"SampleSpec.axes have {len(self.axes.x)} points, but shape is {self.shape}")


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
