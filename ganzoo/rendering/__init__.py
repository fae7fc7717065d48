"""Samples -> pictures and files; a run -> charts and an animation."""

from ganzoo.rendering.animation import MAX_FRAMES, animate_run, animation_encoder, shrink_to_fit, write_animation
from ganzoo.rendering.charts import save_chart
from ganzoo.rendering.history import History, read_records
from ganzoo.rendering.neighbours import save_neighbours
from ganzoo.rendering.output import Target, Written, parse_target, write_samples
from ganzoo.rendering.picture import (
    check_drawable,
    for_terminal,
    image_grid,
    picture,
    read_picture,
    save_array,
    save_picture,
)
from ganzoo.rendering.report import write_report
from ganzoo.rendering.terminal import TerminalPicture, sparkline

__all__ = [
    "MAX_FRAMES",
    "History",
    "Target",
    "TerminalPicture",
    "Written",
    "animate_run",
    "animation_encoder",
    "check_drawable",
    "for_terminal",
    "image_grid",
    "parse_target",
    "picture",
    "read_picture",
    "read_records",
    "save_array",
    "save_chart",
    "save_neighbours",
    "save_picture",
    "shrink_to_fit",
    "sparkline",
    "write_animation",
    "write_report",
    "write_samples",
]
