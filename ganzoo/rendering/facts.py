"""What a picture says about itself: model, seed, labels and version, as text chunks of its PNG."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Mapping
from pathlib import Path

from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from ganzoo.errors import GanzooError, first_sentence
from ganzoo.system.files import read_regular
from ganzoo.system.shell import quoted
from ganzoo.version import __version__

MAX_BYTES = 1 << 27
"""A larger file is not a picture of ours."""
MAX_TEXT = 2000
"""Characters of the longest value; the rest of a longer one, such as many texts, is cut off."""

_PREFIX = "ganzoo."
_OPTIONS = ("num", "grid", "step", "seed", "seeds", "label", "truncation", "walk")
"""Facts that are options of `ganzoo sample`."""


def png_text(facts: Mapping[str, str]) -> PngInfo:
    """Return the text chunks for facts; the version is added to them."""
    info = PngInfo()
    info.add_text("Software", f"ganzoo {__version__}")
    for key, value in facts.items():
        info.add_text(_PREFIX + key, value[:MAX_TEXT])
    return info


def read_facts(path: Path) -> dict[str, str]:
    """Return what a PNG says about itself; empty if it is not one of ours.

    What it says is whatever its last editor wrote. Raises OSError, and GanzooError for a file that is not a PNG.
    """
    content = io.BytesIO(read_regular(path, MAX_BYTES))
    try:
        with warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning):
            # Not its `text`, which decodes the pixels to reach chunks behind them. Ours are in front.
            info = Image.open(content, formats=("PNG",)).info
    except Exception as error:  # damaged pictures make Pillow raise almost anything
        unknown = isinstance(error, UnidentifiedImageError)  # its message is of the memory that was read
        raise GanzooError(
            f"{path} is not a {'PNG' if unknown else f'readable PNG: {first_sentence(error)}'}.",
            hint="Only the PNGs that ganzoo writes say where they are from.",
        ) from error
    texts = {key: value[:MAX_TEXT] for key, value in info.items() if isinstance(key, str) and isinstance(value, str)}
    facts = {key.removeprefix(_PREFIX): value for key, value in texts.items() if key.startswith(_PREFIX)}
    if facts and "Software" in texts:
        facts["version"] = texts["Software"].removeprefix("ganzoo ")
    return facts


def command(facts: Mapping[str, str]) -> str | None:
    """Return the command that draws the samples of a picture again; None where its facts do not say all of it."""
    if "model" not in facts or not {"seed", "seeds"} & facts.keys() or "latents" in facts:
        return None
    words = ["ganzoo", "sample", quoted(facts["model"])]
    for key in _OPTIONS:
        # A grid states the number of its samples.
        if key in facts and not (key == "num" and ("grid" in facts or "seeds" in facts)):
            words += [f"--{key}", quoted(facts[key])]
    try:
        texts, options = json.loads(facts.get("texts", "[]")), json.loads(facts.get("options", "{}"))
        words += [word for text in texts for word in ("--text", quoted(str(text)))]
        words += [word for key, value in options.items() for word in ("--set", quoted(f"{key}={json.dumps(value)}"))]
    except (ValueError, RecursionError, AttributeError, TypeError):  # cut off, or written by somebody else
        return None
    return " ".join(words)
