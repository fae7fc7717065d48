"""Parquet files, and their download: columns `image` (bytes, or a struct of bytes and path) and `label` (the word).

A file belongs to the split that its name, or else its folder's, says: `data/train-00000-of-00018.parquet`.
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

REPOSITORY = "priyank-m/MJSynth_text_recognition"
CONNECT_SECONDS = 10
INSTALL = "pip install 'ganzoo[shards]'"

_BATCH, _BUFFER = 256, 1 << 20
"""Rows decoded, and bytes read, at a time."""

Group = tuple[str, int, int]
"""A row group: file, number in it, rows."""


def find(root: Path, split: str) -> tuple[Path, ...]:
    """Return the files of a split, in order."""
    return files_of(root, "*.parquet", split)


def load(paths: tuple[Path, ...]) -> StreamedData:
    """Read what the files say of themselves. Raises DatasetError."""
    groups: list[Group] = []
    for path in paths:
        with _opened(path) as file:
            missing = {"image", "label"} - set(file.schema_arrow.names)
            if missing:
                raise DatasetError(
                    f"{path} has no column {' or '.join(sorted(missing))}.", hint="It is not MJSynth's parquet form."
                )
            metadata = file.metadata
            groups += [(str(path), index, metadata.row_group(index).num_rows) for index in range(file.num_row_groups)]
    num = sum(rows for _, _, rows in groups)
    return StreamedData(num=num, read=partial(read, tuple(groups)), sources=with_folders(paths))


def read(groups: tuple[Group, ...], start: int, stop: int) -> ArrayData:
    """Read the items [start, stop). Raises DatasetError."""
    return collect(_items(groups, start, stop), stop - start)


def _items(groups: tuple[Group, ...], start: int, stop: int) -> Iterator[Item]:
    first = 0
    for path, index, rows in groups:
        if first < stop and first + rows > start:
            yield from _rows(Path(path), index, max(start - first, 0), min(stop - first, rows))
        first += rows


def _rows(path: Path, group: int, start: int, stop: int) -> Iterator[Item]:
    import pyarrow as arrow

    row = 0
    with _opened(path) as file:
        try:
            for batch in file.iter_batches(_BATCH, row_groups=[group], columns=["image", "label"]):
                wanted = batch.slice(max(start - row, 0), max(0, min(stop - row, len(batch)) - max(start - row, 0)))
                columns = [wanted.column(name).to_pylist() for name in ("image", "label")]
                for place, (image, label) in enumerate(zip(*columns, strict=True)):
                    yield _item(f"{path.name}, row group {group}, row {max(start, row) + place}", image, label)
                row += len(batch)
                if row >= stop:
                    return
        except (arrow.ArrowException, OSError) as error:
            raise DatasetError(f"{path} cannot be read: {_first_line(error)}.", hint="Fetch the file again.") from error


def _item(name: str, image: Any, label: Any) -> Item:
    content = image.get("bytes") if isinstance(image, dict) else image
    if not isinstance(content, bytes) or not isinstance(label, str):
        return Item(name, "", b"", "its label is no text" if isinstance(content, bytes) else "it has no bytes")
    return Item(name, label, content)


def _opened(path: Path) -> Any:
    try:
        import pyarrow as arrow
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise DatasetError(f"{path} is parquet, which needs pyarrow.", hint=INSTALL) from error
    try:
        return ParquetFile(path, buffer_size=_BUFFER, memory_map=False, pre_buffer=False)
    except (arrow.ArrowException, OSError) as error:
        raise DatasetError(f"{path} is no whole parquet file: {_first_line(error)}.", hint="Fetch it again.") from error


def download(root: Path, how_to_get: str, repository: str = REPOSITORY) -> None:
    """Fetch all splits from the Hugging Face Hub, with `datasets`, into parquet files. Raises MissingDatasetError.

    What is not whole yet is in a folder that `near` does not look into.
    """
    try:
        import datasets
    except ImportError as error:
        raise MissingDatasetError(
            f"cannot download {repository}: the package datasets is not installed.", hint=f"{INSTALL}; or: {how_to_get}"
        ) from error
    try:
        _knock(repository)
        work, target = root / ".download", root / "parquet"
        shutil.rmtree(work / "parquet.incomplete", ignore_errors=True)  # `datasets` would add to what a stop left there
        builder = datasets.load_dataset_builder(repository, cache_dir=str(work / "cache"))
        builder.download_and_prepare(str(work / "parquet"), file_format="parquet")
        shutil.rmtree(target, ignore_errors=True)
        (work / "parquet").replace(target)
        shutil.rmtree(work)
    except Exception as error:  # the network, the Hub and `datasets` each have errors of their own
        raise MissingDatasetError(f"cannot download {repository}: {_first_line(error)}.", hint=how_to_get) from error


def _knock(repository: str) -> None:
    """Find out in seconds whether anyone answers; `datasets` would try for minutes. Raises OSError."""
    from urllib.request import urlopen

    if not Path(repository).is_dir():
        address = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
        with urlopen(f"{address}/api/datasets/{repository}", timeout=CONNECT_SECONDS):
            pass


def _first_line(error: Exception) -> str:
    said = str(getattr(error, "reason", error)).strip()  # urllib keeps its words in `reason`
    return (said.splitlines() or [type(error).__name__])[0].rstrip(".:")
