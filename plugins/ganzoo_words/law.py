"""The distribution of the images: word, case and style."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganzoo_words.lexicon import lexicon
from ganzoo_words.rendering import render
from ganzoo_words.styles import NUMBERS, choose_styles

_CASES = (str.lower, str.capitalize, str.upper)  # equally likely, as in MJSynth


def draw_images(num: int, generator: torch.Generator) -> Tensor:
    """Render word images on the CPU; return float32 [num, 1, 32, 128] in [-1, 1] on the generator's device."""
    numbers, seed = _draw(num, generator)
    # The seed of the noise is drawn as well, because rendering takes place on the CPU whatever device the generator is
    # on.
    images, _ = render(_words(numbers), choose_styles(numbers[:, 2:]), torch.Generator().manual_seed(seed))
    return images[:, None].to(generator.device).float().div_(127.5).sub_(1)  # 0..255 -> [-1, 1]


def draw_texts(num: int, generator: torch.Generator) -> list[str]:
    """Return the words that `draw_images` renders from the same state, and advance the generator equally."""
    numbers, _ = _draw(num, generator)
    return _words(numbers)


def _draw(num: int, generator: torch.Generator) -> tuple[NDArray[np.float64], int]:
    """Return uniform numbers [num, 2 + NUMBERS] and the seed of the noise; nothing else reads the generator."""
    # Two numbers choose word and case, the others the style.
    numbers = torch.rand(num, 2 + NUMBERS, generator=generator, device=generator.device)
    seed = torch.randint(1 << 62, (), generator=generator, device=generator.device)
    return numbers.cpu().double().numpy(), int(seed)


def _words(numbers: NDArray[np.float64]) -> list[str]:
    words = lexicon()
    return [_CASES[int(case * len(_CASES))](words[int(which * len(words))]) for which, case in numbers[:, :2].tolist()]
