"""Tensors in nested tuples and dictionaries, such as the inputs of a step or of a generator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from torch import Tensor

Tree = TypeVar("Tree")


def tensors_of(tree: Any) -> list[Tensor]:
    """Return the tensors, in order; what is neither tensor, tuple nor dictionary, such as None, is left out."""
    if isinstance(tree, Tensor):
        return [tree]
    parts = tree.values() if isinstance(tree, Mapping) else tree if isinstance(tree, tuple) else ()
    return [tensor for part in parts for tensor in tensors_of(part)]


def with_tensors(tree: Tree, tensors: Iterator[Tensor]) -> Tree:
    """Return the same tree with other tensors, in the order of `tensors_of`."""

    def rebuilt(part: Any) -> Any:
        if isinstance(part, Tensor):
            return next(tensors)
        if isinstance(part, Mapping):
            return {name: rebuilt(inner) for name, inner in part.items()}
        if isinstance(part, tuple):
            parts = [rebuilt(inner) for inner in part]
            return type(part)(*parts) if hasattr(part, "_fields") else tuple(parts)
        return part

    result: Tree = rebuilt(tree)
    return result
