"""A step as one flat list of tensor operations: without modules, without Python's decisions, without autograd.

`make_fx` runs the step once with tensors that have shapes but no contents, and writes down every operation that reaches
torch's dispatcher, those of autograd's backward pass included. What remains is replayed without building a graph of
gradients again, which is what most of a small net's step is spent on.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx

from ganzoo.optimizers import adam_by_formula, adamw_by_formula
from ganzoo.system.nested import tensors_of, with_tensors
from ganzoo.system.torch_private import compile_graph, fused_adam_operators
from ganzoo.training.inputs import StepInputs
from ganzoo.training.networks import Networks
from ganzoo.training.step import train_step

FORMULAS: dict[Any, Callable[..., None]] = dict(
    zip(fused_adam_operators(), (adam_by_formula, adamw_by_formula), strict=True)
)
"""Operations that torch's compiler cannot fuse with others, and what they are made of."""

TrainStep = Callable[[StepInputs], None]
"""Does what `train_step` does to the networks, for inputs of one shape."""


def traced(networks: Networks, example: StepInputs) -> TrainStep:
    """Return the operations of a step, to be called one after the other: the same ones, so the same numbers.

    Nothing is computed here. Raises whatever torch raises for a step that depends on values or cannot be traced.
    """
    graph = _trace(networks, example, decompose=False)
    tensors = _tensors(networks)

    # The backward pass is among the operations already: autograd has nothing left to record.
    @torch.inference_mode()
    def replay(inputs: StepInputs) -> None:
        graph(*tensors, *tensors_of(inputs))

    return replay


def compiled(networks: Networks, example: StepInputs) -> TrainStep:
    """Return a step whose operations torch's compiler has fused into larger ones, which round differently.

    Raises whatever torch raises, also when there is no C++ compiler.
    """
    graph = _trace(networks, example, decompose=True)
    tensors = _tensors(networks)
    copies = [tensor.detach().clone() for tensor in (*tensors, *tensors_of(example))]
    # The compiler's own random numbers have a state that no checkpoint holds; with the fallback, dropout reads torch's
    # generators as it does in the other engines.
    with torch.no_grad(), torch.random.fork_rng([tensors[0].device] if tensors[0].is_cuda else []):
        run = compile_graph(graph, copies)
        run(*copies)  # some faults of compiled code show only when it runs

    @torch.no_grad()
    def replay(inputs: StepInputs) -> None:
        run(*tensors, *tensors_of(inputs))

    return replay


def _trace(networks: Networks, example: StepInputs, *, decompose: bool) -> GraphModule:
    """Return the operations of a step as a graph whose inputs are the tensors of the networks, then those of a step.

    Raises RuntimeError for a net that keeps Python numbers between its calls: a replay would repeat the first ones.
    """
    # On a copy: what a net keeps in its attributes while it is traced are tensors without contents.
    networks = deepcopy(networks)
    # Twice: a net that counts its calls in Python gives two different graphs.
    graph, again = (_make_graph(networks, example, decompose=decompose) for _ in range(2))
    if graph.code != again.code:
        raise RuntimeError("a net computes something different in each step; keep numbers that change in a buffer")
    return graph


def _make_graph(networks: Networks, example: StepInputs, *, decompose: bool) -> GraphModule:
    names = [f"networks.{name}" for name in _named(networks)]
    step = _Step(networks)

    def flat(*tensors: Tensor) -> None:
        inputs = with_tensors(example, tensors[len(names) :])
        swapped = dict(zip(names, tensors, strict=False))
        # Runs the step on the given tensors in place of its own; `swapped` then holds what the step left under each
        # name.
        torch.func.functional_call(step, swapped, (inputs,))
        # A replay writes into the tensors that it is given; one that a net puts in their place would be lost.
        for name, tensor in zip(names, tensors, strict=False):
            if swapped[name] is not tensor:
                raise RuntimeError(
                    f"{name.removeprefix('networks.')} is replaced by a new tensor instead of being changed in place"
                )

    table = FORMULAS if decompose else None
    # Whatever mode the caller is in: without gradients the trace would contain no backward pass.
    with torch.enable_grad():
        return make_fx(flat, table, tracing_mode="fake")(*_tensors(networks), *tensors_of(example))


class _Step(nn.Module):
    """A step as a module, because `functional_call` exchanges the tensors of a module."""

    def __init__(self, networks: Networks) -> None:
        super().__init__()
        self.networks = networks

    def forward(self, inputs: StepInputs) -> None:
        train_step(self.networks, inputs)


def _named(networks: Networks) -> dict[str, Tensor]:
    return {**dict(networks.named_parameters()), **dict(networks.named_buffers())}


def _tensors(networks: Networks) -> list[Tensor]:
    return list(_named(networks).values())
