"""Settings of the dataset: how a picture of any size becomes a sample."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Interval, Len

from ganzoo.specs import SampleSpec


@dataclass(frozen=True, kw_only=True)
class FolderConfig:
    """How pictures become samples. Raises ValueError for a background that is not a colour."""

    size: Annotated[int, Interval(ge=8, le=1024)] = 64
    """Height and width of a sample, in pixels."""
    grey: bool = False
    """One channel (luminance) instead of three."""
    fit: Literal["crop", "pad", "stretch"] = "crop"
    """How a picture becomes square: cut to its centre, padded with `background`, or stretched."""
    background: Annotated[str, Len(7, 7)] = "#ffffff"
    """Colour under transparent pixels and of the padding, as #rrggbb."""
    mirror: bool = False
    """Add every picture mirrored too, so the set is twice as large. Not for text or other pictures with a left and a
    right."""
    classes: Annotated[tuple[Annotated[str, Len(1, 255)], ...], Len(0, 10_000)] = ()
    """Classes in the order of their labels: names of sub-folders, or labels in labels.csv. Pictures of other classes
    are left out. Empty: all pictures, without labels."""

    def __post_init__(self) -> None:
        if re.fullmatch("#[0-9a-fA-F]{6}", self.background) is None:
            raise ValueError(f"background must be a colour such as #ffffff, not {self.background!r}")
        if len(set(self.classes)) < len(self.classes):
            raise ValueError("classes has a name twice")

    @property
    def sample(self) -> SampleSpec:
        """What one sample is."""
        shape = (1 if self.grey else 3, self.size, self.size)
        return SampleSpec(kind="image", shape=shape, classes=self.classes or None)
