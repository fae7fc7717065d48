"""Write word images that `words` renders, in MJSynth's official layout: `python make_mjsynth_fixture.py FOLDER`.

MJSynth states no licence, so the tests use none of its images. What is here is the official form: colour JPEGs
31 pixels high, named <number>_<word>_<line of the lexicon, from 0>.jpg, in folders two levels deep; an annotation file
for each split, whose lines are the image's path and the lexicon's line; the lexicon, in lower case.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from ganzoo_words.lexicon import lexicon
from ganzoo_words.rendering import render
from ganzoo_words.styles import NUMBERS, choose_styles

SPLITS = {"train": 24, "val": 8, "test": 8}
FIRST_FOLDER = {"train": 1, "val": 2697, "test": 3000}  # splits lie in folders of their own, as in MJSynth
PER_FOLDER = 6


def write(folder: Path, splits: Mapping[str, int] = SPLITS, seed: int = 0) -> list[str]:
    """Write so many images of each split under `folder`, and return their texts in the order of the annotations."""
    numbers = np.random.default_rng(seed).random((sum(splits.values()), NUMBERS + 3))
    line = np.floor(numbers[:, 0] * len(lexicon())).astype(int)
    used = sorted({lexicon()[index] for index in line})
    case = (str.lower, str.capitalize, str.upper)
    words = [case[int(3 * number)](lexicon()[index]) for index, number in zip(line, numbers[:, 1], strict=True)]
    styles = choose_styles(numbers[:, 3:])
    styles = dataclasses.replace(styles, compression=np.zeros(len(words)))  # left to the real JPEG
    images, widths = render(words, styles, torch.Generator().manual_seed(seed), width=512)

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "lexicon.txt").write_text("".join(f"{word}\n" for word in used))
    index = 0
    for split, num in splits.items():
        lines = []
        for position in range(num):
            word, hue = words[index], numbers[index, 2]
            lexid = used.index(word.lower())
            part, subpart = FIRST_FOLDER[split], 1 + position // PER_FOLDER
            path = f"./{part}/{subpart}/{position % PER_FOLDER + 1}_{word}_{lexid}.jpg"
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            grey = Image.fromarray(images[index, :, : int(widths[index])].numpy())
            low = grey.resize((max(1, round(grey.width * 31 / 32)), 31), Image.Resampling.BICUBIC)
            # Dark and light parts a little coloured, and as bright as they were.
            tint = np.rint(20 * np.cos(2 * np.pi * (hue + np.arange(3) / 3)))
            colours = [tuple(int(value) for value in np.clip(end + tint, 0, 255)) for end in (0, 255)]
            ImageOps.colorize(low, *colours).save(folder / path, quality=85)
            lines.append(f"{path} {lexid}\n")
            index += 1
        (folder / f"annotation_{split}.txt").write_text("".join(lines))
    return words


if __name__ == "__main__":
    write(Path(sys.argv[1]))
