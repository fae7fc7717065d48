"""Nested tuples and dictionaries of tensors."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ganzoo.system.nested import map_tensors, tensors_of, with_tensors


class Inner(NamedTuple):
    first: Tensor
    none: None
    noise: dict[str, Tensor]


def example(start: int) -> tuple[Inner, tuple[Tensor, ...], None]:
    tensors = [torch.tensor(number) for number in range(start, start + 4)]
    return Inner(tensors[0], None, {"b": tensors[1], "a": tensors[2]}), (tensors[3],), None


def test_tensors_come_in_order_and_are_put_back() -> None:
    assert [int(tensor) for tensor in tensors_of(example(0))] == [0, 1, 2, 3]
    assert with_tensors(example(0), tensors_of(example(4))) == example(4)
    inner, rest, none = map_tensors(lambda tensor: tensor + 4, example(0))
    assert (inner, rest, none) == example(4)
    assert type(inner) is Inner
    assert list(inner.noise) == ["b", "a"]
