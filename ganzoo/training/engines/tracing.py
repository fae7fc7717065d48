"""An update as one flat list of tensor operations, without modules and without the search for gradients."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils import _pytree as pytree

from ganzoo.training.engines.fused_adam import adam_by_formula
from ganzoo.training.inputs import StepInputs
from ganzoo.training.networks import Networks
from ganzoo.training.step import update

Update = Callable[[StepInputs], None]
"""Does to a learner what `update` does, with feeds of one shape."""


def traced(networks: Networks, example: StepInputs) -> Update:
    """Return the operations of an update, to be called one after the other: the same ones, so the same numbers.

    Nothing is computed here. Raises whatever torch raises for an update that depends on values, or that cannot be
    followed.
    """
    graph = _trace(networks, example, decompose=False)
    tensors = _tensors(networks)

    @torch.inference_mode()
    def replay(inputs: StepInputs) -> None:
        graph(*tensors, *_leaves(inputs))

    return replay


def compiled(networks: Networks, example: StepInputs) -> Update:
    """Return an update whose operations were fused into larger ones, which round otherwise.

    Raises whatever torch raises, also when there is no compiler.
    """
    from torch import _inductor
    from torch._inductor import config

    graph = _trace(networks, example, decompose=True)
    tensors = _tensors(networks)
    # Dropout reads the same generators as without compilation, so that a checkpoint has all there is to know.
    with torch.no_grad(), config.patch(fallback_random=True):
        run = _inductor.compile(graph, [tensor.detach().clone() for tensor in (*tensors, *_leaves(example))])

    @torch.no_grad()
    def replay(inputs: StepInputs) -> None:
        run(*tensors, *_leaves(inputs))

    return replay


def _trace(networks: Networks, example: StepInputs, *, decompose: bool) -> GraphModule:
    """Return the operations of an update; its inputs are the learner's tensors, then the feed's.

    What an update would leave behind outside of these tensors stays in a copy. Raises RuntimeError when it keeps
    anything there that the next update needs: a recorded one would not go on with it.
    """
    networks = deepcopy(networks)
    graph, again = (_follow(networks, example, decompose=decompose) for _ in range(2))
    if graph.code != again.code:
        raise RuntimeError("a net computes something else in each step; numbers that change belong into a buffer")
    return graph


def _follow(networks: Networks, example: StepInputs, *, decompose: bool) -> GraphModule:
    """Follow an update with tensors that have shapes and no contents."""
    names = [f"networks.{name}" for name in _named(networks)]
    leaves, form = pytree.tree_flatten(example)
    step = _Step(networks)

    def flat(*tensors: Tensor) -> None:
        rest = iter(tensors[len(names) :])
        inputs = pytree.tree_unflatten([next(rest) if isinstance(leaf, Tensor) else leaf for leaf in leaves], form)
        swapped = dict(zip(names, tensors, strict=False))
        torch.func.functional_call(step, swapped, (inputs,))
        for name, tensor in zip(names, tensors, strict=False):
            if swapped[name] is not tensor:
                raise RuntimeError(f"{name.removeprefix('networks.')} is replaced instead of being changed in place")

    table = {torch.ops.aten._fused_adam_.tensor_lr: adam_by_formula} if decompose else None
    with torch.enable_grad():
        return make_fx(flat, table, tracing_mode="fake")(*_tensors(networks), *_leaves(example))


class _Step(nn.Module):
    """An update as a module, so that all tensors of the learner can be swapped at once."""

    def __init__(self, networks: Networks) -> None:
        super().__init__()
        self.networks = networks

    def forward(self, inputs: StepInputs) -> None:
        update(self.networks, inputs)


def _named(networks: Networks) -> dict[str, Tensor]:
    return {**dict(networks.named_parameters()), **dict(networks.named_buffers())}


def _tensors(networks: Networks) -> list[Tensor]:
    return list(_named(networks).values())


def _leaves(inputs: StepInputs) -> list[Tensor]:
    return [leaf for leaf in pytree.tree_leaves(inputs) if isinstance(leaf, Tensor)]
