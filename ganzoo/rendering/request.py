"""What is generated: how many samples, of which seeds or latents, with which labels, texts and options."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from ganzoo.errors import UsageError
from ganzoo.randomness import random_seed
from ganzoo.system.files import expanded

if TYPE_CHECKING:
    from torch import Tensor

    from ganzoo.conditions import Labels
    from ganzoo.model import GAN
    from ganzoo.weights.latents import SavedLatents

MAX_SEEDS = 10_000
"""Each seed is a pass of its own through the generator."""


class Choices(TypedDict):
    """What is chosen for all samples: arguments of `GAN.sample` by name."""

    labels: int | list[int] | None
    texts: str | Sequence[str] | None
    options: Mapping[str, Any] | None
    truncation: float | None


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to generate from a model."""

    num: int | None
    """How many; None for as many as is usual for the file."""
    seed: int
    choices: Choices
    seeds: tuple[int, ...] | None = None
    """A seed for each sample instead: the one sample of that seed alone."""
    given: SavedLatents | None = None
    """Latents to use instead of those of the seed."""
    columns: int | None = None
    """Of a grid, for one picture."""
    facts: Mapping[str, str]
    """What pictures of it say about themselves."""

    def count(self, usual: int) -> int:
        """Return the number of samples; `usual` where nothing says it."""
        if self.given is not None:
            return len(self.given.latents)
        return self.num or usual if self.seeds is None else len(self.seeds)

    def batches(self, gan: GAN, num: int) -> tuple[Iterator[Tensor], Iterable[Tensor | list[str] | None]]:
        """Return num samples batch by batch, and the classes or texts of each batch.

        Raises UsageError for choices that the model does not have.
        """
        from ganzoo.conditions import label_batches, text_batches

        spec, choices, given = gan.config.sample, self.choices, self.given
        size = gan.batch_size if self.seeds is None else 1
        labels: Labels | None = choices["labels"] if given is None else given.labels

        def conditions() -> Iterator[Tensor | list[str] | None]:
            by_text = text_batches(spec, num, choices["texts"], size)
            yield from label_batches(spec, num, labels, size) if by_text is None else by_text

        if given is not None:
            latents, options = given.latents, choices["options"]
            samples = gan.generate(latents, given.labels, texts=choices["texts"], seed=self.seed, options=options)
            return iter(samples.split(size)), conditions()
        if self.seeds is not None:
            return self._of_seeds(gan, self.seeds, conditions()), conditions()
        return gan.stream(num, seed=self.seed, **choices), conditions()

    def _of_seeds(
        self, gan: GAN, seeds: Sequence[int], conditions: Iterator[Tensor | list[str] | None]
    ) -> Iterator[Tensor]:
        options, truncation = self.choices["options"], self.choices["truncation"]
        for seed, condition in zip(seeds, conditions, strict=True):
            texts, labels = (condition, None) if isinstance(condition, list) else (None, condition)
            yield gan.sample(1, seed=seed, labels=labels, texts=texts, options=options, truncation=truncation)


def request(
    gan: GAN,
    num: int | None = None,
    *,
    seed: int | None = None,
    seeds: Sequence[int] | None = None,
    grid: tuple[int, int] | None = None,
    label: str | int | None = None,
    texts: str | Sequence[str] | None = None,
    options: Mapping[str, Any] | None = None,
    truncation: float | None = None,
    latents: Sequence[Path] = (),
    facts: Mapping[str, str] | None = None,
) -> Request:
    """Return a request, with the latents of files read, a random seed for None, and the classes of a grid's rows.

    Raises UsageError for what does not go together, or what the model does not have, and what `read_latents` raises.
    """
    if latents and (num is not None or truncation is not None or seeds is not None):
        raise UsageError(
            "given latents have their number and their size.",
            hint="Leave out the number of samples, seeds and truncation.",
        )
    if seeds is not None and (num is not None or seed is not None):
        raise UsageError("each of the seeds is one sample.", hint="Leave out the number of samples and the seed.")
    if seeds is not None and not 0 < len(seeds) <= MAX_SEEDS:
        raise UsageError(
            f"{len(seeds):,} seeds were asked for.", hint=f"Pass 1 to {MAX_SEEDS:,}, or a number of samples."
        )
    index = class_index(gan, label)
    labels: int | list[int] | None = index
    given = _read(gan, latents, index) if latents else None
    fixed = len(given.latents) if given is not None else len(seeds) if seeds is not None else num
    if grid is not None:
        num = _checked_grid(gan, grid, fixed)
        if label is None and given is None and gan.classes:
            labels = [row % len(gan.classes) for row in range(grid[0]) for _ in range(grid[1])]
    chosen = random_seed() if seed is None else seed
    asked = {
        "num": fixed,
        "grid": None if grid is None else f"{grid[0]}x{grid[1]}",
        "seed": chosen if seeds is None else None,
        "seeds": None if seeds is None else ",".join(map(str, seeds)),
        # A class that does not exist is refused where samples are generated.
        "label": gan.classes[index] if isinstance(index, int) and 0 <= index < len(gan.classes) else None,
        "texts": None if texts is None else json.dumps([texts] if isinstance(texts, str) else list(texts)),
        "options": json.dumps(dict(options), default=str) if options else None,
        "truncation": truncation,
        "latents": None if given is None else "given",
    }
    said = {key: str(value) for key, value in asked.items() if value is not None}
    return Request(
        num=num,
        seed=chosen,
        choices=Choices(labels=labels, texts=texts, options=options, truncation=truncation),
        seeds=None if seeds is None else tuple(seeds),
        given=given,
        columns=None if grid is None else grid[1],
        facts={**_origin(gan), **(facts or {}), **said},
    )


def _read(gan: GAN, files: Sequence[Path], label: int | None) -> SavedLatents:
    import torch

    from ganzoo.weights.latents import SavedLatents, read_latents

    read = [read_latents(expanded(file), gan.config) for file in files]
    labels = [saved.labels for saved in read if saved.labels is not None]
    latents = torch.cat([saved.latents for saved in read])
    if label is not None:
        return SavedLatents(latents, torch.full((len(latents),), label))
    return SavedLatents(latents, torch.cat(labels) if len(labels) == len(read) else None)


def _checked_grid(gan: GAN, grid: tuple[int, int], num: int | None) -> int:
    rows, columns = grid
    if gan.config.sample.kind != "image":
        raise UsageError("a grid is for images.", hint="Leave it out.")
    if rows < 1 or columns < 1:
        raise UsageError(f"a grid of {rows} rows and {columns} columns is empty.", hint="Ask for at least 1 of both.")
    if num is not None and num != rows * columns:
        raise UsageError(
            f"a grid of {rows} rows and {columns} columns has {rows * columns:,} samples, not {num:,}.",
            hint="Leave out the number of samples, or make the two agree.",
        )
    return rows * columns


def _origin(gan: GAN) -> dict[str, str]:
    """Return where samples come from. The folder of a run is left out: its name is the user's own business."""
    name = {"recipe": gan.config.recipe} if gan.entry is None else {"model": str(gan.entry.reference)}
    return name if gan.weights_sha256 is None else {**name, "weights_sha256": gan.weights_sha256}


def class_index(gan: GAN, label: str | int | None) -> int | None:
    """Return the number of a class that is given by name or number. Raises UsageError."""
    if label is None:
        return None
    classes = gan.config.sample.classes
    if classes is None:
        raise UsageError("this model is not class-conditional.", hint="Leave the label out.")
    if isinstance(label, str):
        if label not in classes:
            raise UsageError(f"unknown class {label!r}.", hint=f"The classes are {', '.join(classes[:20])}.")
        return classes.index(label)
    return label


def parse_seeds(text: str) -> list[int]:
    """Return the seeds of a text such as "0-7,12". Raises UsageError."""
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"([0-9]{1,18})(?:-([0-9]{1,18}))?", part.strip())
        if match is None:
            raise UsageError(f"{text!r} does not name seeds.", hint="Write --seeds 0-7 or --seeds 3,14,15")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first or last - first >= MAX_SEEDS or len(seeds) >= MAX_SEEDS:
            raise UsageError(f"{text!r} names no seeds, or too many.", hint=f"Name 1 to {MAX_SEEDS:,}: --seeds 0-7")
        seeds += range(first, last + 1)
    return seeds


def parse_grid(text: str) -> tuple[int, int]:
    """Return rows and columns of a text such as "10x8". Raises UsageError."""
    match = re.fullmatch(r"([0-9]{1,6})[x×]([0-9]{1,6})", text.strip().lower())
    if match is None:
        raise UsageError(f"{text!r} is not a grid.", hint="Write rows and columns: --grid 10x8")
    return int(match[1]), int(match[2])
