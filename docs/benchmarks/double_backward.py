"""What a gradient penalty costs through the grouped convolutions of cifar10-r3gan, computed in four ways.

    python docs/benchmarks/double_backward.py [--device cpu] [--batch 16] [--rounds 5]

One forward pass, R1, and the gradients of the logits' mean plus R1, in float32 with the channels last, for the 3 × 3
convolution of each stage: PyTorch's, ganzoo's, nine shifted products and one unfolded product for each group, in turns.
Prints median milliseconds, and the largest difference of the kernel's gradient from PyTorch's, relative to its largest
value.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import conv2d, leaky_relu, pad, unfold

from ganzoo_cifar10.recipes import CIFAR10_R3GAN
from ganzoo_r3gan.convolution import convolve
from ganzoo_r3gan.networks import EXPANSION

Way = Callable[[Tensor, Tensor, int], Tensor]


def pytorch(images: Tensor, kernel: Tensor, groups: int) -> Tensor:
    """Convolve as nn.Conv2d does."""
    return conv2d(images, kernel, padding=1, groups=groups)


def nine_products(images: Tensor, kernel: Tensor, groups: int) -> Tensor:
    """Add up the products with the nine shifted images."""
    batch, _, height, width = images.shape
    after, before = len(kernel) // groups, kernel.shape[1]
    rows = images.permute(0, 2, 3, 1).unflatten(3, (groups, before))
    padded = pad(rows, (0, 0, 0, 0, 1, 1, 1, 1)).permute(3, 0, 1, 2, 4)  # [groups, batch, h + 2, w + 2, before]
    total = torch.zeros((), device=images.device)
    for y in range(3):
        for x in range(3):
            shifted = padded[:, :, y : y + height, x : x + width].flatten(1, 3)
            total = total + torch.bmm(shifted, kernel[:, :, y, x].unflatten(0, (groups, after)).mT)
    return total.view(groups, batch, height, width, after).permute(1, 0, 4, 2, 3).flatten(1, 2)


def unfolded_product(images: Tensor, kernel: Tensor, groups: int) -> Tensor:
    """Multiply the kernel with every patch."""
    patches = unfold(images, 3, padding=1).unflatten(1, (groups, -1))  # [batch, groups, 9 before, h w]
    product = kernel.flatten(1).unflatten(0, (groups, -1)) @ patches
    return product.flatten(1, 2).unflatten(2, images.shape[2:])


def penalised(way: Way, images: Tensor, kernel: Tensor, groups: int) -> Tensor:
    """Return the kernel's gradient of a mean logit plus R1."""
    images, kernel = images.clone().requires_grad_(), kernel.clone().requires_grad_()
    logits = leaky_relu(way(images, kernel, groups), 0.2).square().mean((1, 2, 3))
    (slope,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    loss = logits.mean() + slope.square().sum(dim=(1, 2, 3)).mean()
    gradient, _ = torch.autograd.grad(loss, (kernel, images))
    return gradient


def seconds(run: Callable[[], Tensor], device: torch.device) -> float:
    """Time one call to its end on the device."""
    start = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def main() -> None:
    """Measure every stage, the finest first."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    device = arguments.device
    ways = {"pytorch": pytorch, "ganzoo": convolve, "nine products": nine_products, "unfolded": unfolded_product}
    config = CIFAR10_R3GAN.config
    stages = list(zip(config["widths"], config["cardinalities"], strict=True))
    print("channels groups side |", " | ".join(f"{name} ms (difference)" for name in ways))
    for index, (width, groups) in reversed(list(enumerate(stages))):
        channels, side = EXPANSION * width, 4 << index
        shapes = ((arguments.batch, channels, side, side), (channels, channels // groups, 3, 3))
        images, kernel = (torch.randn(shape).to(device, memory_format=torch.channels_last) for shape in shapes)
        reference = penalised(pytorch, images, kernel, groups)
        times: dict[str, list[float]] = {name: [] for name in ways}
        for name, way in list(ways.items()) * arguments.rounds:
            times[name].append(seconds(partial(penalised, way, images, kernel, groups), device))
        cells = []
        for name, way in ways.items():
            error = (penalised(way, images, kernel, groups) - reference).abs().max() / reference.abs().max()
            cells.append(f"{1e3 * statistics.median(times[name]):.1f} ({float(error):.0e})")
        print(f"{channels} {groups} {side} |", " | ".join(cells), flush=True)


if __name__ == "__main__":
    main()
