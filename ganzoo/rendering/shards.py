"""Samples -> tar shards as webdataset reads them: members that share a number are one sample.

`shard-000000.tar` holds `000000000.png` (curves: `.npy`), and `000000000.cls`, its class as a number, of a model with
classes.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import partial
from itertools import groupby, repeat
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ganzoo.rendering.items import Items, item_npy, item_png, to_items
from ganzoo.specs import SampleSpec
from ganzoo.system.files import whole_file, whole_folder
from ganzoo.system.workers import ordered

if TYPE_CHECKING:
    from torch import Tensor

_END = bytes(2 * tarfile.BLOCKSIZE)


class _Fragment(NamedTuple):
    """Members of one shard that follow each other."""

    first: int
    """Number of its first sample."""
    num: int
    content: bytes


def write_shards(
    batches: Iterable[Tensor],
    labels: Iterable[Tensor | None] | None,
    num: int,
    spec: SampleSpec,
    path: Path,
    shard_size: int,
    workers: int,
    report: Callable[[int], None],
) -> tuple[int, int]:
    """Write tar files of shard_size samples each, and return how many files, and bytes, they are.

    Raises OSError, BrokenProcessPool.
    """
    num_files = num_bytes = 0
    digits = max(9, len(str(num - 1)))
    with (
        whole_folder(path) as folder,
        closing(
            ordered(partial(_fragment, spec, digits), _pieces(batches, labels, spec, shard_size), workers)
        ) as parts,
    ):
        for shard, fragments in groupby(parts, key=lambda fragment: fragment.first // shard_size):
            with whole_file(folder / f"shard-{shard:06d}.tar") as file:
                for fragment in fragments:
                    num_bytes += file.write(fragment.content)
                    report(fragment.first + fragment.num)
                num_bytes += file.write(_END)
            num_files += 1
    return num_files, num_bytes


def _pieces(
    batches: Iterable[Tensor], labels: Iterable[Tensor | None] | None, spec: SampleSpec, shard_size: int
) -> Iterator[tuple[int, Items, list[int] | None]]:
    """Yield the number of the first sample, samples, and their labels, none across the border of a shard."""
    first = 0
    pairs = zip(batches, repeat(None)) if labels is None else zip(batches, labels, strict=True)
    for samples, chosen in pairs:
        items, classes = to_items(samples, spec), None if chosen is None else chosen.tolist()
        start = 0
        while start < len(items):
            stop = min(len(items), start + shard_size - (first + start) % shard_size)
            yield first + start, items[start:stop], None if classes is None else classes[start:stop]
            start = stop
        first += len(items)


def _fragment(spec: SampleSpec, digits: int, first: int, items: Items, classes: list[int] | None) -> _Fragment:
    members = []
    for offset, item in enumerate(items):
        key = f"{first + offset:0{digits}d}"
        if spec.kind == "image":
            members.append(_member(f"{key}.png", item_png(item, spec)))
        else:
            members.append(_member(f"{key}.npy", item_npy(item)))
        if classes is not None:
            members.append(_member(f"{key}.cls", str(classes[offset]).encode()))
    return _Fragment(first, len(items), b"".join(members))


def _member(name: str, content: bytes) -> bytes:
    """Return a tar member: the same bytes whenever and by whomever it is made."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    return info.tobuf(tarfile.USTAR_FORMAT) + content + bytes(-len(content) % tarfile.BLOCKSIZE)
