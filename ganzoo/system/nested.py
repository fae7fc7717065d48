"""Tensors in nested tuples and dictionaries, such as the inputs of a step; torch has this, but not publicly."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from torch import Tensor

Nested = TypeVar("Nested")


def tensors_of(nested: Any) -> list[Tensor]:
    """Return the tensors, in order; other leaves, such as None and names, have none."""
    if isinstance(nested, Tensor):
        return [nested]
    parts = nested.values() if isinstance(nested, Mapping) else nested if isinstance(nested, tuple | list) else ()
    return [tensor for part in parts for tensor in tensors_of(part)]


def with_tensors(nested: Nested, tensors: Iterable[Tensor]) -> Nested:
    """Return the same structure with other tensors, in the order of `tensors_of`."""
    rest = iter(tensors)

    def rebuilt(part: Any) -> Any:
        if isinstance(part, Tensor):
            return next(rest)
        if isinstance(part, Mapping):
            return {key: rebuilt(value) for key, value in part.items()}
        if not isinstance(part, tuple | list):
            return part
        parts = map(rebuilt, part)
        return type(part)(*parts) if hasattr(part, "_fields") else tuple(parts)  # a NamedTuple takes them one by one

    found: Nested = rebuilt(nested)
    return found


def map_tensors(function: Callable[[Tensor], Tensor], nested: Nested) -> Nested:
    """Return the same structure with `function` of each tensor."""
    return with_tensors(nested, map(function, tensors_of(nested)))
