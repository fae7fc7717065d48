"""One hostile file, and what the program must do with it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Make = Callable[[Path], list[str]]
"""Writes the files of a case into an empty folder and returns the arguments of a command that reads them."""


@dataclass(frozen=True)
class Case:
    """One hostile file, and what the program must do with it."""

    name: str
    make: Make
    outcome: Literal["refused", "reported", "accepted", "either"] = "refused"
    """refused: one error and nothing else. reported: an error, but everything else is done. accepted: no error.
    either: refused or accepted, of random damage that no digest would show."""
    word: str = ""
    """What the error says, a regular expression; of an accepted file, what is printed."""


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files by their relative paths."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def damaged(content: bytes, seed: int) -> bytes:
    """Return a file with a few random changes: bytes set, cut out, doubled or appended, or the end missing."""
    chance, result = random.Random(seed), bytearray(content)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(max(1, len(result)))
        length = chance.choice((1, 1, 2, 8, 64))
        kind = chance.randrange(5)
        if kind == 0:
            result[place : place + length] = chance.randbytes(length)
        elif kind == 1:
            del result[place : place + length]
        elif kind == 2:
            result[place:place] = result[place : place + length]
        elif kind == 3:
            result[place : place + length] = chance.choice((b"\0", b"\xff", b"\x80", b"\x7f")) * length
        else:
            del result[place:]
    return bytes(result)


def numbered(name: str, count: int, make: Callable[[int], Case]) -> Iterator[Case]:
    """Yield the cases of several seeds."""
    for seed in range(count):
        case = make(seed)
        yield Case(f"{name}-{seed}", case.make, case.outcome, case.word)
