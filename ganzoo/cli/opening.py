"""Opening a dataset: with the settings of --set, a progress bar, and a line about what was skipped."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from ganzoo.cli.output import out
from ganzoo.cli.progress import counting_bar
from ganzoo.errors import shortened
from ganzoo.system.shell import quoted
from ganzoo.system.workers import num_cores

if TYPE_CHECKING:
    from ganzoo.data import OpenedDataset
    from ganzoo.data.settings import ConfiguredDataset
    from ganzoo.specs import DatasetSpec


def configured_dataset(name: str, assignments: list[str] | None) -> ConfiguredDataset:
    """Return a dataset with the settings of --set. Raises UnknownNameError, PluginError, SettingsError."""
    from ganzoo.config import assignments_layer
    from ganzoo.data.settings import configured
    from ganzoo.registry import datasets

    return configured(datasets.get(name), assignments_layer(assignments or ()).values, "--set")


def open_dataset(
    spec: DatasetSpec, split: str, data_dir: Path | None, *, workers: int | None = None, force: bool = False
) -> OpenedDataset:
    """Open a split as `ganzoo.data.open_dataset` does, with a bar while it is packed; `workers` None: one per core."""
    from ganzoo import data

    def waiting(who: str) -> None:
        out.talk(f"Waiting for {who}, which is downloading or packing {spec.name} {split}.")

    with counting_bar(f"{spec.name} {split}") as progress:
        opened = data.open_dataset(
            spec, split, data_dir, workers=workers or num_cores(), progress=progress, waiting=waiting, force=force
        )
    if opened.skipped_file is not None:
        num = opened.num_skipped + len(opened.data.samples)  # type: ignore[union-attr]  # only files are skipped
        where = "" if data_dir is None else f" --data-dir {quoted(data_dir)}"
        again = f" After repairing them: ganzoo data prepare {spec.name}{where} --force"
        out.talk(
            f"{split}: {opened.num_skipped:,} of {num:,} skipped ({_reasons(opened.skipped_file)}); "
            # A user's own files are watched one by one: repaired ones are read again without being asked.
            f"see {opened.skipped_file}.{'' if spec.splits[split] == 'varies' else again}"
        )
    return opened


def _reasons(skipped_file: Path) -> str:
    """Return the commonest reasons in a list of skipped items, each with its number."""
    with skipped_file.open(encoding="utf-8", errors="replace") as file:
        # A reason comes last, and may end with details of the item in parentheses.
        counts = Counter(line.strip().rpartition(": ")[2].partition(" (")[0] for line in file)
    return ", ".join(f"{shortened(reason, 60)}: {num:,}" for reason, num in counts.most_common(5))
