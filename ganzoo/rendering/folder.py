"""Samples -> a folder of single pictures, drawn and written by other processes while the next ones are generated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ganzoo.rendering.items import Items, item_png, to_items
from ganzoo.specs import SampleSpec
from ganzoo.system.files import whole_folder
from ganzoo.system.workers import ordered

if TYPE_CHECKING:
    from torch import Tensor


def write_folder(
    batches: Iterable[Tensor], num: int, spec: SampleSpec, path: Path, workers: int, report: Callable[[int], None]
) -> tuple[int, int]:
    """Write a PNG for each of num samples, numbered from 0, and return how many files, and bytes, they are.

    Raises OSError, UsageError for samples that cannot be drawn, BrokenProcessPool.
    """
    num_bytes = done = 0
    with whole_folder(path) as folder:
        draw = partial(_write_piece, folder, spec, max(6, len(str(num - 1))))
        with closing(ordered(draw, _pieces(batches, spec), workers)) as pieces:
            for written in pieces:
                num_bytes, done = num_bytes + sum(written), done + len(written)
                report(done)
    return num, num_bytes


def _pieces(batches: Iterable[Tensor], spec: SampleSpec) -> Iterator[tuple[int, Items]]:
    first = 0
    for samples in batches:
        yield first, to_items(samples, spec)
        first += len(samples)


def _write_piece(folder: Path, spec: SampleSpec, digits: int, first: int, items: Items) -> list[int]:
    """Write the pictures of a few samples, the first of which has this number; return their sizes in bytes."""
    return [
        (folder / f"{index:0{digits}d}.png").write_bytes(item_png(item, spec))
        for index, item in enumerate(items, start=first)
    ]
