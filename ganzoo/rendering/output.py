"""Samples -> files in the format that a name asks for: one picture, a folder of files, tar shards, or an array.

Folders and shards are encoded by worker processes while the next batch is generated. Everything is written under a
hidden name and moved into place at the end, so that an interrupted command leaves nothing behind.
"""

from __future__ import annotations

import math
import os
import sys
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import groupby, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, NamedTuple

import numpy as np

from ganzoo.errors import GanzooError, UsageError, hint_for
from ganzoo.rendering.picture import (
    ANIMATIONS,
    STILLS,
    Items,
    check_drawable,
    draw_items,
    item_npy,
    item_png,
    still_bytes,
    to_items,
)
from ganzoo.specs import SampleSpec
from ganzoo.system.files import check_space, contents, expanded, whole_file, whole_folder, write_atomically
from ganzoo.system.shell import quoted
from ganzoo.system.workers import ordered
from ganzoo.weights.tensors import header_bytes

if TYPE_CHECKING:
    from torch import Tensor

Shape = tuple[int, ...]

ShowProgress = Callable[[int, int], None]
"""(done, total): samples written so far, and samples in all."""


@dataclass(frozen=True)
class Target:
    """Where samples are written, and in which format."""

    path: Path
    format: Literal["picture", "stdout", "array", "folder", "shards"]
    shard_size: int | None = None
    """Samples in each shard."""


@dataclass(frozen=True)
class Written:
    """What was written."""

    path: Path
    num_files: int
    size: int
    """Bytes of all files together."""


def parse_target(name: str, shard_size: int | None = None) -> Target:
    """Choose the format by the name.

    `x.png`, `x.jpg` and `x.webp` are one picture of all samples, and so is `-`, a PNG on stdout; `x.npy` and
    `x.safetensors` hold float32 [num, *shape]; a name that ends in a slash or has no suffix, or an empty folder, gets
    one numbered file for each sample (a PNG, for tensors a .npy), or tar shards of shard_size samples. Raises
    UsageError, also for a folder that is not empty.
    """
    if name == "-":
        if shard_size is not None:
            raise UsageError("shards need a folder, not stdout.", hint="Name one: --out samples/")
        return Target(Path(name), "stdout")
    path = expanded(name)
    suffix = path.suffix.lower()
    if name.endswith(("/", "\\")) or path.is_dir() or not suffix:
        if path.exists() and not (path.is_dir() and not contents(path)):
            raise UsageError(f"{path} already exists.", hint="Choose a new or empty folder.")
        return Target(path, "folder" if shard_size is None else "shards", shard_size)
    if shard_size is not None:
        folder = quoted(f"{path}/")
        raise UsageError(f"{path} is a file, but shards need a folder.", hint=f"End it with a slash: --out {folder}")
    if suffix in STILLS:
        return Target(path, "picture")
    if suffix in ANIMATIONS:
        raise UsageError(
            f"{path} is for an animation.", hint="Add --interpolate N or --walk WHAT (`ganzoo sample --help`)."
        )
    if suffix not in _HEADERS:
        raise UsageError(
            f"unknown file type {path.suffix}.",
            hint="Use .png, .jpg, .webp, .npy or .safetensors, or a name that ends in / for a folder of PNGs.",
        )
    return Target(path, "array")


def write_samples(
    batches: Iterable[Tensor],
    num: int,
    spec: SampleSpec,
    target: Target,
    *,
    labels: Iterable[Tensor | list[str] | None] | None = None,
    columns: int | None = None,
    facts: Mapping[str, str] | None = None,
    workers: int = 1,
    progress: ShowProgress | None = None,
) -> Written:
    """Write samples while they are generated, all of them or nothing.

    Args:
        batches: num samples in all, each batch [size, *spec.shape]; only a picture holds all of them in memory, as
            bytes.
        num: number of samples.
        spec: what one sample is.
        target: where to write them, and in which format.
        labels: the classes of each batch, int64 [size], for the `.cls` members of shards, or its texts, for `.txt`;
            PNGs of single samples say them.
        columns: of a grid of images; None: about square.
        facts: what PNGs say about themselves; None for nothing. Those in shards say nothing.
        workers: folders and shards only: number of processes that encode; 1 encodes in this process.
        progress: called with the number of samples written so far, and of all samples.

    Raises GanzooError when a file cannot be written, or if an array would not fit on the disk; UsageError for a picture
    of samples that are not drawn, or of too many.
    """

    def report(done: int) -> None:
        if progress is not None:
            progress(done, num)

    path = target.path
    if target.format in ("picture", "stdout"):
        check_drawable(num, spec)  # before anything is generated
    try:
        if target.format == "folder":
            return Written(path, *_write_folder(batches, labels, num, spec, path, facts, workers, report))
        if target.shard_size is not None:
            return Written(path, *_write_shards(batches, labels, num, spec, target, workers, report))
        if target.format == "array":
            _write_array(batches, (num, *spec.shape), path, report)
            return Written(path, 1, path.stat().st_size)
        # As bytes: the samples themselves are four times as large.
        items = np.concatenate([to_items(samples, spec) for samples in batches])
        drawn = draw_items(items, spec, columns)
        if target.format == "stdout":
            return Written(path, 1, sys.stdout.buffer.write(still_bytes(drawn, ".png", facts)))
        content = still_bytes(drawn, path.suffix, facts)
        write_atomically(path, content)
        return Written(path, 1, len(content))
    except OSError as error:
        raise GanzooError(f"cannot write {path}: {error.strerror}.", hint=hint_for(error)) from error
    except BrokenProcessPool as error:
        raise GanzooError(
            "a worker process was killed, probably for lack of memory.",
            hint="Free some memory, or ask for fewer samples.",
        ) from error


# --- a folder of single samples ---


def _write_folder(
    batches: Iterable[Tensor],
    labels: Iterable[Tensor | list[str] | None] | None,
    num: int,
    spec: SampleSpec,
    path: Path,
    facts: Mapping[str, str] | None,
    workers: int,
    report: Callable[[int], None],
) -> tuple[int, int]:
    """Write a file for each of num samples, numbered from 0; return the number of files, and their size in bytes.

    Raises OSError, BrokenProcessPool.
    """
    size = done = 0
    with whole_folder(path) as folder:
        write = partial(_write_items, folder, spec, max(6, len(str(num - 1))), facts)
        with closing(ordered(write, _pieces(batches, labels, spec, num), workers)) as sizes:
            for written in sizes:
                size, done = size + sum(written), done + len(written)
                report(done)
    return num, size


def _write_items(
    folder: Path,
    spec: SampleSpec,
    digits: int,
    facts: Mapping[str, str] | None,
    first: int,
    items: Items,
    conditions: list[Any] | None,
) -> list[int]:
    """Write a few samples, numbered from `first`, as PNGs, or tensors as .npy; return the sizes in bytes."""
    if spec.kind == "tensor":
        return [
            (folder / f"{index:0{digits}d}.npy").write_bytes(item_npy(item))
            for index, item in enumerate(items, start=first)
        ]
    sizes = []
    for index, item in enumerate(items, start=first):
        own = None
        if facts is not None:
            own = {**facts, "index": str(index)}
            if conditions is not None:
                value = conditions[index - first]
                name = spec.classes[value] if spec.classes and isinstance(value, int) else str(value)
                own["text" if isinstance(value, str) else "class"] = name
        sizes.append((folder / f"{index:0{digits}d}.png").write_bytes(item_png(item, spec, own)))
    return sizes


# --- tar shards, as webdataset reads them: members that share a number are one sample ---
#
# shard-000000.tar holds 000000000.png (.npy for all but images) and, for a model with classes, 000000000.cls, the
# class's number.

_END = bytes(2 * tarfile.BLOCKSIZE)


class _Fragment(NamedTuple):
    """Consecutive members of one shard."""

    first: int
    """Number of its first sample."""
    num: int
    content: bytes


def _write_shards(
    batches: Iterable[Tensor],
    labels: Iterable[Tensor | list[str] | None] | None,
    num: int,
    spec: SampleSpec,
    target: Target,
    workers: int,
    report: Callable[[int], None],
) -> tuple[int, int]:
    """Write tar files of `target.shard_size` samples each; return the number of files, and their size in bytes.

    Raises OSError, BrokenProcessPool.
    """
    shard_size = target.shard_size or num
    num_files = size = 0
    encode = partial(_fragment, spec, max(9, len(str(num - 1))))
    pieces = _pieces(batches, labels, spec, shard_size)
    with whole_folder(target.path) as folder, closing(ordered(encode, pieces, workers)) as encoded:
        for shard, fragments in groupby(encoded, key=lambda fragment: fragment.first // shard_size):
            with (folder / f"shard-{shard:06d}.tar").open("wb") as file:
                for fragment in fragments:
                    size += file.write(fragment.content)
                    report(fragment.first + fragment.num)
                size += file.write(_END)
                file.flush()
                os.fsync(file.fileno())
            num_files += 1
    return num_files, size


def _pieces(
    batches: Iterable[Tensor], labels: Iterable[Tensor | list[str] | None] | None, spec: SampleSpec, shard_size: int
) -> Iterator[tuple[int, Items, list[Any] | None]]:
    """Yield (number of the first sample, samples, their labels or texts); no piece crosses the border of a shard."""
    first = 0
    pairs = zip(batches, repeat(None)) if labels is None else zip(batches, labels, strict=True)
    for samples, chosen in pairs:
        items = to_items(samples, spec)
        conditions: list[Any] | None = chosen if chosen is None or isinstance(chosen, list) else chosen.tolist()
        start = 0
        while start < len(items):
            stop = min(len(items), start + shard_size - (first + start) % shard_size)
            yield first + start, items[start:stop], None if conditions is None else conditions[start:stop]
            start = stop
        first += len(items)


def _fragment(spec: SampleSpec, digits: int, first: int, items: Items, conditions: list[Any] | None) -> _Fragment:
    members = []
    for offset, item in enumerate(items):
        key = f"{first + offset:0{digits}d}"
        if spec.kind == "image":
            members.append(_member(f"{key}.png", item_png(item, spec)))
        else:
            members.append(_member(f"{key}.npy", item_npy(item)))
        if conditions is not None:
            value = conditions[offset]
            members.append(_member(f"{key}.{'txt' if isinstance(value, str) else 'cls'}", str(value).encode()))
    return _Fragment(first, len(items), b"".join(members))


def _member(name: str, content: bytes) -> bytes:
    """Return a tar member without time and owner, so that equal samples give equal bytes."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    return info.tobuf(tarfile.USTAR_FORMAT) + content + bytes(-len(content) % tarfile.BLOCKSIZE)


# --- one array ---


def _write_array(batches: Iterable[Tensor], shape: Shape, path: Path, report: Callable[[int], None]) -> None:
    """Write samples as little-endian float32 [num, ...] to a `.npy` or `.safetensors` file. Raises OSError."""
    done = 0
    check_space(path, 4 * math.prod(shape))
    with whole_file(path) as file:
        _HEADERS[path.suffix.lower()](file, shape)
        for samples in batches:
            file.write(samples.float().cpu().contiguous().numpy().astype("<f4", copy=False).data)
            done += len(samples)
            report(done)


def _npy_header(file: BinaryIO, shape: Shape) -> None:
    np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})


def _safetensors_header(file: BinaryIO, shape: Shape) -> None:
    num_bytes = 4 * int(np.prod(shape, dtype=np.int64))
    file.write(header_bytes({"samples": {"dtype": "F32", "shape": shape, "data_offsets": (0, num_bytes)}}))


_HEADERS: dict[str, Callable[[BinaryIO, Shape], None]] = {".npy": _npy_header, ".safetensors": _safetensors_header}
