"""Samples -> pictures: grids, curve plots, arrays, and a picture made of characters for the terminal."""

from ganzoo.rendering.files import save_picture, write_samples
from ganzoo.rendering.picture import picture
from ganzoo.rendering.terminal import TerminalPicture

__all__ = ["TerminalPicture", "picture", "save_picture", "write_samples"]
