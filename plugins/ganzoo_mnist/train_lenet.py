"""Train the digit classifier: `python -m ganzoo_mnist.train_lenet --data-dir FOLDER --out FILE [--seed 0]`.

The same seed, machine, torch and number of threads give the same file, byte for byte. The test digits are used once, at
the end, and not to make any choice.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.functional import affine_grid, cross_entropy, grid_sample

from ganzoo_mnist.files import load
from ganzoo_mnist.lenet import LeNet

EPOCHS = 30
BATCH_SIZE = 128
LEARNING_RATE = 3e-3
"""Peak learning rate, after a linear warm-up of one epoch and before a cosine decay to zero."""
WEIGHT_DECAY = 1e-2

MAX_SHIFT = 2.0
"""Pixels, in both directions of x and y."""
MAX_ROTATION = 12.0
"""Degrees, in both directions."""
MAX_SCALE = 0.1
"""Relative, in both directions."""
MAX_SHEAR = 0.15
"""Of x with y, in both directions."""


def train(images: Tensor, labels: Tensor, *, seed: int, epochs: int = EPOCHS) -> LeNet:
    """Train on uint8 [num, 1, 28, 28] and int64 [num]; print a line per epoch."""
    torch.manual_seed(seed)
    net = LeNet().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(net.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True)
    in_epoch = len(images) // BATCH_SIZE
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, in_epoch, epochs * in_epoch))
    for epoch in range(epochs):
        started, total = time.perf_counter(), 0.0
        # Without the incomplete last batch, whose noisier statistics and gradient would count as much as the others'.
        for batch in torch.randperm(len(images))[: in_epoch * BATCH_SIZE].split(BATCH_SIZE):
            with torch.autocast("cpu", torch.bfloat16):  # parameters and loss stay float32
                _, logits = net(distorted(images[batch]))
                loss = cross_entropy(logits.float(), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        print(
            f"epoch {epoch + 1}/{epochs}  loss {total / in_epoch:.4f}  {time.perf_counter() - started:.1f} s",
            flush=True,
        )
    return net.eval()


def _rate(step: int, warm_up: int, steps: int) -> float:
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))  # 1 -> 0


def distorted(images: Tensor) -> Tensor:
    """Shift, rotate, scale and shear each image a little; returns float32, 0 to 255."""
    shift_x, shift_y, rotation, scale, shear = torch.rand(5, len(images)).mul(2).sub(1)
    angle, factor = rotation * math.radians(MAX_ROTATION), 1 + scale * MAX_SCALE
    cosine, sine, slant = angle.cos() * factor, angle.sin() * factor, shear * MAX_SHEAR
    # affine_grid's coordinates run from -1 to 1 across the image, so 1 is half a side, 14 pixels.
    to_unit = MAX_SHIFT / (images.shape[-1] / 2)
    row_x = torch.stack([cosine, cosine * slant - sine, shift_x * to_unit], 1)
    row_y = torch.stack([sine, sine * slant + cosine, shift_y * to_unit], 1)
    # [batch, 2, 3], where each output pixel is read from: the inverse of the distortion that one sees, which for small
    # symmetric ranges makes hardly any difference.
    grid = affine_grid(torch.stack([row_x, row_y], 1), list(images.shape), align_corners=False)
    return grid_sample(images.float(), grid, mode="bilinear", align_corners=False)


@torch.inference_mode()
def accuracy(net: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the share of images classified correctly."""
    right = sum(
        int((net(x)[1].argmax(1) == y).sum()) for x, y in zip(images.split(1000), labels.split(1000), strict=True)
    )
    return right / len(images)


def _split(data_dir: Path, name: str) -> tuple[Tensor, Tensor]:
    data = load(data_dir, name, download=False)
    assert data.labels is not None
    return torch.from_numpy(data.samples.copy()), torch.from_numpy(data.labels)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, test, and write a safetensors file whose metadata records the training."""
    parser = argparse.ArgumentParser(prog="python -m ganzoo_mnist.train_lenet", description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True, help="folder with the four MNIST files")
    parser.add_argument("--out", type=Path, required=True, help="the safetensors file to write")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    options = parser.parse_args(arguments)
    started = time.perf_counter()
    net = train(*_split(options.data_dir, "train"), seed=options.seed, epochs=options.epochs)
    seconds = time.perf_counter() - started
    share = accuracy(net, *_split(options.data_dir, "test"))
    record = {"test_accuracy": share, "seed": options.seed, "epochs": options.epochs, "torch": torch.__version__}
    # A single key, because the library writes several in random order and the bytes must be reproducible.
    tensors = {name: tensor.contiguous() for name, tensor in net.state_dict().items()}
    content = save(tensors, metadata={"training": json.dumps(record)})
    options.out.write_bytes(content)
    print(f"{options.out}: {len(content):,} bytes, sha256 {hashlib.sha256(content).hexdigest()}")
    print(f"test accuracy {share:.4f} after {seconds:.0f} s on {torch.get_num_threads()} threads")


if __name__ == "__main__":
    main()
