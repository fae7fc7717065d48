"""Samples -> pictures: grids, curve plots, arrays, and a picture made of characters for the terminal.

And a run -> pictures: charts of its records, and an animation of its samples.
"""

from ganzoo.rendering.animation import MOST_FRAMES, animate_run, check_form, fitted, write_animation
from ganzoo.rendering.files import save_chart, save_picture
from ganzoo.rendering.history import History
from ganzoo.rendering.output import Target, Written, parse_target, write_samples
from ganzoo.rendering.picture import for_terminal, picture
from ganzoo.rendering.terminal import TerminalPicture, sparkline

__all__ = [
    "MOST_FRAMES",
    "History",
    "Target",
    "TerminalPicture",
    "Written",
    "animate_run",
    "check_form",
    "fitted",
    "for_terminal",
    "parse_target",
    "picture",
    "save_chart",
    "save_picture",
    "sparkline",
    "write_animation",
    "write_samples",
]
