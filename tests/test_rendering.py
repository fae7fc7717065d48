from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

from ganzoo.errors import UsageError
from ganzoo.rendering import TerminalPicture, picture
from ganzoo.rendering.picture import to_pixels
from ganzoo.specs import SampleSpec
from ganzoo_quadratic import QUADRATIC

GREY = SampleSpec(kind="image", shape=(1, 4, 4))
COLOUR = SampleSpec(kind="image", shape=(3, 4, 6))


def flat(spec: SampleSpec, levels: list[float]) -> torch.Tensor:
    return torch.tensor(levels).view(-1, 1, 1, 1).expand(-1, *spec.shape).contiguous()


def test_the_range_maps_onto_bytes() -> None:
    assert to_pixels(flat(GREY, [-1.0, 0.0, 1.0, 7.0]))[:, 0, 0, 0].tolist() == [0, 128, 255, 255]


@pytest.mark.parametrize(("spec", "mode"), [(GREY, "L"), (COLOUR, "RGB")])
def test_a_grid_shows_every_image_in_reading_order(spec: SampleSpec, mode: str) -> None:
    grid = picture(flat(spec, [-0.5, 0.0, 0.5, 1.0]), spec)
    assert grid.mode == mode
    pixels = np.asarray(grid)
    pixels = pixels if pixels.ndim == 2 else pixels[..., 0]
    assert pixels.shape[1] > 400  # enlarged, so that it can be seen
    runs = [row[np.flatnonzero(np.diff(row, prepend=0))] for row in pixels if row.any()]
    upper, lower = ([int(value) for value in run if value] for run in (runs[0], runs[-1]))
    assert upper + lower == [64, 128, 191, 255]


def test_curves_are_drawn_over_their_band() -> None:
    assert QUADRATIC.sample.axes is not None
    middle = torch.tensor([QUADRATIC.sample.axes.lower, QUADRATIC.sample.axes.upper]).mean(0, keepdim=True)
    pixels = np.asarray(picture(middle, QUADRATIC.sample)).astype(int)
    blue = (pixels[..., 2] - pixels[..., 0] > 15).sum()
    red = (pixels[..., 0] - pixels[..., 2] > 30).sum()
    assert blue > 20_000
    assert red > 500


def coloured(pixels: np.ndarray, channel: int, other: int) -> int:
    """How many pixels have more of one colour than of another."""
    return int((pixels[..., channel].astype(int) - pixels[..., other] > 30).sum())


@pytest.mark.parametrize(
    "values", [torch.linspace(-2, 5, 40), torch.full((40,), 7.0), torch.zeros(1)], ids=["slope", "level", "point"]
)
def test_curves_without_axes_are_drawn_over_their_index(values: torch.Tensor) -> None:
    pixels = np.asarray(picture(values.expand(2, -1), SampleSpec(kind="curve", shape=(len(values),))))
    assert (coloured(pixels, 0, 2) > 500) == (len(values) > 1)  # a single point is no line
    assert coloured(pixels, 2, 0) == 0  # there is no band


def test_each_channel_of_a_curve_has_a_colour_of_its_own() -> None:
    curve = torch.stack([torch.zeros(9), torch.ones(9)])
    pixels = np.asarray(picture(curve[None], SampleSpec(kind="curve", shape=(2, 9))))
    upper, lower = pixels[: len(pixels) // 2], pixels[len(pixels) // 2 :]
    assert coloured(lower, 0, 2) > 500  # the first channel, red
    assert coloured(upper, 2, 0) > 500  # the second, blue
    assert coloured(lower, 2, 0) == coloured(upper, 0, 2) == 0


def test_tensors_are_not_drawn() -> None:
    with pytest.raises(UsageError, match=r"tensors of shape \[3\]"):
        picture(torch.zeros(1, 3), SampleSpec(kind="tensor", shape=(3,)))


def test_the_terminal_picture_fits_its_width() -> None:
    console = Console(width=30, force_terminal=True, color_system="truecolor", record=True, file=io.StringIO())
    console.print(TerminalPicture(Image.new("RGB", (100, 100), (255, 0, 0))))
    lines = console.export_text().rstrip("\n").split("\n")
    assert [len(line) for line in lines] == [30] * 15
    assert set("".join(lines)) == {"▀"}


def test_without_colours_the_terminal_picture_is_made_of_shades() -> None:
    console = Console(width=10, force_terminal=True, no_color=True, record=True, file=io.StringIO())
    half = Image.new("L", (100, 100))
    half.paste(255, (50, 0, 100, 100))
    console.print(TerminalPicture(half))
    assert console.export_text().rstrip("\n").split("\n") == ["     @@@@@"] * 5
