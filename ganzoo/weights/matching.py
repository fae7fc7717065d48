"""Which tensors of another program's checkpoint are which of a generator."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganzoo.errors import UsageError, WeightsFormatError
from ganzoo.system.shell import quoted

MAX_DEPTH = 16
"""Levels of names, a.b.c, that are looked at."""

MAX_KEY = 200
"""A longer key is nobody's name of a net."""

COUNTER = "num_batches_tracked"
"""A tensor of batch normalisation that files from before PyTorch 0.4.1 lack."""

StateDict = Mapping[str, Tensor]
Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Match:
    """A generator's tensors inside a file."""

    key: str
    """Dotted key of the state dict that holds them; empty for the file itself."""
    prefix: str
    """What their names begin with."""
    tensors: StateDict
    """That state dict; tensors of other nets may be in it too."""
    names: Mapping[str, str]
    """Name in that state dict -> name in the generator."""
    by_order: bool
    """Whether names tell nothing, so that the order of the layers and all shapes decided."""


def find_generator(content: Any, ours: StateDict, path: Path, key: str | None, prefix: str) -> Match:
    """Return where the tensors of a generator are in the content of a file.

    Args:
        content: nested dictionaries and lists, with state dicts somewhere in them.
        ours: the state dict of the generator; only its names and shapes are used.
        path: the file, for messages.
        key: dotted key of the part to look at; None for all of them.
        prefix: what the names of the tensors begin with; empty to find that out.

    A state dict, or those of its tensors that share a prefix, fits when all names are the generator's, apart from what
    comes before them, and all shapes agree. Where none does, one fits whose shapes agree in the order of the layers.
    Raises UsageError, WeightsFormatError when none fits, or several do.
    """
    parts = {
        where: {name: tensor for name, tensor in part.items() if name.startswith(prefix)}
        for where, part in _state_dicts(content if key is None else _at(content, key, path), key or "")
    }
    if not parts:
        raise UsageError(
            f"{path} does not hold a state dict there.", hint=f"Name one with --key; it has: {_keys(content)}."
        )
    expected = {name: tuple(tensor.shape) for name, tensor in ours.items()}
    matches = [match for where, part in parts.items() for match in _matches(where, part, expected)]
    found = [match for match in matches if not match.by_order] or matches
    if len(found) > 1:
        choices = " or ".join(_options(match.key, match.prefix or prefix) for match in found[:6])
        raise UsageError(f"{path} holds {len(found)} state dicts that fit.", hint=f"Choose one: {choices}")
    if not found:
        raise WeightsFormatError(
            f"{path} does not fit: {_mismatch(parts, expected)}.",
            hint="Choose the recipe, or the architecture and its config, that the file was trained with.",
        )
    return found[0]


def _options(key: str, prefix: str) -> str:
    options = {"--key": key, "--prefix": prefix}
    return " ".join(f"{option} {quoted(value)}" for option, value in options.items() if value)


# --- state dicts in nested content ---


def _state_dicts(content: Any, key: str) -> Iterator[tuple[str, StateDict]]:
    """Yield every state dict in nested dictionaries and lists, with its dotted key."""
    waiting, seen = deque([(key, content)]), set()
    while waiting:
        key, part = waiting.popleft()
        # A pickled dictionary may contain itself, or others many times.
        if id(part) in seen or len(key) > MAX_KEY:
            continue
        seen.add(id(part))
        if _is_state_dict(part):
            yield key, part
            continue
        items = part.items() if isinstance(part, Mapping) else enumerate(part if isinstance(part, list | tuple) else ())
        for name, inner in items:
            if isinstance(inner, Mapping | list | tuple):
                waiting.append((f"{key}.{name}" if key else str(name), inner))


def _is_state_dict(content: Any) -> bool:
    return (
        isinstance(content, Mapping)
        and bool(content)
        and all(
            isinstance(name, str) and isinstance(value, Tensor) and value.layout == torch.strided
            for name, value in content.items()
        )
    )


def _at(content: Any, key: str, path: Path) -> Any:
    """Return the part of nested content under a dotted key. Raises UsageError."""
    for part in key.split("."):
        inner = dict(enumerate(content)) if isinstance(content, list | tuple) else content
        named = {str(name): value for name, value in inner.items()} if isinstance(inner, Mapping) else {}
        if part not in named:
            raise UsageError(f"{path} has no {key!r}.", hint=f"It has: {_keys(content)}.")
        content = named[part]
    return content


def _keys(content: Any) -> str:
    if isinstance(content, Mapping):
        return ", ".join(str(key)[:100] for key in list(content)[:12])
    return type(content).__name__


# --- names and shapes ---


def _matches(key: str, tensors: StateDict, ours: Shapes) -> Iterator[Match]:
    """Yield every way in which the tensors under one prefix are the generator's, each set of them once."""
    theirs = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    ours = _without_counters(theirs, ours)
    found: dict[tuple[str, ...], Match] = {}
    for prefix, group in _groups(theirs, len(ours)).items():
        # Beside the generator's own names, those of other nets have a prefix of their own: a bare one is a part of the
        # net that the architecture lacks.
        names, by_order = _paired(group, prefix, ours)
        if len(group) < len(theirs) and names.keys() == set(names.values()):
            continue
        same = all(theirs[their] == ours[our] for their, our in names.items())
        # Without names, `weight` and `bias` have to agree at least: their shapes alone may.
        if same and not (by_order and any(_kind(their) != _kind(our) for their, our in names.items())):
            match = Match(key, prefix, tensors, names, by_order)
            if tuple(group) not in found or found[tuple(group)].by_order > by_order:
                found[tuple(group)] = match
    yield from found.values()


def _without_counters(theirs: Shapes, ours: Shapes) -> Shapes:
    has_counters = any(_kind(name) == COUNTER for name in theirs)
    return ours if has_counters else {name: shape for name, shape in ours.items() if _kind(name) != COUNTER}


def _groups(theirs: Shapes, size: int) -> dict[str, list[str]]:
    """Return the names under each prefix that exactly this many share; the empty prefix stands for all names."""
    groups = defaultdict(list)
    for name in theirs:
        end = 0
        for _ in range(MAX_DEPTH):
            groups[name[:end]].append(name)
            end = name.find(".", end) + 1
            if not end:
                break
    return {prefix: names for prefix, names in groups.items() if len(names) == size}


def _paired(group: list[str], prefix: str, ours: Shapes) -> tuple[dict[str, str], bool]:
    """Return names of the file -> names of the generator, and whether their order had to decide."""
    for leading in _leading(list(ours)):
        named = {prefix + our.removeprefix(leading): our for our in ours}
        if named.keys() == set(group):
            return named, False
    # The order of a state dict is that of the layers.
    return dict(zip(group, ours, strict=True)), True


def _leading(names: list[str]) -> Iterator[str]:
    """Yield "", "a.", "a.b.", …: the prefixes that all names share."""
    end = 0
    while all(name.startswith(names[0][:end]) for name in names):
        yield names[0][:end]
        end = names[0].find(".", end) + 1
        if not end:
            return


def _kind(name: str) -> str:
    return name.rpartition(".")[2]


def _mismatch(parts: Mapping[str, StateDict], ours: Shapes) -> str:
    """Say why nothing fits: the numbers of tensors, and the first one that differs where a number is right."""
    counts = Counter(f"{key or name.partition('.')[0]:.100}." for key, part in parts.items() for name in part)
    reasons = []
    if counts.total() != len(ours):
        listed = ", ".join(f"{num} under {name}" for name, num in counts.most_common(4)) or "none with that prefix"
        reasons.append(f"the generator has {len(ours)} tensors, the file {counts.total()} ({listed})")
    differences = (difference for part in parts.values() for difference in _differences(part, ours))
    reasons += list(islice(differences, 1))
    return "; ".join(reasons)


def _differences(part: StateDict, ours: Shapes) -> Iterator[str]:
    """Describe the first difference of each group of tensors that has as many as the generator."""
    theirs = {name: tuple(tensor.shape) for name, tensor in part.items()}
    ours = _without_counters(theirs, ours)
    for prefix, group in _groups(theirs, len(ours)).items():
        names, by_order = _paired(group, prefix, ours)
        different = [(their, our) for their, our in names.items() if theirs[their] != ours[our]]
        for their, our in different[:1]:
            yield f"it has {their:.100} {list(theirs[their])} where {our} {list(ours[our])} is expected"
        if by_order and not different:
            yield "the shapes agree, but not the kinds of tensors by their names"
