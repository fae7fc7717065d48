"""A folder or archive of pictures as a split of a dataset."""

from __future__ import annotations

import hashlib
import json
import logging
import zlib
from collections.abc import Iterable, Sequence
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from ganzoo.errors import DatasetError, MissingDatasetError
from ganzoo.specs import ArrayData, StreamedData
from ganzoo_folder.config import FolderConfig
from ganzoo_folder.decoding import decode
from ganzoo_folder.files import HOW_TO_NAME, File, Kind, Listing, close_archive, list_files, read_bytes, read_listed
from ganzoo_folder.labels import labels_of
from ganzoo_folder.names import ARCHIVES, printable, suffix

HEAD = 1 << 16
"""Bytes of two files that are compared before all of them are."""

_log = logging.getLogger("ganzoo")

Item = tuple[str, int, int, str, int]
"""The fields of a File, and its label; -1 for no label."""


def load(root: Path, split: str, download: bool, config: FolderConfig) -> StreamedData:
    """List the pictures of a folder or archive, which are then read piece by piece: uint8 [channels, size, size].

    Logs how many files are copies of others. Raises MissingDatasetError if there are no pictures, DatasetError if they
    cannot be read, or do not have the classes of the settings.
    """
    listing = listed(root)
    try:
        items = _labelled(listing, config.classes)
        _report_copies(listing)
    finally:
        close_archive()
    usable = [size for _, size, _, problem, _ in items if not problem]
    # Large photographs take long to decode; small pieces keep all processes busy, and the bar moving.
    largest = 64 if sum(usable) > len(usable) * 500_000 else 512
    return StreamedData(
        num=len(items),
        read=partial(read, _packed(listing, items), config),
        sources=listing.sources,
        samples_per_item=2 if config.mirror else 1,
        piece=min(largest, max(16, len(items) // 32)),
    )


def listed(root: Path) -> Listing:
    """List the pictures under `root`. Raises MissingDatasetError if none of its files is one, DatasetError."""
    listing = list_files(root)
    if any(not file.problem for file in listing.files):
        return listing
    archives = [name for name in listing.others if suffix(name) in ARCHIVES]
    if listing.files:
        first = listing.files[0]
        seen = f"; {len(listing.files):,} cannot be used, such as {printable(first.name)}: {first.problem}"
    elif listing.others:
        seen = f"; it has {printable(listing.others[0])}" + (" and others" if len(listing.others) > 1 else "")
    else:
        seen = ""
    hint = f"Name the archive itself: {root / archives[0]}" if archives else HOW_TO_NAME
    raise MissingDatasetError(f"no pictures in {root}{seen}.", hint=hint)


def _labelled(listing: Listing, classes: Sequence[str]) -> list[Item]:
    """Return the files with their labels; those of other classes are left out. Raises DatasetError."""
    if not classes:
        return [(*file, -1) for file in listing.files]
    labels, index = labels_of(listing), {name: label for label, name in enumerate(classes)}
    items: list[Item] = []
    for file, name in zip(listing.files, labels.of_files, strict=True):
        if name is None:
            items.append((*file[:3], file.problem or labels.why_none, -1))
        elif name in index:
            items.append((*file, index[name]))
    empty = set(index.values()) - {label for *_, problem, label in items if not problem}
    if empty:
        found = ", ".join(labels.classes[:10]) or "none"
        raise DatasetError(
            f"{listing.root} has no pictures of the class {classes[min(empty)]!r}.",
            hint=f"Its classes: {found}{' …' if len(labels.classes) > 10 else ''}. Set dataset_config.classes.",
        )
    if labels.absent:
        _log.warning("labels.csv lists %s files that do not exist, such as %s.", len(labels.absent), labels.absent[0])
    return items


def _report_copies(listing: Listing) -> None:
    """Log how many files have the same bytes as another one. They are kept: the user may mean them."""
    by_size: dict[int, list[File]] = {}
    for file in listing.files:
        if not file.problem:
            by_size.setdefault(file.size, []).append(file)
    candidates = [file for group in by_size.values() if len(group) > 1 for file in group]
    first: dict[bytes, str] = {}
    copies, pair = 0, ("", "")
    for file in sorted(candidates, key=lambda file: file.place) if listing.kind == "tar" else candidates:
        try:
            digest = hashlib.sha256(read_listed(listing, file)).digest()
        except ValueError:
            continue  # it is skipped and listed when it is packed
        original = first.setdefault(digest, file.name)
        if original != file.name:
            copies, pair = copies + 1, (printable(file.name), printable(original))
    if copies:
        _log.warning(
            f"{copies:,} of {len(listing.files):,} pictures have the same bytes as another one, such as {pair[0]} and "
            f"{pair[1]}. They are kept."
        )


def _packed(listing: Listing, items: Iterable[Item]) -> bytes:
    """Return what `read` needs of a listing, small enough to be sent to another process with each piece."""
    document = [str(listing.root.resolve()), listing.kind, listing.time, list(items)]
    return zlib.compress(json.dumps(document).encode(), 1)


@lru_cache(maxsize=2)
def _unpacked(packed: bytes) -> tuple[str, Kind, int, list[Item]]:
    root, kind, time, items = json.loads(zlib.decompress(packed))
    return root, kind, time, items


def read(packed: bytes, config: FolderConfig, start: int, stop: int) -> ArrayData:
    """Decode the files [start, stop) of a listing, without those that cannot be used.

    With `mirror`, each picture is followed by its mirror image. Raises DatasetError if an archive has changed.
    """
    root, kind, time, items = _unpacked(packed)
    if time and _time_of(root) != time:
        raise DatasetError(f"{root} changed while it was being packed.", hint="Run the command again.")
    copies = 2 if config.mirror else 1
    samples = np.empty((copies * (stop - start), *config.sample.shape), np.uint8)
    labels: list[int] = []
    skipped: list[str] = []
    for name, size, place, problem, label in items[start:stop]:
        try:
            if problem:
                raise ValueError(problem)  # noqa: TRY301 - skipped like those that fail below
            sample = decode(read_bytes(root, kind, time, File(name, size, place)), config)
        except ValueError as error:
            skipped.append(f"{printable(name)}: {error}")
            continue
        samples[copies * len(labels)] = sample
        if config.mirror:
            samples[copies * len(labels) + 1] = sample[:, :, ::-1]
        labels.append(label)
    if stop == len(items):
        close_archive()
    return ArrayData(
        samples=samples[: copies * len(labels)],
        labels=np.repeat(np.array(labels, np.int64), copies) if config.classes else None,
        skipped=tuple(skipped),
    )


def _time_of(path: str) -> int:
    try:
        return Path(path).stat().st_mtime_ns
    except OSError:
        return 0
