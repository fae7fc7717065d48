"""Opening a dataset in the terminal: a bar while it is packed, and a word on what could not be read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ganzoo.cli.bar import counting_bar
from ganzoo.cli.output import out
from ganzoo.system.workers import num_cores

if TYPE_CHECKING:
    from ganzoo.data import OpenedDataset
    from ganzoo.specs import DatasetSpec

MOST_WORKERS = 61
"""Windows waits for no more processes at once."""


def open_dataset(
    spec: DatasetSpec, split: str, data_dir: Path | None, *, workers: int | None = None, again: bool = False
) -> OpenedDataset:
    """Open a split as `ganzoo.data.open_dataset` does; `workers` None: a process for each core."""
    from ganzoo import data

    def waiting() -> None:
        out.talk(f"Another process packs or fetches {spec.name} {split}; waiting for it.")

    with counting_bar(f"{spec.name} {split}") as progress:
        opened = data.open_dataset(
            spec, split, data_dir, workers=workers or num_cores(), progress=progress, waiting=waiting, force=again
        )
    if opened.skipped_file is not None:
        num = opened.num_skipped + len(opened.data.samples)  # type: ignore[union-attr]  # laws skip nothing
        where = "" if data_dir is None else f" --data-dir {data_dir}"
        out.talk(
            f"{split}: {opened.num_skipped:,} of {num:,} could not be read; see {opened.skipped_file} "
            f"(once they are mended: ganzoo data prepare {spec.name}{where} --again)"
        )
    return opened
