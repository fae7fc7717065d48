"""A small convolutional classifier of digits. Distances are measured on its last hidden layer.

The network follows LeCun et al. 1998, "Gradient-based learning applied to document recognition", with batch
normalisation and max pooling. `python -m ganzoo_mnist.train_lenet` trains its weights.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load as parse
from torch import Tensor, nn

from ganzoo.errors import EvaluationError
from ganzoo.specs import Extractor

WEIGHTS = Path(__file__).parent / "weights" / "lenet-v1.safetensors"
SIZE = 418_552
SHA256 = "c0097af7cdd54ba2e130396a385a3f3a7d6c72488a2fddbff2b8e8c69c8507e1"

NUM_FEATURES = 128
"""Dimension of the features, which are non-negative."""


class LeNet(nn.Module):
    """uint8, or float32 in [0, 255], [batch, 1, 28, 28] -> features [batch, 128] and logits [batch, 10]."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *_block(1, 24, 5, padding=0),  # [batch, 24, 12, 12]
            *_block(24, 48, 3, padding=1),  # [batch, 48, 6, 6]
            *_block(48, 96, 3, padding=0),  # [batch, 96, 2, 2]
            nn.Flatten(),
            nn.Linear(4 * 96, NUM_FEATURES, bias=False),
            nn.BatchNorm1d(NUM_FEATURES),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(NUM_FEATURES, 10)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Scale to [0, 1] and classify."""
        values = self.features(images.float().div(255))
        return values, self.classifier(values)  # [batch, 128], [batch, 10]


def _block(channels_in: int, channels_out: int, size: int, *, padding: int) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(channels_in, channels_out, size, padding=padding, bias=False),
        nn.MaxPool2d(2),  # before the normalisation, to give it a quarter of the work
        nn.BatchNorm2d(channels_out),
        nn.ReLU(),
    )


def load(device: torch.device, path: Path = WEIGHTS) -> Extractor:
    """Read the bundled weights. Raises EvaluationError if they are not the pinned ones."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EvaluationError(f"cannot read {path}: {error.strerror}.", hint=_REINSTALL) from error
    # Of the bytes that are parsed below; safetensors holds no code, so a wrong file could only give wrong numbers.
    if len(content) != SIZE or hashlib.sha256(content).hexdigest() != SHA256:
        raise EvaluationError(f"{path} is damaged: its size or sha256 is not the pinned one.", hint=_REINSTALL)
    net = LeNet()
    net.load_state_dict(parse(content))
    # Channels last takes 0.6 s on one core for 10,000 digits, against 1.9 s.
    net.eval().requires_grad_(False).to(device, memory_format=torch.channels_last)

    def outputs(images: Tensor) -> Mapping[str, Tensor]:
        if images.shape[1:] != (1, 28, 28):
            raise EvaluationError(
                f"the digit classifier takes 1 × 28 × 28 grey images, not {' × '.join(map(str, images.shape[1:]))}.",
                hint="Choose a metric for the model's dataset.",
            )
        values, logits = net(images)
        return {"values": values, "logits": logits}

    return Extractor(outputs=outputs, sha256=SHA256, differentiable=True)


_REINSTALL = "Reinstall ganzoo: pip install --force-reinstall --no-deps ganzoo"
