"""Sizes and times as people read them."""

from __future__ import annotations

import math

import pytest

from ganzoo.units import human_size, human_time


@pytest.mark.parametrize(
    ("num_bytes", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1_120_000, "1.1 MB"), (5 * 10**15, "5000.0 TB")],
)
def test_sizes_have_the_unit_that_keeps_them_short(num_bytes: int, text: str) -> None:
    assert human_size(num_bytes) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (59.94, "59.9 s"),
        (59.99, "1 min"),
        (3_570, "1 h 0 min"),  # not 60 min
        (7_500, "2 h 5 min"),
        (47.99 * 3600, "47 h 59 min"),
        (50 * 3600, "2 d 2 h"),
        (math.nan, "unknown"),
        (math.inf, "unknown"),
        (-1, "unknown"),
    ],
)
def test_times_have_their_largest_units(seconds: float, text: str) -> None:
    assert human_time(seconds) == text
