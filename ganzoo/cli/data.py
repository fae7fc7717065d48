"""`ganzoo data`, and opening a dataset with a progress bar for other commands."""

from __future__ import annotations

import contextlib
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ganzoo.cli.options import DataDir, Json
from ganzoo.cli.output import out
from ganzoo.cli.progress import counting_bar
from ganzoo.errors import GanzooError, MissingDatasetError, UnknownNameError, UsageError, hint_for, shortened
from ganzoo.system.files import expanded
from ganzoo.system.shell import quoted
from ganzoo.system.workers import num_cores

if TYPE_CHECKING:
    from torch import Tensor

    from ganzoo.data import OpenedDataset
    from ganzoo.data.settings import ConfiguredDataset
    from ganzoo.specs import DatasetSpec, SampleSpec

MAX_WORKERS = 61
"""Windows cannot wait for more processes at once."""

Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a setting; `ganzoo show DATASET -a` lists them."),
]

app = typer.Typer(help="List, prepare or look at datasets.", no_args_is_help=True)


@app.command("list")
def list_(data_dir: DataDir = None, json: Json = False) -> None:
    """List the installed datasets, and which of their splits are packed in the store.

    With --data-dir, also which of their splits are in that folder.
    """
    from ganzoo.data.location import packed_copies
    from ganzoo.registry import datasets

    rows: list[dict[str, Any]] = [
        {
            "name": name,
            "plugins": [str(origin) for origin in origins],
            "packed": sorted({copy.split for copy in packed_copies(name)}),
        }
        for name, origins in datasets.origins().items()
    ]
    if data_dir is not None:
        for row in rows:
            row["path"], row["found"] = _found(row["name"], data_dir)
    if json:
        out.json({"datasets": rows})
        return
    columns = ["name", "plugins", "packed", *(["found"] if data_dir is not None else [])]
    table = [[row["name"], " and ".join(row["plugins"]), *(", ".join(row[key]) for key in columns[2:])] for row in rows]
    out.table("", ["dataset", "plugin", *columns[2:]], table)


def _found(name: str, data_dir: Path) -> tuple[str | None, list[str]]:
    """Return the folder of a dataset under --data-dir and the splits in it; None and nothing if there are none."""
    from ganzoo.data.location import dataset_folder
    from ganzoo.data.pack import read_errors
    from ganzoo.data.settings import configured
    from ganzoo.registry import datasets

    folder, found = dataset_folder(data_dir, name), []
    try:
        spec = configured(datasets.get(name))
        for split in [split for split, num in spec.splits.items() if isinstance(num, int)]:
            with contextlib.suppress(MissingDatasetError), read_errors(spec):
                spec.load(folder, split, False)
                found.append(split)
    except GanzooError as error:
        out.error(error)  # a broken plugin, or damaged files, hide only themselves
    return str(folder) if found else None, found


@app.command()
def prepare(
    name: Annotated[str, typer.Argument(metavar="DATASET", help="Name of a dataset, such as mnist.")],
    data_dir: DataDir = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, max=MAX_WORKERS, help="Number of processes that decode images; default: one per core."),
    ] = None,
    assignments: Settings = None,
    force: Annotated[
        bool, typer.Option("--force", help="Read all files again, for example after repairing unreadable ones.")
    ] = False,
    json: Json = False,
) -> None:
    """Download a dataset (or read it from --data-dir), check it, and pack it for training.

    After an interruption the same command continues where it stopped.
    A missing split is reported; only if all are missing, that is an error.
    """
    spec = _configured(name, assignments)
    found: dict[str, OpenedDataset | MissingDatasetError] = {}
    try:
        for split in spec.splits:
            found[split] = _prepared(spec, split, data_dir, workers, force)
    except KeyboardInterrupt:
        out.talk("Stopped. What is packed so far is kept; run the same command again to continue.")
        raise typer.Exit(130) from None
    missing = [error for error in found.values() if isinstance(error, MissingDatasetError)]
    if len(missing) == len(found):
        raise missing[0]
    for error in missing:
        out.talk(str(error))
    rows = [_row(split, opened) for split, opened in found.items()]
    if json:
        settings = {"settings": dict(spec.settings)} if spec.settings else {}
        out.json({"dataset": name, **settings, "splits": rows})
    else:
        columns = ["split", "samples", "skipped", "sha256"]
        out.table(
            name, columns, [["missing" if row[column] is None else row[column] for column in columns] for row in rows]
        )


@app.command()
def show(
    name: Annotated[
        str,
        typer.Argument(metavar="DATASET|PATH", help="A dataset, such as mnist, or a folder or archive of pictures."),
    ],
    target: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="A .png or .npy file; default: the terminal.")
    ] = None,
    num: Annotated[int | None, typer.Option("--num", "-n", min=1, help="Number of samples, evenly spaced.")] = None,
    split: Annotated[str | None, typer.Option(help="Split of the dataset; default: the first.")] = None,
    classes: Annotated[bool, typer.Option("--classes", help="Of a path: show the classes of its pictures.")] = False,
    data_dir: DataDir = None,
    assignments: Settings = None,
    json: Json = False,
) -> None:
    """Show real samples of a dataset, or of your own pictures as they would be trained on.

    In the terminal, or as a file to compare generated samples with. Example: ganzoo data show photos/ --set size=64
    """
    spec, data_dir, notes = _shown(name, data_dir, classes, assignments)
    chosen = split or next(iter(spec.splits))
    if chosen not in spec.splits:
        raise UnknownNameError("split", chosen, spec.splits)
    if target is not None and target.suffix.lower() not in (".png", ".npy"):
        raise UsageError(f"{target} is not a .png file or a .npy file.", hint="Name one: --out real.png")
    if target is None and (json or not sys.stdout.isatty()):
        fault = "--json needs a file to describe" if json else "output is not a terminal"
        raise UsageError(f"{fault}.", hint="Save to a file with --out real.png")

    from ganzoo.rendering import check_drawable, save_array, save_picture

    drawn = target is None or target.suffix.lower() == ".png"
    if drawn:
        check_drawable(num or 1, spec.sample)
    for note in notes:
        out.talk(note)
    samples, labels = _real_samples(open_dataset(spec, chosen, data_dir), num or (64 if target else 32))
    if target is None:
        _show_samples(samples, labels, spec.sample)
        return
    path = expanded(str(target))
    try:
        if drawn:
            save_picture(samples, spec.sample, path)
        else:
            save_array(samples, path)
    except OSError as error:
        raise GanzooError(f"cannot write {target}: {error.strerror}.", hint=hint_for(error)) from error
    if json:
        facts = {"dataset": spec.name, "split": chosen, "num": len(samples), "labels": labels or []}
        out.json({"path": str(target), **facts})
    else:
        out.line(target)


def _shown(
    name: str, data_dir: Path | None, classes: bool, assignments: list[str] | None
) -> tuple[ConfiguredDataset, Path | None, Sequence[str]]:
    """Return the dataset to show, its folder, and what to say first; a path is one of the dataset `folder`.

    Its size, colours and classes are those that `ganzoo train PATH` chooses, unless --set changes them.
    """
    from ganzoo.config import assignments_layer
    from ganzoo.data.settings import configured
    from ganzoo.registry import datasets

    path = expanded(name)
    if name in datasets or not (path.exists() or os.sep in name or "/" in name):
        if classes:
            raise UsageError("--classes is for a path; a dataset has its own.", hint="Leave it out.")
        return _configured(name, assignments), data_dir, ()
    if data_dir is not None:
        raise UsageError(f"{name} is a path already.", hint="Leave --data-dir out.")
    spec, given = datasets.get("folder"), dict(assignments_layer(assignments or ()).values)
    assert spec.suggest is not None
    found = spec.suggest(path, None, classes)
    prefix = "dataset_config."
    chosen = {key.removeprefix(prefix): value for key, value in found.settings.items() if key.startswith(prefix)}
    return configured(spec, {**chosen, **given}, "--set"), path, found.notes


def _show_samples(samples: Tensor, labels: list[str] | None, sample: SampleSpec) -> None:
    """Draw samples in the terminal, with their classes below, row by row."""
    from ganzoo.cli.terminal import draw
    from ganzoo.rendering import TerminalPicture, for_terminal, image_grid, picture

    console = out.console()
    width, lines = min(console.width, 120), max(4, console.height - 4)  # the prompt and what is said below
    if sample.kind != "image":
        draw(console, TerminalPicture(for_terminal(picture(samples, sample), sample), width, lines))
        return
    columns = min(len(samples), 8)
    draw(console, TerminalPicture(image_grid(samples, columns), width, lines))
    for start in range(0, len(samples) if labels else 0, columns):
        assert labels is not None
        out.talk(", ".join(labels[start : start + columns]))


def _real_samples(opened: OpenedDataset, num: int) -> tuple[Tensor, list[str] | None]:
    """Return samples of a split in the range that nets see, and their classes or texts, None where it has none.

    They are evenly spaced, or drawn with seed 0 from an unlimited split.
    """
    import numpy as np
    import torch

    from ganzoo.data import to_float
    from ganzoo.randomness import generator
    from ganzoo.specs import SyntheticData

    data, classes = opened.data, opened.spec.sample.classes
    if isinstance(data, SyntheticData):
        labels = None if data.draw_labels is None else data.draw_labels(num, generator(0, "real")).tolist()
        texts = None if data.draw_texts is None else data.draw_texts(num, generator(0, "real"))
        samples = data.draw(num, generator(0, "real"))
    else:
        total = len(data.samples)
        rows = np.linspace(0, total - 1, min(num, total)).round().astype(np.int64)
        labels = None if data.labels is None else data.labels[rows].tolist()
        texts = None if data.texts is None else [text.decode() for text in data.texts[rows].tolist()]
        samples = to_float(torch.from_numpy(np.array(data.samples[rows])))
    return samples, texts if labels is None else [classes[label] if classes else str(label) for label in labels]


def _configured(name: str, assignments: list[str] | None) -> ConfiguredDataset:
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


def _prepared(
    spec: DatasetSpec, split: str, data_dir: Path | None, workers: int | None, force: bool
) -> OpenedDataset | MissingDatasetError:
    from ganzoo.specs import ArrayData

    try:
        opened = open_dataset(spec, split, data_dir, workers=workers, force=force)
    except MissingDatasetError as error:
        return error
    official = spec.splits[split]
    if isinstance(opened.data, ArrayData) and isinstance(official, int):
        num = len(opened.data.samples) + opened.num_skipped
        if num != official:
            out.talk(f"{split}: {num:,} of the official {official:,}")
    return opened


def _row(split: str, opened: OpenedDataset | MissingDatasetError) -> dict[str, Any]:
    from ganzoo.specs import ArrayData

    if isinstance(opened, MissingDatasetError):
        return {"split": split, "samples": None, "skipped": None, "sha256": None}
    num = len(opened.data.samples) if isinstance(opened.data, ArrayData) else "unlimited"
    return {"split": split, "samples": num, "skipped": opened.num_skipped, "sha256": opened.digest}
