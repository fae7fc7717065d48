"""Charts of a run's records: one panel for the losses, one for the scores, one for each other number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from ganzoo.rendering.canvas import FAINT, PAPER, Box, Canvas, Colour, Panel
from ganzoo.rendering.history import History, Point
from ganzoo.rendering.picture import png_bytes
from ganzoo.system.files import write_atomically

WIDTH, PANEL_HEIGHT = 960, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 72, 24, 38, 30  # around the frame of each panel
_HEAD, _FOOT = 34, 24  # above the first panel and below the last

_COLOURS: tuple[tuple[int, int, int], ...] = ((38, 96, 164), (206, 92, 44), (62, 136, 84), (128, 84, 156))
_MAX_MARKED = 60
"""Longer series are drawn without a dot at each point."""

_SCORES = "score and accuracy of the discriminator"

Points = Mapping[str, Sequence[Point]]
"""Name of a series -> its points."""


def chart(history: History, title: str) -> Image.Image:
    """Draw all series over the steps; where a point stands for several values, a pale band shows their range."""
    groups = grouped(history)
    last = max((points[-1].step for group in groups.values() for points in group.values()), default=1)
    canvas = Canvas(WIDTH, _HEAD + PANEL_HEIGHT * max(1, len(groups)) + _FOOT)
    canvas.text((_LEFT, 14), title, "lt", size=18)
    if not groups:
        canvas.text((WIDTH / 2, _HEAD + PANEL_HEIGHT / 2), "nothing recorded yet", "mm")
    for index, (name, group) in enumerate(groups.items()):
        _draw_panel(canvas, _HEAD + PANEL_HEIGHT * index, name, group, last)
    canvas.text((WIDTH - _RIGHT, canvas.size[1] - 10), "step", "rb")
    return canvas.finish()


def save_chart(history: History, title: str, path: Path) -> None:
    """Write the charts of a run as a PNG, the whole file or none. Raises OSError."""
    write_atomically(path, png_bytes(chart(history, title)))


def grouped(history: History) -> dict[str, Points]:
    """Put the losses on one panel and the scores, from 0 to 1, on another; every other number gets its own."""
    groups: dict[str, dict[str, Sequence[Point]]] = {}
    for name, series in history.series.items():
        if name.startswith("loss_"):
            group = "loss"
        elif name.startswith("score_") or name == "accuracy":
            group = _SCORES
        else:
            group = name
        groups.setdefault(group, {})[name] = series.points()
    return dict(groups)


def _draw_panel(canvas: Canvas, top: float, title: str, group: Points, last: int) -> None:
    box = (_LEFT, top + _TOP, WIDTH - _RIGHT, top + PANEL_HEIGHT - _BOTTOM)
    panel = Panel(canvas, box, (0, last), value_range(title, group))
    panel.draw_axes(x_label="{:,.0f}".format, max_ticks=(10, 5))
    canvas.text((box[0], box[1] - 10), title, "ls")
    coloured = [(name, points, _COLOURS[index % len(_COLOURS)]) for index, (name, points) in enumerate(group.items())]
    for _, points, colour in coloured:
        _draw_band(panel, points, _pale(colour))
    for _, points, colour in coloured:
        _draw_line(panel, points, colour)
    canvas.outline(box, FAINT)
    _draw_legend(canvas, box, coloured)


def value_range(title: str, group: Points) -> tuple[float, float]:
    """Return the y range of a panel: all values, or the middle 98 % where a few outliers would flatten the rest."""
    if title == _SCORES:
        return 0.0, 1.0
    ends = sorted(end for points in group.values() for point in points for end in (point.low, point.high))
    low, high = ends[0], ends[-1]
    cut = len(ends) // 100
    inner_low, inner_high = ends[cut], ends[-1 - cut]
    if len(ends) >= 200 and high - low > 3 * (inner_high - inner_low) > 0:
        low, high = inner_low, inner_high
    margin = (high - low) * 0.08 or max(abs(high), 1.0) * 0.1
    return low - margin, high + margin


def _draw_band(panel: Panel, points: Sequence[Point], colour: Colour) -> None:
    if any(point.low < point.high for point in points):
        upper = [panel.clamped(point.step, point.high) for point in points]
        lower = [panel.clamped(point.step, point.low) for point in points]
        panel.canvas.polygon([*upper, *reversed(lower)], colour)


def _draw_line(panel: Panel, points: Sequence[Point], colour: Colour) -> None:
    positions = [panel.clamped(point.step, point.mean) for point in points]
    if len(positions) > 1:
        panel.canvas.line(positions, colour, 1.6)
    if len(positions) <= _MAX_MARKED:
        for position in positions:
            panel.canvas.dot(position, 3, colour)


def _draw_legend(canvas: Canvas, box: Box, coloured: Sequence[tuple[str, Sequence[Point], Colour]]) -> None:
    """Write names and newest values above a frame, aligned right."""
    x, y = box[2], box[1] - 10
    for name, points, colour in reversed(coloured):
        text = f"{name} {points[-1].mean:.4g}"
        canvas.text((x, y), text, "rs")
        x -= canvas.text_width(text) + 8
        canvas.line([(x - 18, y - 5), (x, y - 5)], colour, 3)
        x -= 18 + 20


def _pale(colour: tuple[int, int, int]) -> Colour:
    red, green, blue = (round(paper - (paper - value) * 0.22) for paper, value in zip(PAPER, colour, strict=True))
    return red, green, blue
