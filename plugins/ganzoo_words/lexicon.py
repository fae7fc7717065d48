"""The word list: common English words in lower case, sorted, compiled for ganzoo."""

from __future__ import annotations

from functools import cache
from importlib import resources


@cache
def lexicon() -> tuple[str, ...]:
    """Return the words of `words.txt`."""
    return tuple(resources.files(__package__).joinpath("words.txt").read_text(encoding="ascii").split())


def vocabulary() -> frozenset[str]:
    """Return the words as a set."""
    return frozenset(lexicon())
