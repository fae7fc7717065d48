"""A sequence of pictures -> a looping GIF or WebP, or an MP4."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

from PIL import Image

from ganzoo.errors import GanzooError, UsageError, hint_for
from ganzoo.rendering.canvas import Canvas
from ganzoo.rendering.picture import ANIMATIONS, read_picture
from ganzoo.system.extras import import_extra
from ganzoo.system.files import write_atomically

MAX_FRAMES = 120
"""A longer sequence is thinned evenly; its first and last pictures stay."""

MAX_WIDTH, MAX_HEIGHT = 640, 1280
"""Larger pictures are shrunk to this size, in pixels: all frames are held in memory."""

Item = TypeVar("Item")
Encoder = Callable[[Sequence[Image.Image], io.BytesIO, list[int]], None]
"""(frames, buffer, milliseconds of each frame)."""

_CAPTION_HEIGHT = 30
_HELD_SECONDS = 1.5  # the last picture of a training stays longer, because it is the result
_PALETTE_WIDTH = 160  # width of each picture while a GIF's palette is chosen from all of them
_GREYS = 32  # levels of grey in a GIF
_PICTURE = re.compile(r"step-(\d+)\.png")


def animate_run(run: Path, target: Path, seconds: float) -> int:
    """Write the sample pictures of a run as an animation, each with its step below; return the number of frames.

    Raises UsageError for a folder without pictures or an unknown file type, GanzooError for a damaged picture or a file
    that cannot be written.
    """
    folder = run / "samples"
    found = sample_pictures(run)
    if not found:
        if any(folder.glob("step-*.npy")):
            raise UsageError(
                f"the samples of {run} are tensors, which are not drawn.", hint=f"Read the arrays in {folder}."
            )
        raise UsageError(f"{run} has no sample pictures.", hint="Name a run that has at least one samples/step-*.png.")
    animation_encoder(target)  # refuses an unknown file type before any picture is read
    chosen = thinned(found, MAX_FRAMES)
    size = _read(chosen[0][1]).size  # another version of ganzoo may have drawn the rest at another size
    frames = [_captioned(_read(path).resize(size), f"step {step:,}") for step, path in chosen]
    write_animation(frames, target, seconds / len(frames), held=_HELD_SECONDS)
    return len(chosen)


def sample_pictures(run: Path) -> list[tuple[int, Path]]:
    """Return step and path of each sample picture of a run, in the order of the steps."""
    paths = (run / "samples").glob("step-*.png")
    return sorted((int(match[1]), path) for path in paths if (match := _PICTURE.fullmatch(path.name)))


def write_animation(frames: Sequence[Image.Image], target: Path, seconds: float, held: float = 0.0) -> None:
    """Write pictures of one size as a loop, the whole file or none.

    Args:
        frames: greyscale or RGB, in order; at most MAX_FRAMES, because all of them are held in memory.
        target: a `.gif`, `.webp` or `.mp4` file; the last needs the extra `video`.
        seconds: how long each frame is shown; GIF rounds to hundredths, and players need at least two.
        held: how much longer the last frame is shown.

    Raises UsageError for another suffix or without the extra, GanzooError when the file cannot be written.
    """
    encode = animation_encoder(target)
    milliseconds = max(20, round(seconds * 100) * 10)
    durations = [milliseconds] * len(frames)
    durations[-1] += round(held * 1000)
    buffer = io.BytesIO()
    encode(frames, buffer, durations)
    try:
        write_atomically(target, buffer.getvalue())
    except OSError as error:
        raise GanzooError(f"cannot write {target}: {error.strerror}.", hint=hint_for(error)) from error


def animation_encoder(target: Path) -> Encoder:
    """Return what encodes the file type of a target's suffix. Raises UsageError, also without the extra of a type."""
    if target.suffix.lower() not in ANIMATIONS:
        seen = f"unknown file type {target.suffix}" if target.suffix else f"{target} has no file type"
        raise UsageError(f"{seen}.", hint="Animations are .gif, .webp or .mp4: --out samples.gif")
    if target.suffix.lower() == ".mp4":
        import_extra("av", "video")
    encoders: dict[str, Encoder] = {".gif": _gif, ".webp": _webp, ".mp4": _mp4}
    return encoders[target.suffix.lower()]


def _gif(frames: Sequence[Image.Image], buffer: io.BytesIO, durations: list[int]) -> None:
    """Encode with one palette for all frames, so that colours do not flicker."""
    if all(frame.mode == "L" for frame in frames):
        # Fewer greys halve the size of the file.
        step = 255 / (_GREYS - 1)
        reduced = [frame.point([round(round(value / step) * step) for value in range(256)]) for frame in frames]
    else:
        palette = _palette(frames)
        reduced = [frame.convert("RGB").quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    _save(reduced, buffer, "GIF", durations)


def _webp(frames: Sequence[Image.Image], buffer: io.BytesIO, durations: list[int]) -> None:
    _save([frame.convert("RGB") for frame in frames], buffer, "WEBP", durations, quality=85)


def _mp4(frames: Sequence[Image.Image], buffer: io.BytesIO, durations: list[int]) -> None:
    """Encode H.264 as all players take it: an even width and height, and frames at one rate."""
    av = import_extra("av", "video")
    width, height = (size + size % 2 for size in frames[0].size)
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(1000, durations[0]), options={"crf": "18"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame, milliseconds in zip(frames, durations, strict=True):
            padded = Image.new("RGB", (width, height), "white")
            padded.paste(frame, (0, 0))
            for _ in range(round(milliseconds / durations[0])):  # the last one may be held
                container.mux(stream.encode(av.VideoFrame.from_image(padded)))
        container.mux(stream.encode())


def _save(
    frames: Sequence[Image.Image], buffer: io.BytesIO, file_type: str, durations: list[int], **options: Any
) -> None:
    first, *rest = frames
    first.save(buffer, file_type, save_all=True, append_images=rest, duration=durations, loop=0, **options)


def _palette(frames: Sequence[Image.Image]) -> Image.Image:
    """Choose 256 colours for all frames."""
    width, height = (max(1, min(size, _PALETTE_WIDTH * size // frames[0].width)) for size in frames[0].size)
    together = Image.new("RGB", (width, height * len(frames)))
    for index, frame in enumerate(frames):
        together.paste(frame.convert("RGB").resize((width, height), Image.Resampling.NEAREST), (0, height * index))
    return together.quantize(256)


def _read(path: Path) -> Image.Image:
    try:
        return shrink_to_fit(read_picture(path))
    except OSError as error:
        raise GanzooError(f"{path} is damaged: {error.strerror}.", hint="Delete it and run animate again.") from error


def thinned(items: Sequence[Item], most: int) -> list[Item]:
    """Return at most `most` items, evenly spread, with the first and the last."""
    if len(items) <= most:
        return list(items)
    return [items[round(index * (len(items) - 1) / (most - 1))] for index in range(most)]


def _captioned(image: Image.Image, caption: str) -> Image.Image:
    """Put a line of text under a picture."""
    canvas = Canvas(image.width, _CAPTION_HEIGHT)
    canvas.text((image.width / 2, _CAPTION_HEIGHT / 2), caption, "mm")
    frame = Image.new(image.mode, (image.width, image.height + _CAPTION_HEIGHT))
    frame.paste(image, (0, 0))
    frame.paste(canvas.finish().convert(image.mode), (0, image.height))
    return frame


def shrink_to_fit(image: Image.Image) -> Image.Image:
    """Shrink a picture that is wider than MAX_WIDTH or higher than MAX_HEIGHT."""
    scale = min(MAX_WIDTH / image.width, MAX_HEIGHT / image.height)
    if scale >= 1:
        return image
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return image.resize(size, Image.Resampling.LANCZOS)
