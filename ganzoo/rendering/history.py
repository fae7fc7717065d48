"""The records of a run as series of numbers, in bounded memory for a run of any length."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganzoo.system.files import open_regular

MAX_LINE_BYTES = 16 << 20
"""A longer line of metrics.jsonl is not one of ours."""

MAX_POINTS = 800
"""Points of one series, about one per pixel of a chart (an even number); beyond that, neighbours are merged."""

_NO_SERIES = frozenset({"step", "images", "seconds", "steps_per_second"})
"""Numbers of a record that are not worth a chart: they only say when it was written."""


@dataclass(frozen=True)
class Point:
    """One value, or several consecutive ones."""

    step: int
    """Step of the last value."""
    mean: float
    """Mean of the values."""
    low: float
    """The smallest value."""
    high: float
    """The largest value."""


class Series:
    """One number over the steps.

    Attributes:
        newest: the latest value.
    """

    def __init__(self) -> None:
        self.newest = math.nan
        self._points: list[Point] = []
        self._merged = 1  # number of values that a full point stands for
        self._open: list[tuple[int, float]] = []  # (step, value) of the point that is not full yet

    def add(self, step: int, value: float) -> None:
        """Append a value."""
        self.newest = value
        self._open.append((step, value))
        if len(self._open) == self._merged:
            self._points.append(_point(self._open))
            self._open = []
        if len(self._points) == MAX_POINTS:
            pairs = zip(self._points[::2], self._points[1::2], strict=True)
            self._points = [_merge(first, second) for first, second in pairs]
            self._merged *= 2

    def points(self) -> list[Point]:
        """Return at most MAX_POINTS points in the order of the steps."""
        return [*self._points, _point(self._open)] if self._open else list(self._points)


def _point(values: list[tuple[int, float]]) -> Point:
    numbers = [value for _, value in values]
    return Point(values[-1][0], math.fsum(numbers) / len(numbers), min(numbers), max(numbers))


def _merge(first: Point, second: Point) -> Point:
    """Merge two points that stand for the same number of values."""
    mean = (first.mean + second.mean) / 2
    return Point(second.step, mean, min(first.low, second.low), max(first.high, second.high))


class History:
    """The series of a run, by name in order of appearance."""

    def __init__(self, records: Iterable[Mapping[str, Any]] = ()) -> None:
        self.series: dict[str, Series] = {}
        for record in records:
            self.add(record)

    def add(self, record: Mapping[str, Any]) -> None:
        """Add the finite numbers of a record, whatever their names, at its `step`."""
        for name, value in record.items():
            if name not in _NO_SERIES and type(value) in (int, float) and abs(value) <= sys.float_info.max:
                self.series.setdefault(name, Series()).add(record["step"], value)


def read_records(run: Path) -> list[dict[str, Any]]:
    """Return the lines of a run's metrics.jsonl up to the first damaged one.

    A process that was killed leaves half a line; a power cut leaves zero bytes where lines were promised.
    """
    records: list[dict[str, Any]] = []
    try:
        with open_regular(run / "metrics.jsonl") as file:
            while (line := file.readline(MAX_LINE_BYTES)).endswith(b"\n"):
                record = json.loads(line)
                if not isinstance(record, dict) or type(record.get("step")) is not int:
                    break
                records.append(record)
    except (FileNotFoundError, ValueError, RecursionError):
        pass  # no records yet, or a damaged line
    return records
