"""Pictures in a row -> a GIF or WebP that plays for ever."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from PIL import Image

from ganzoo.errors import GanzooError, UsageError
from ganzoo.rendering.plot import Canvas
from ganzoo.system.files import write_atomically

MOST_FRAMES = 120
"""A longer row is thinned evenly, its first and last picture kept."""

MOST_WIDTH = 640
"""Wider pictures are shrunk to so many pixels."""

Item = TypeVar("Item")

_CAPTION_HEIGHT = 30
_HELD_SECONDS = 1.5  # the last picture of a training stays, for it is the result
_PALETTE_WIDTH = 160  # of each picture, while a GIF's colours are chosen from all of them
_GREYS = 32  # levels of grey in a GIF
_PICTURE = re.compile(r"step-(\d+)\.png")


def animate_run(run: Path, target: Path, seconds: float) -> int:
    """Show a run's sample pictures one after the other, each over its step; return the number of frames.

    Raises UsageError for a folder without pictures or an unknown form, GanzooError for a damaged picture or a file that
    cannot be written.
    """
    folder = run / "samples"
    found = [(int(match[1]), path) for path in folder.glob("step-*.png") if (match := _PICTURE.fullmatch(path.name))]
    if not found:
        raise UsageError(f"{run} holds no sample pictures.", hint="Name the folder of a run that has drawn some.")
    chosen = thinned(sorted(found), MOST_FRAMES)
    check_form(target)
    size = _opened(chosen[0][1]).size  # a ganzoo of another version may have drawn the rest
    frames = [captioned(_opened(path).resize(size), f"step {step:,}") for step, path in chosen]
    write_animation(frames, target, seconds / len(frames), held=_HELD_SECONDS)
    return len(chosen)


def write_animation(frames: Sequence[Image.Image], target: Path, seconds: float, held: float = 0.0) -> None:
    """Write pictures of one size as a loop, the whole file or none; at most MOST_FRAMES, for all are held in memory.

    Args:
        frames: greyscale or RGB, in their order.
        target: its suffix says the form, `.gif` or `.webp`.
        seconds: how long each is shown; a GIF counts in hundredths and takes at least two.
        held: how much longer the last one is shown.

    Raises UsageError for another suffix, GanzooError when the file cannot be written.
    """
    encode = check_form(target)
    milliseconds = max(20, round(seconds * 100) * 10)
    durations = [milliseconds] * len(frames)
    durations[-1] += round(held * 1000)
    buffer = io.BytesIO()
    encode(frames, buffer, durations)
    try:
        write_atomically(target, buffer.getvalue())
    except OSError as error:
        raise GanzooError(
            f"cannot write {target}: {error.strerror}.", hint="Free some space, or choose another --out."
        ) from error


Encoder = Callable[[Sequence[Image.Image], io.BytesIO, list[int]], None]


def check_form(target: Path) -> Encoder:
    """Return what writes the form that a target's suffix names. Raises UsageError."""
    encoders: dict[str, Encoder] = {".gif": _gif, ".webp": _webp}
    if target.suffix.lower() not in encoders:
        raise UsageError(f"{target} names no form of animation.", hint="End it in .gif or .webp.")
    return encoders[target.suffix.lower()]


def _gif(frames: Sequence[Image.Image], buffer: io.BytesIO, durations: list[int]) -> None:
    """Encode with one palette for all frames, so that colours keep still; greys are made few, which halves the size."""
    if all(frame.mode == "L" for frame in frames):
        step = 255 / (_GREYS - 1)
        reduced = [frame.point([round(round(value / step) * step) for value in range(256)]) for frame in frames]
    else:
        palette = _palette(frames)
        reduced = [frame.convert("RGB").quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    _save(reduced, buffer, "GIF", durations)


def _webp(frames: Sequence[Image.Image], buffer: io.BytesIO, durations: list[int]) -> None:
    _save([frame.convert("RGB") for frame in frames], buffer, "WEBP", durations, quality=85)


def _save(frames: Sequence[Image.Image], buffer: io.BytesIO, form: str, durations: list[int], **options: Any) -> None:
    first, *rest = frames
    first.save(buffer, form, save_all=True, append_images=rest, duration=durations, loop=0, **options)


def _palette(frames: Sequence[Image.Image]) -> Image.Image:
    """Choose 256 colours for all of them."""
    width, height = (max(1, min(size, _PALETTE_WIDTH * size // frames[0].width)) for size in frames[0].size)
    together = Image.new("RGB", (width, height * len(frames)))
    for index, frame in enumerate(frames):
        together.paste(frame.convert("RGB").resize((width, height), Image.Resampling.NEAREST), (0, height * index))
    return together.quantize(256)


def _opened(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            image.load()
            return image.copy()
    except (OSError, SyntaxError) as error:
        raise GanzooError(f"{path} is no whole picture: {error}.", hint="Delete it, and animate again.") from error


def thinned(items: Sequence[Item], most: int) -> list[Item]:
    """Return at most so many items, evenly spread, with the first and the last."""
    if len(items) <= most:
        return list(items)
    return [items[round(index * (len(items) - 1) / (most - 1))] for index in range(most)]


def captioned(image: Image.Image, caption: str) -> Image.Image:
    """Put a line of text under a picture, which is shrunk where it is too wide."""
    image = fitted(image)
    canvas = Canvas(image.width, _CAPTION_HEIGHT)
    canvas.text((image.width / 2, _CAPTION_HEIGHT / 2), caption, "mm")
    frame = Image.new(image.mode, (image.width, image.height + _CAPTION_HEIGHT))
    frame.paste(image, (0, 0))
    frame.paste(canvas.finish().convert(image.mode), (0, image.height))
    return frame


def fitted(image: Image.Image) -> Image.Image:
    """Shrink a picture that is wider than MOST_WIDTH."""
    if image.width <= MOST_WIDTH:
        return image
    height = round(image.height * MOST_WIDTH / image.width)
    return image.resize((MOST_WIDTH, height), Image.Resampling.LANCZOS)
