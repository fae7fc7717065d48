"""Which split a file or folder belongs to, by its name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

WORDS = {
    "train": frozenset({"train", "training"}),
    "val": frozenset({"val", "valid", "validation"}),
    "test": frozenset({"test", "testing"}),
}
"""Split -> words in a name that mean it."""


def split_named(name: str) -> str | None:
    """Return the split that a name contains: `train` for `MJ_train` or `train-00000-of-00018`."""
    words = set(re.split(r"[^a-z]+", name.lower()))
    return next((split for split, meaning in WORDS.items() if words & meaning), None)


def files_of(root: Path, pattern: str, split: str) -> tuple[Path, ...]:
    """Return the files near `root` of a split, by their own name or else their folder's, in order."""
    return tuple(
        path
        for path in near(root, pattern)
        if path.is_file() and split == (split_named(path.stem) or split_named(path.parent.name))
    )


def with_folders(paths: tuple[Path, ...]) -> tuple[Path, ...]:
    """Return files and their folders; the time of a folder changes when files are added."""
    return (*paths, *sorted({path.parent for path in paths}))


def near(root: Path, pattern: str) -> Iterator[Path]:
    """Yield matches of a pattern in `root` and two levels below, in order, without hidden ones."""
    for prefix in ("", "*/", "*/*/"):
        for path in sorted(root.glob(prefix + pattern)):
            if not any(part.startswith(".") for part in path.relative_to(root).parts):
                yield path
