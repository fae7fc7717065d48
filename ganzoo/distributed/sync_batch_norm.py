"""Synchronized batch normalization: statistics over the global batch, that of all ranks together.

`torch.nn.SyncBatchNorm` does the same, but on GPUs only.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ganzoo.distributed.processes import Processes
from ganzoo.system.torch_private import BatchNorm


def convert_sync_batch_norm(net: nn.Module, processes: Processes) -> None:
    """Let the batch normalizations of a net take their statistics over all ranks."""
    if processes.world_size == 1:  # torch's own computes the same, and faster
        return
    for module in net.modules():
        if isinstance(module, BatchNorm):
            module.__class__ = SyncBatchNorm  # in place, so that names, parameters and hooks stay
            module.processes = processes  # type: ignore[assignment]


class SyncBatchNorm(BatchNorm):
    """Batch normalization of any number of dimensions; in evaluation mode, the module that it was converted from."""

    processes: Processes

    def _check_input_dim(self, samples: Tensor) -> None:
        """Accept any number of dimensions: the net has chosen the module that this one was converted from."""

    def forward(self, samples: Tensor) -> Tensor:
        """Normalize each channel of samples [batch, channels, ...]. In training, every rank must call it."""
        # Running statistics need no exchange. Without them, torch's module takes those of the batch in evaluation mode
        # too.
        if not self.training and self.running_mean is not None:
            return super().forward(samples)
        # Under autocast the samples may be bfloat16, whose 8 significant bits are too few for a mean and a variance.
        exact = samples.float()
        num, mean, variance = moments_over_processes(exact, self.processes)
        if self.training and self.running_mean is not None:
            self._update_running(mean.detach(), variance.detach() * (num / (num - 1)))  # unbiased, as torch's
        shape = (1, -1, *[1] * (samples.dim() - 2))
        normal = (exact - mean.view(shape)) * (variance + self.eps).rsqrt().view(shape)
        if self.weight is not None:
            normal = torch.addcmul(self.bias.view(shape), normal, self.weight.view(shape))
        return normal.to(samples.dtype)

    @torch.no_grad()
    def _update_running(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics towards those of a batch, as torch does."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        weight: Any = (1 / self.num_batches_tracked).to(mean) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, weight)
        self.running_var.lerp_(variance, weight)


def moments_over_processes(samples: Tensor, processes: Processes) -> tuple[int, Tensor, Tensor]:
    """Return the number of values of a channel on all ranks, and their mean and variance, both [channels].

    Samples are [batch, channels, ...], with the same batch size on every rank.
    """
    along = [dim for dim in range(samples.dim()) if dim != 1]
    variance, mean = torch.var_mean(samples, along, correction=0)
    own = torch.stack([mean, variance])  # [2, channels]
    # An all-gather made of one differentiable sum: each rank fills its own row of a table of zeros. The variance of the
    # means is then exact where a difference of mean squares would cancel.
    rows = nn.functional.pad(own[None], (0, 0, 0, 0, processes.rank, processes.world_size - 1 - processes.rank))
    means, variances = _Sum.apply(rows, processes).unbind(1)  # the table is [world_size, 2, channels]
    # Of equally large groups: the mean of their variances plus the variance of their means.
    spread, joint_mean = torch.var_mean(means, 0, correction=0)
    return samples.numel() // samples.shape[1] * processes.world_size, joint_mean, variances.mean(0) + spread


class _Sum(torch.autograd.Function):
    """Sum of a tensor over the ranks. What is differentiated is the sum of the losses of all ranks.

    An input adds to the sum on every rank, so its gradient is the sum of the gradients of all ranks.
    """

    @staticmethod
    def forward(context: Any, tensor: Tensor, processes: Processes) -> Tensor:
        context.processes = processes
        return processes.all_reduce_(tensor.clone(memory_format=torch.contiguous_format))

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        # Through `apply`, so that it can be differentiated again: R1 and the gradient penalty differentiate gradients.
        return _Sum.apply(gradient, context.processes), None
