"""An update as one flat list of tensor operations, without modules and without the search for gradients."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils import _pytree as pytree

from ganzoo.training.adam import adam_by_formula
from ganzoo.training.feed import Feed
from ganzoo.training.learner import Learner
from ganzoo.training.step import update

Update = Callable[[Feed], None]
"""Does to a learner what `update` does, with feeds of one shape."""


def traced(learner: Learner, example: Feed) -> Update:
    """Return the operations of an update, to be called one after the other: the same ones, so the same numbers.

    Nothing is computed here. Raises whatever torch raises for an update that depends on values, or that cannot be
    followed.
    """
    graph = _trace(learner, example, decompose=False)
    tensors = _tensors(learner)

    @torch.inference_mode()
    def replay(feed: Feed) -> None:
        graph(*tensors, *_leaves(feed))

    return replay


def compiled(learner: Learner, example: Feed) -> Update:
    """Return an update whose operations were fused into larger ones, which round otherwise.

    Raises whatever torch raises, also when there is no compiler.
    """
    from torch import _inductor
    from torch._inductor import config

    graph = _trace(learner, example, decompose=True)
    tensors = _tensors(learner)
    # Dropout reads the same generators as without compilation, so that a checkpoint has all there is to know.
    with torch.no_grad(), config.patch(fallback_random=True):
        run = _inductor.compile(graph, [tensor.detach().clone() for tensor in (*tensors, *_leaves(example))])

    @torch.no_grad()
    def replay(feed: Feed) -> None:
        run(*tensors, *_leaves(feed))

    return replay


def _trace(learner: Learner, example: Feed, *, decompose: bool) -> GraphModule:
    """Return the operations of an update; its inputs are the learner's tensors, then the feed's.

    What an update would leave behind outside of these tensors stays in a copy. Raises RuntimeError when it keeps
    anything there that the next update needs: a recorded one would not go on with it.
    """
    learner = deepcopy(learner)
    graph, again = (_follow(learner, example, decompose=decompose) for _ in range(2))
    if graph.code != again.code:
        raise RuntimeError("a net computes something else in each step; numbers that change belong into a buffer")
    return graph


def _follow(learner: Learner, example: Feed, *, decompose: bool) -> GraphModule:
    """Follow an update with tensors that have shapes and no contents."""
    names = [f"learner.{name}" for name in _named(learner)]
    leaves, form = pytree.tree_flatten(example)
    step = _Step(learner)

    def flat(*tensors: Tensor) -> None:
        rest = iter(tensors[len(names) :])
        feed = pytree.tree_unflatten([next(rest) if isinstance(leaf, Tensor) else leaf for leaf in leaves], form)
        swapped = dict(zip(names, tensors, strict=False))
        torch.func.functional_call(step, swapped, (feed,))
        for name, tensor in zip(names, tensors, strict=False):
            if swapped[name] is not tensor:
                raise RuntimeError(f"{name.removeprefix('learner.')} is replaced instead of being changed in place")

    table = {torch.ops.aten._fused_adam_.tensor_lr: adam_by_formula} if decompose else None
    with torch.enable_grad():
        return make_fx(flat, table, tracing_mode="fake")(*_tensors(learner), *_leaves(example))


class _Step(nn.Module):
    """An update as a module, so that all tensors of the learner can be swapped at once."""

    def __init__(self, learner: Learner) -> None:
        super().__init__()
        self.learner = learner

    def forward(self, feed: Feed) -> None:
        update(self.learner, feed)


def _named(learner: Learner) -> dict[str, Tensor]:
    return {**dict(learner.named_parameters()), **dict(learner.named_buffers())}


def _tensors(learner: Learner) -> list[Tensor]:
    return list(_named(learner).values())


def _leaves(feed: Feed) -> list[Tensor]:
    return [leaf for leaf in pytree.tree_leaves(feed) if isinstance(leaf, Tensor)]
