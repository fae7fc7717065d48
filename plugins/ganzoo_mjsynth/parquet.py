"""MJSynth as parquet, and its download: columns `image` (bytes, or a struct of bytes and path) and `label` (the word).

A file's name, or else its folder's, says which split it belongs to: `data/train-00000-of-00018.parquet`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from ganzoo.errors import DatasetError, MissingDatasetError
from ganzoo.specs import ArrayData, StreamedData
from ganzoo_mjsynth.items import Item, collect
from ganzoo_mjsynth.names import files_of, with_folders
from ganzoo_mjsynth.pages import page_sizes

REPOSITORY = "priyank-m/MJSynth_text_recognition"
CONNECT_SECONDS = 10
INSTALL = "pip install 'ganzoo[shards]'"

_BATCH, _BUFFER = 256, 1 << 20
"""Most rows decoded, and bytes read, at a time."""
MAX_PAGE = 1 << 26
"""A page that unpacks to more bytes is refused; writers aim at 1 MB."""
MAX_MEMORY = 1 << 28
"""Most bytes that the rows decoded at a time may have: each could be as large as a page, and so could each of the
thousands of rows that name one value of a dictionary page."""

Group = tuple[str, int, int, int]
"""A row group: file, index in the file, number of rows, and how many of them are decoded at a time."""


def find(root: Path, split: str) -> tuple[Path, ...]:
    """Return the files of a split, in order."""
    return files_of(root, "*.parquet", split)


def load(paths: tuple[Path, ...]) -> StreamedData:
    """Read the metadata of the files. Raises DatasetError."""
    groups: list[Group] = []
    for path in paths:
        with _opened(path) as file:
            missing = {"image", "label"} - set(file.schema_arrow.names)
            if missing:
                raise DatasetError(
                    f"{path} has no column {' or '.join(sorted(missing))}.",
                    hint="MJSynth as parquet has the columns image and label.",
                )
            metadata = file.metadata
            for index in range(file.num_row_groups):
                batch = max(1, min(_BATCH, MAX_MEMORY // _largest_page(path, metadata.row_group(index))))
                groups.append((str(path), index, metadata.row_group(index).num_rows, batch))
    num = sum(rows for _, _, rows, _ in groups)
    return StreamedData(num=num, read=partial(read, tuple(groups)), sources=with_folders(paths))


def _largest_page(path: Path, group: Any) -> int:
    """Return what the largest page of images or labels unpacks to, in bytes, at least 1. Raises DatasetError."""
    again, largest = "Download the file again.", 1
    chunks = [group.column(index) for index in range(group.num_columns)]
    try:
        with path.open("rb") as file:
            for chunk in chunks:
                if chunk.num_values and chunk.path_in_schema.partition(".")[0] in ("image", "label"):
                    start = min(chunk.data_page_offset, chunk.dictionary_page_offset or chunk.data_page_offset)
                    for size in page_sizes(file, start, chunk.total_compressed_size):
                        largest = max(largest, size)
    except (ValueError, OSError) as error:
        raise DatasetError(f"{path} is damaged: {_first_line(error)}.", hint=again) from error
    if largest > MAX_PAGE:
        raise DatasetError(f"{path} has a page of {largest:,} bytes; the limit is {MAX_PAGE:,}.", hint=again)
    return largest


def read(groups: tuple[Group, ...], start: int, stop: int) -> ArrayData:
    """Read the items [start, stop). Raises DatasetError."""
    return collect(_items(groups, start, stop), stop - start)


def _items(groups: tuple[Group, ...], start: int, stop: int) -> Iterator[Item]:
    first = 0
    for path, index, rows, batch in groups:
        if first < stop and first + rows > start:
            yield from _rows(Path(path), index, max(start - first, 0), min(stop - first, rows), batch)
        first += rows


def _rows(path: Path, group: int, start: int, stop: int, size: int) -> Iterator[Item]:
    import pyarrow as arrow

    row = 0
    with _opened(path) as file:
        try:
            for batch in file.iter_batches(size, row_groups=[group], columns=["image", "label"]):
                wanted = batch.slice(max(start - row, 0), max(0, min(stop - row, len(batch)) - max(start - row, 0)))
                columns = [wanted.column(name).to_pylist() for name in ("image", "label")]
                for place, (image, label) in enumerate(zip(*columns, strict=True)):
                    yield _item(f"{path.name}, row group {group}, row {max(start, row) + place}", image, label)
                row += len(batch)
                if row >= stop:
                    return
        except (arrow.ArrowException, OSError) as error:
            raise DatasetError(f"cannot read {path}: {_first_line(error)}.", hint="Download the file again.") from error


def _item(name: str, image: Any, label: Any) -> Item:
    content = image.get("bytes") if isinstance(image, dict) else image
    if not isinstance(content, bytes) or not isinstance(label, str):
        return Item(name, "", b"", "its label is not text" if isinstance(content, bytes) else "it has no bytes")
    return Item(name, label, content)


def _opened(path: Path) -> Any:
    try:
        import pyarrow as arrow
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise DatasetError(f"reading {path} needs the package pyarrow.", hint=INSTALL) from error
    try:
        return ParquetFile(path, buffer_size=_BUFFER, memory_map=False, pre_buffer=False)
    except (arrow.ArrowException, OSError) as error:
        raise DatasetError(
            f"{path} is not a complete parquet file: {_first_line(error)}.", hint="Download it again."
        ) from error


def download(root: Path, how_to_get: str, repository: str = REPOSITORY) -> None:
    """Download all splits from the Hugging Face Hub, with `datasets`, into parquet files. Raises MissingDatasetError.

    Incomplete files are in a hidden folder, which `near` skips.
    """
    try:
        import datasets
    except ImportError as error:
        raise MissingDatasetError(
            f"cannot download {repository}: the package datasets is not installed.", hint=f"{INSTALL}; or: {how_to_get}"
        ) from error
    try:
        _check_reachable(repository)
        work, target = root / ".download", root / "parquet"
        # `datasets` would append to what an interrupted download left.
        shutil.rmtree(work / "parquet.incomplete", ignore_errors=True)
        builder = datasets.load_dataset_builder(repository, cache_dir=str(work / "cache"))
        builder.download_and_prepare(str(work / "parquet"), file_format="parquet")
        shutil.rmtree(target, ignore_errors=True)
        (work / "parquet").replace(target)
        shutil.rmtree(work)
    except Exception as error:  # the network, the Hub and `datasets` have errors of many types
        raise MissingDatasetError(f"cannot download {repository}: {_first_line(error)}.", hint=how_to_get) from error


def _check_reachable(repository: str) -> None:
    """Raise OSError within seconds if the Hub does not answer; `datasets` would retry for minutes."""
    from urllib.request import urlopen

    if not Path(repository).is_dir():
        address = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
        with urlopen(f"{address}/api/datasets/{repository}", timeout=CONNECT_SECONDS):
            pass


def _first_line(error: Exception) -> str:
    said = str(getattr(error, "reason", error)).strip()  # urllib keeps its text in `reason`
    return (said.splitlines() or [type(error).__name__])[0].rstrip(".:")
