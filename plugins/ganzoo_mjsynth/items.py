"""Word images from any layout -> one piece of a split."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ganzoo.specs import TEXT_BYTES, ArrayData
from ganzoo_mjsynth.images import HEIGHT, WIDTH, decode


@dataclass(frozen=True, slots=True)
class Item:
    """One word image, as read from a layout."""

    name: str
    """Its location, for the list of skipped items."""
    text: str
    """The word."""
    image: bytes
    """A JPEG or PNG."""
    problem: str = ""
    """Why the image or the word is missing; empty if neither is."""


def collect(items: Iterable[Item], num: int) -> ArrayData:
    """Decode up to `num` items into samples uint8 [kept, 1, 32, 128] and texts; skip those that cannot be read."""
    samples = np.empty((num, 1, HEIGHT, WIDTH), np.uint8)
    texts: list[bytes] = []
    skipped: list[str] = []
    for item in items:
        try:
            text = _checked_text(item)
            decode(item.image, samples[len(texts), 0])
        except ValueError as error:
            skipped.append(f"{item.name}: {error}")
        else:
            texts.append(text)
    return ArrayData(samples=samples[: len(texts)], texts=np.array(texts, f"S{TEXT_BYTES}"), skipped=tuple(skipped))


def _checked_text(item: Item) -> bytes:
    if item.problem:
        raise ValueError(item.problem)
    text = item.text.encode()
    if not text or len(text) > TEXT_BYTES:
        raise ValueError(f"its word has {len(text)} bytes, not 1 to {TEXT_BYTES}")
    return text
