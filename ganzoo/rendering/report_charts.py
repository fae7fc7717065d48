"""The charts of a report: lines in SVG that stretch to any width, and the numbers that `report.js` shows of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from ganzoo.rendering.canvas import ticks
from ganzoo.rendering.charts import Points, grouped, value_range
from ganzoo.rendering.history import History

_MAX_MARKED = 20
"""Longer series are drawn without a dot at each point."""


def report_charts(records: Sequence[Mapping[str, Any]]) -> str:
    """Return a chart for each group of numbers in the records; empty without any."""
    groups = grouped(History(records))
    last = max((points[-1].step for group in groups.values() for points in group.values()), default=0)
    if not last:
        return ""
    return f'<div class="charts">{"".join(_chart(title, group, last) for title, group in groups.items())}</div>'


def _chart(title: str, group: Points, last: int) -> str:
    """Return a chart that stretches to any width: lines in an SVG of 1000 × 1000, numbers as text around it."""
    low, high = value_range(title, group)

    def x(step: float) -> float:
        return step / last * 1000

    def y(value: float) -> float:
        return (high - min(max(value, low), high)) / (high - low) * 1000

    shapes, legend, series = [], [], []
    for index, (name, points) in enumerate(group.items()):
        colour = f"c{index % 4}"
        upper = [f"{x(point.step):.1f},{y(point.high):.1f}" for point in points]
        lower = [f"{x(point.step):.1f},{y(point.low):.1f}" for point in reversed(points)]
        if any(point.low < point.high for point in points):
            shapes.append(f'<polygon class="{colour}" points="{" ".join(upper + lower)}"/>')
        line = " ".join(f"{x(point.step):.1f},{y(point.mean):.1f}" for point in points)
        shapes.append(f'<polyline class="{colour}" points="{line}"/>')
        if len(points) <= _MAX_MARKED:
            # Lines of length zero with round ends, which stay round when the chart stretches.
            dots = "".join(f"M{x(point.step):.1f} {y(point.mean):.1f}h0" for point in points)
            shapes.append(f'<path class="{colour}" d="{dots}"/>')
        legend.append(f'<li class="{colour}">{escaped(name)} <b>{points[-1].mean:.4g}</b></li>')
        values = [[point.step, float(f"{point.mean:.5g}")] for point in points]
        series.append({"name": name, "points": values})
    heights = [(value, y(value) / 10) for value in ticks(low, high, 4)]
    grid = "".join(f'<line x1="0" x2="1000" y1="{10 * height:.1f}" y2="{10 * height:.1f}"/>' for _, height in heights)
    y_labels = "".join(f'<span style="top:{height:.2f}%">{value:g}</span>' for value, height in heights)
    x_labels = "".join(f'<span style="left:{x(step) / 10:.2f}%">{step:,.0f}</span>' for step in ticks(0, last, 5))
    data = escape(json.dumps({"last": last, "low": low, "high": high, "series": series}))
    name = f"{escaped(title)} over the steps"
    return (
        f'<figure class="chart" data-series="{data}"><figcaption><h3>{escaped(title)}</h3><ul>{"".join(legend)}</ul>'
        f'</figcaption><div class="plot"><div class="y">{y_labels}</div>'
        f'<svg viewBox="0 0 1000 1000" preserveAspectRatio="none" role="img" aria-label="{name}">'
        f'{grid}{"".join(shapes)}</svg><div class="x">{x_labels}</div></div></figure>'
    )


def escaped(value: object) -> str:
    """Write a value for people, escaped."""
    if value is None:
        shown = "none"
    elif isinstance(value, bool):
        shown = "yes" if value else "no"
    elif isinstance(value, int):
        shown = f"{value:,}"
    elif isinstance(value, float):
        shown = f"{value:g}"
    elif isinstance(value, str):
        shown = value
    else:
        shown = json.dumps(value, ensure_ascii=False)
    return escape(shown)
