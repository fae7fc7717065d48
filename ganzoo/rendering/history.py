"""The records of a run as series of numbers, in bounded memory however long the run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

MOST_POINTS = 800
"""Points of one series (an even number), about a pixel's width each; when there are more, neighbours are merged."""

_NO_SERIES = frozenset({"step", "images", "seconds", "steps_per_second"})
"""Numbers of a record that say when it was, and not how the training went."""


@dataclass(frozen=True)
class Point:
    """One value, or several in a row."""

    step: int
    """Of the last one."""
    mean: float
    """Of all of them."""
    low: float
    """The smallest."""
    high: float
    """The largest."""


class Series:
    """One number over the steps.

    Attributes:
        newest: the value that was added last.
    """

    def __init__(self) -> None:
        self.newest = math.nan
        self._points: list[Point] = []
        self._merged = 1  # how many values a point stands for
        self._open: list[tuple[int, float]] = []  # those of the point that is not full yet

    def add(self, step: int, value: float) -> None:
        """Append a value."""
        self.newest = value
        self._open.append((step, value))
        if len(self._open) == self._merged:
            self._points.append(_point(self._open))
            self._open = []
        if len(self._points) == MOST_POINTS:
            pairs = zip(self._points[::2], self._points[1::2], strict=True)
            self._points = [_joined(first, second) for first, second in pairs]
            self._merged *= 2

    def points(self) -> list[Point]:
        """Return at most MOST_POINTS points in the order of the steps."""
        return [*self._points, _point(self._open)] if self._open else list(self._points)


def _point(values: list[tuple[int, float]]) -> Point:
    numbers = [value for _, value in values]
    return Point(values[-1][0], math.fsum(numbers) / len(numbers), min(numbers), max(numbers))


def _joined(first: Point, second: Point) -> Point:
    """Merge two points that stand for equally many values."""
    mean = (first.mean + second.mean) / 2
    return Point(second.step, mean, min(first.low, second.low), max(first.high, second.high))


class History:
    """The series of a run by name, in the order in which they appeared."""

    def __init__(self, records: Iterable[Mapping[str, Any]] = ()) -> None:
        self.series: dict[str, Series] = {}
        for record in records:
            self.add(record)

    def add(self, record: Mapping[str, Any]) -> None:
        """Take the finite numbers of a record, whatever their names; `step` says where they belong."""
        for name, value in record.items():
            if name not in _NO_SERIES and type(value) in (int, float) and math.isfinite(value):
                self.series.setdefault(name, Series()).add(record["step"], value)
