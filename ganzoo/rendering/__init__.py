"""Samples -> pictures: grids, curve plots, arrays, and a picture made of characters for the terminal.

And a run -> pictures: charts of its records, and an animation of its samples.
"""

from ganzoo.rendering.animation import animate_run, write_animation
from ganzoo.rendering.files import save_chart, save_picture, write_samples
from ganzoo.rendering.history import History
from ganzoo.rendering.picture import picture
from ganzoo.rendering.terminal import TerminalPicture

__all__ = [
    "History",
    "TerminalPicture",
    "animate_run",
    "picture",
    "save_chart",
    "save_picture",
    "write_animation",
    "write_samples",
]
