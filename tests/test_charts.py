"""Charts and the series behind them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from ganzoo.rendering.canvas import ticks
from ganzoo.rendering.charts import PANEL_HEIGHT, chart
from ganzoo.rendering.history import MAX_POINTS, History


def record(step: int, **values: float) -> dict[str, float]:
    return {"step": step, "images": 64 * step, "seconds": step / 9, "steps_per_second": 9.0, **values}


def test_a_series_of_any_length_keeps_few_points_with_their_mean_and_range() -> None:
    history = History(record(step, loss_d=float(step % 10)) for step in range(1, 20_001))
    points = history.series["loss_d"].points()
    assert list(history.series) == ["loss_d"]  # time and place are no series
    assert MAX_POINTS / 2 <= len(points) <= MAX_POINTS
    assert points[-1].step == 20_000
    assert history.series["loss_d"].newest == 0.0
    assert [(point.low, point.high) for point in points[:-1]] == [(0.0, 9.0)] * (len(points) - 1)
    assert np.mean([point.mean for point in points]) == pytest.approx(4.5, abs=0.01)


def test_a_short_series_is_kept_as_it_is() -> None:
    points = History([record(5, fd=1.5), record(9, fd=0.5)]).series["fd"].points()
    assert [(point.step, point.mean, point.low, point.high) for point in points] == [
        (5, 1.5, 1.5, 1.5),
        (9, 0.5, 0.5, 0.5),
    ]


def test_what_is_no_finite_number_is_left_out() -> None:
    odd = {"loss_d": float("nan"), "loss_g": float("inf"), "note": "x", "flag": True, "metrics": {"fd": 1.0}}
    assert History([{"step": 1, **odd}]).series == {}


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (-0.4, 0.4, [-0.4, -0.2, 0, 0.2, 0.4]), (0, 3000, [0, 1000, 2000, 3000])],
)
def test_ticks_are_round_numbers(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high, 5) == expected


def colour_near(image: Image.Image, colour: tuple[int, int, int]) -> int:
    """How many pixels are about of this colour."""
    return int((np.abs(np.asarray(image).astype(int) - colour).max(axis=2) < 40).sum())


BLUE, ORANGE = (38, 96, 164), (206, 92, 44)


def test_losses_share_a_panel_and_every_other_number_has_its_own() -> None:
    losses = chart(History(record(step, loss_d=1.0 + step, loss_g=9.0 - step) for step in range(1, 9)), "t")
    assert colour_near(losses, BLUE) > 500
    assert colour_near(losses, ORANGE) > 500
    more = chart(History([record(1, loss_d=1, score_real=0.5, accuracy=0.7, fd=3), record(2, kid=1)]), "t")
    assert more.height - losses.height == 3 * PANEL_HEIGHT


def test_one_outlier_does_not_flatten_the_rest() -> None:
    records = [record(step, loss_d=1 + 0.5 * (step % 2)) for step in range(1, 400)]
    records[0]["loss_d"] = 1e6
    pixels = np.asarray(chart(History(records), "t")).astype(int)
    rows = np.flatnonzero((np.abs(pixels[:, 400:] - BLUE).max(axis=2) < 40).any(axis=1))
    assert rows.max() - rows.min() > PANEL_HEIGHT / 2


@pytest.mark.parametrize("records", [[], [record(7, loss_d=1.0)], [record(1, fd=0.0), record(2, fd=0.0)]])
def test_a_chart_of_little_or_nothing_can_be_drawn(records: list[dict[str, float]]) -> None:
    assert chart(History(records), "t").width == 960
