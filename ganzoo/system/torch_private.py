"""Everything private of torch that ganzoo uses, each with public functions to fall back to.

These functions do for a list of tensors in one call what public ones do for one tensor at a time. A future torch may
drop or change them; then training is slower and otherwise the same, up to rounding where it says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule

try:
    from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm  # the base class of all of them
except ImportError:
    BatchNorm = nn.BatchNorm2d  # type: ignore[misc]

__all__ = [
    "BatchNorm",
    "compile_graph",
    "foreach_clamp_",
    "foreach_copy_",
    "foreach_lerp_",
    "fused_adam",
    "fused_adam_operators",
    "fused_adamw",
]


def foreach_copy_(targets: Sequence[Tensor], sources: Sequence[Tensor]) -> None:
    """Copy each source to its target."""
    if hasattr(torch, "_foreach_copy_"):
        torch._foreach_copy_(list(targets), list(sources))
    else:
        for target, source in zip(targets, sources, strict=True):
            target.copy_(source)


def foreach_clamp_(tensors: Sequence[Tensor], low: float, high: float) -> None:
    """Clip the values of each tensor to [low, high]."""
    if hasattr(torch, "_foreach_clamp_min_") and hasattr(torch, "_foreach_clamp_max_"):
        torch._foreach_clamp_min_(list(tensors), low)
        torch._foreach_clamp_max_(list(tensors), high)
    else:
        for tensor in tensors:
            tensor.clamp_(low, high)


def foreach_lerp_(starts: Sequence[Tensor], ends: Sequence[Tensor], weight: float) -> None:
    """Move each start towards its end, by a weight of 0 to 1."""
    if hasattr(torch, "_foreach_lerp_"):
        torch._foreach_lerp_(list(starts), list(ends), weight)
    else:
        for start, end in zip(starts, ends, strict=True):
            start.lerp_(end, weight)


def fused_adam() -> Callable[..., Any] | None:
    """Return the kernel behind `torch.optim.Adam(fused=True)`, or None where torch has none of this name."""
    return getattr(torch, "_fused_adam_", None)


def fused_adamw() -> Callable[..., Any] | None:
    """Return the kernel behind `torch.optim.AdamW(fused=True)`, or None where torch has none of this name."""
    return getattr(torch, "_fused_adamw_", None)


def fused_adam_operators() -> tuple[Any, Any]:
    """Return what a trace records for a call of `fused_adam` and of `fused_adamw` with a tensor as learning rate.

    Where torch has no such operator, its name stands for it: nothing in a trace is equal to it.
    """
    names = ("_fused_adam_", "_fused_adamw_")
    adam, adamw = (getattr(getattr(torch.ops.aten, name, None), "tensor_lr", name) for name in names)
    return adam, adamw


def compile_graph(graph: GraphModule, examples: Sequence[Tensor]) -> Callable[..., Any]:
    """Compile a traced graph with torch's own random numbers; without the private entry, through `torch.compile`.

    Raises whatever the compiler raises.
    """
    try:
        from torch import _inductor
        from torch._inductor import config
    except ImportError:
        return torch.compile(graph, fullgraph=True, options={"fallback_random": True})
    with config.patch(fallback_random=True):
        return _inductor.compile(graph, list(examples))
