"""`ganzoo data show`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganzoo.cli.opening import configured_dataset, open_dataset
from ganzoo.cli.options import DataDir, DatasetSettings, Json
from ganzoo.cli.output import out
from ganzoo.errors import GanzooError, UnknownNameError, UsageError, hint_for
from ganzoo.system.files import expanded

if TYPE_CHECKING:
    from torch import Tensor

    from ganzoo.data import OpenedDataset
    from ganzoo.data.settings import ConfiguredDataset
    from ganzoo.specs import SampleSpec


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
    assignments: DatasetSettings = None,
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
    from ganzoo.targets import suggestion

    path = expanded(name)
    if name in datasets or not (path.exists() or os.sep in name or "/" in name):
        if classes:
            raise UsageError("--classes is for a path; a dataset has its own.", hint="Leave it out.")
        return configured_dataset(name, assignments), data_dir, ()
    if data_dir is not None:
        raise UsageError(f"{name} is a path already.", hint="Leave --data-dir out.")
    spec, found = suggestion(path, None, classes)
    given = assignments_layer(assignments or ()).values
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
