"""What samples are generated for: a class or a text for each, batch by batch and never all in memory.

Everything raises UsageError at the call, before the first batch, for labels or texts that the model does not have.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganzoo.errors import UsageError
from ganzoo.specs import SampleSpec

Labels = int | str | Sequence[int | str]
"""Classes by number or by name: one for all samples, or one for each. Arrays of numpy and tensors are taken too."""


def condition_batches(
    sample: SampleSpec,
    num: int,
    labels: Labels | None,
    texts: str | Sequence[str] | None,
    size: int,
) -> Iterator[Tensor | None]:
    """Return an iterator over the condition of each batch of a generator: labels, encoded texts, or None."""
    chosen = _chosen_texts(sample, texts)
    by_class = label_batches(sample, num, labels, size)  # refuses labels for a model of texts
    if chosen is None or sample.text is None:
        return by_class
    encoded = torch.tensor([sample.text.encode(text) for text in chosen])  # [texts, max_length]
    return (encoded[torch.arange(rows.start, rows.stop) % len(encoded)] for rows in _batches(num, size))


def class_labels(sample: SampleSpec, num: int, labels: Labels | None = None) -> Tensor | None:
    """Return the labels int64 [num] of samples, None for a model without classes.

    Args:
        sample: what one sample is; it has classes if the model is class-conditional.
        num: number of samples.
        labels: one label for all, or one for each sample, by number or name; None goes through the classes in turn.
    """
    classes = sample.classes
    if classes is None:
        if labels is not None:
            raise UsageError("this model is not class-conditional.", hint="Leave the labels out.")
        return None
    if labels is None:
        return torch.arange(num) % len(classes)
    try:
        # as_tensor accepts True and 1.5 as labels too, and `long` would silently make classes of them.
        given = torch.as_tensor(_numbers(labels, classes))
        chosen = given.expand(num) if given.ndim == 0 else given
        whole = not (chosen.is_floating_point() or chosen.is_complex() or chosen.dtype == torch.bool)
        fits = chosen.shape == (num,) and whole and bool((given >= 0).all() and (given < len(classes)).all())
    except (TypeError, ValueError, RuntimeError):  # text, None among the labels, or rows of different lengths
        fits = False
    if not fits:
        raise UsageError(
            f"labels must be {num} integers from 0 to {len(classes) - 1}, or names of classes.",
            hint=f"The classes are {', '.join(classes[:20])}.",
        )
    return chosen.long()


def _numbers(labels: Any, classes: Sequence[str]) -> Any:
    """Return labels with each name of a class replaced by its number; unknown names stay."""
    numbers = {name: number for number, name in enumerate(classes)}
    given = labels.tolist() if isinstance(labels, np.ndarray) else labels
    if isinstance(given, str):
        return numbers.get(given, given)
    if isinstance(given, list | tuple) and any(isinstance(label, str) for label in given):
        return [numbers.get(label, label) for label in given]
    return given


def label_batches(sample: SampleSpec, num: int, labels: Labels | None, size: int) -> Iterator[Tensor | None]:
    """Return an iterator over what `class_labels` returns, batch by batch."""
    classes = sample.classes
    if classes is not None and labels is None:
        return (torch.arange(rows.start, rows.stop) % len(classes) for rows in _batches(num, size))
    chosen = class_labels(sample, num, labels)
    return (None if chosen is None else chosen[rows.start : rows.stop] for rows in _batches(num, size))


def text_batches(
    sample: SampleSpec, num: int, texts: str | Sequence[str] | None, size: int
) -> Iterator[list[str]] | None:
    """Return an iterator over the text of each sample, batch by batch; None for a model without texts.

    Args:
        sample: what one sample is; it has a `TextSpec` if the model is text-conditional.
        num: number of samples.
        texts: one text, or several that the samples take in turn; None takes the examples of the `TextSpec`.
        size: of a batch.
    """
    chosen = _chosen_texts(sample, texts)
    if chosen is None:
        return None
    return ([chosen[row % len(chosen)] for row in rows] for rows in _batches(num, size))


def _batches(num: int, size: int) -> Iterator[range]:
    """Yield the rows of each batch."""
    return (range(start, min(start + size, num)) for start in range(0, num, size))


def _chosen_texts(sample: SampleSpec, texts: str | Sequence[str] | None) -> Sequence[str] | None:
    spec = sample.text
    if spec is None:
        if texts is not None:
            raise UsageError("this model is not text-conditional.", hint="Leave the texts out.")
        return None
    chosen = spec.examples if texts is None else [texts] if isinstance(texts, str) else list(texts)
    if not chosen or not all(isinstance(text, str) for text in chosen):
        raise UsageError("texts must be one text or more.", hint='Pass texts="word", or a list of texts.')
    try:
        for text in chosen:
            spec.encode(text)
    except ValueError as error:
        raise UsageError(
            f"{error}.", hint=f"Texts have at most {spec.max_length} of the characters {spec.alphabet[:100]}."
        ) from error
    return chosen
