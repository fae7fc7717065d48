"""A grouped convolution that can be differentiated twice without one convolution for each group.

R1 and R2 differentiate a gradient. There PyTorch finds the gradient of a grouped kernel by convolving the images of
each group with kernels as large as an image (counted with torch 2.15: 16 groups, 16 such convolutions). But a
convolution is linear in its images and in its kernel, and so are its gradients: the derivatives of the three maps below
are the three maps again, and backends have a routine for each.

A forward pass, R1 and the gradients of both took 0.70 to 0.81 of the time of PyTorch's at batch 16 and 0.81 to 0.95 at
batch 64, on one CPU core in float32, for the four grouped convolutions of `cifar10-r3gan`. Written as nine shifted
matrix products for each group it took 1.7 to 3.8 times as long as PyTorch's, as one product of unfolded images 1.8 to
2.8 times. Not measured on a GPU; docs/benchmarks/double_backward.py does.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function


class Convolution(nn.Conv2d):
    """A convolution without bias that keeps height and width; the kernel has an odd side."""

    def __init__(self, before: int, after: int, kernel_size: int, *, groups: int = 1) -> None:
        super().__init__(before, after, kernel_size, padding=kernel_size // 2, groups=groups, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """Convolve."""
        dtype = _autocast_dtype(images)
        return convolve(images.to(dtype), self.weight.to(dtype), self.groups)


def convolve(images: Tensor, kernel: Tensor, groups: int) -> Tensor:
    """[batch, before, h, w], [after, before / groups, k, k] -> [batch, after, h, w]; of one type, k odd."""
    shape = (len(images), len(kernel), *images.shape[2:])
    kernel_path: Tensor = _KernelPath.apply(kernel, (images,), shape, groups)
    convolved: Tensor = _Convolution.apply(images, kernel, kernel_path, groups)
    return convolved


class _Convolution(Function):
    """The convolution; what flows back to its kernel goes by way of `kernel_path`."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, kernel: Tensor, kernel_path: Tensor, groups: int) -> Tensor:
        ctx.save_for_backward(images, kernel)
        ctx.groups = groups
        return torch.conv2d(images, kernel, padding=kernel.shape[-1] // 2, groups=groups)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        images, kernel = ctx.saved_tensors
        to_images = _ImageGradient.apply(gradient, images, kernel, ctx.groups) if ctx.needs_input_grad[0] else None
        return to_images, None, gradient, None


class _KernelPath(Function):
    """A tensor without values, whose gradient is turned into that of the kernel.

    A node of the graph is told which gradients may be wanted, not which are: for the gradient with regard to the images
    alone, which R1 and the generator's update take, it would compute the other one too. A node of its own is left out.
    """

    @staticmethod
    def forward(ctx: Any, kernel: Tensor, images: tuple[Tensor], shape: tuple[int, ...], groups: int) -> Tensor:
        # The images come in a tuple, for else the node would lie on the way to them.
        ctx.save_for_backward(*images, kernel)
        ctx.groups = groups
        return kernel.new_empty(()).expand(shape)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        images, kernel = ctx.saved_tensors
        return _KernelGradient.apply(gradient, images, kernel, ctx.groups), None, None, None


class _ImageGradient(Function):
    """(gradient, kernel) -> gradient with regard to the images, of which only the form matters."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, images: Tensor, kernel: Tensor, groups: int) -> Tensor:
        ctx.save_for_backward(gradient, kernel)
        ctx.groups = groups
        return _gradients(gradient, images, kernel, groups, (True, False, False))[0]

    @staticmethod
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor | None, ...]:
        gradient, kernel = ctx.saved_tensors
        to_gradient = convolve(outer, kernel, ctx.groups) if ctx.needs_input_grad[0] else None
        to_kernel = _KernelGradient.apply(gradient, outer, kernel, ctx.groups) if ctx.needs_input_grad[2] else None
        return to_gradient, None, to_kernel, None


class _KernelGradient(Function):
    """(gradient, images) -> gradient with regard to the kernel, of which only the form matters."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, images: Tensor, kernel: Tensor, groups: int) -> Tensor:
        ctx.save_for_backward(gradient, images)
        ctx.groups = groups
        return _gradients(gradient, images, kernel, groups, (False, True, False))[1]

    @staticmethod
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor | None, ...]:
        gradient, images = ctx.saved_tensors
        to_gradient = convolve(images, outer, ctx.groups) if ctx.needs_input_grad[0] else None
        to_images = _ImageGradient.apply(gradient, images, outer, ctx.groups) if ctx.needs_input_grad[1] else None
        return to_gradient, to_images, None, None


def _gradients(
    gradient: Tensor, images: Tensor, kernel: Tensor, groups: int, wanted: tuple[bool, bool, bool]
) -> tuple[Tensor, ...]:
    """With regard to images, kernel and bias, as far as they are wanted."""
    stride, padding, dilation = [1, 1], [kernel.shape[-1] // 2] * 2, [1, 1]
    gradients: tuple[Tensor, ...] = torch.ops.aten.convolution_backward(
        gradient, images, kernel, None, stride, padding, dilation, False, [0, 0], groups, wanted
    )
    return gradients


def _autocast_dtype(images: Tensor) -> torch.dtype:
    """Return what autocast, where it is on, would convolve these images in; it does not look into functions."""
    kind = images.device.type
    if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):
        return torch.get_autocast_dtype(kind)
    return images.dtype
