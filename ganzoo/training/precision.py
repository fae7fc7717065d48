"""The compute dtype of both nets. Parameters, losses and optimizers are float32 always."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace

import torch

from ganzoo.config import TrainingSettings
from ganzoo.system.devices import supports_bf16
from ganzoo.weights.building import discriminator_builder, generator_builder, num_parameters, outline
from ganzoo.weights.model_config import ModelConfig

MIN_BF16_PARAMETERS = 1_000_000
"""Parameters of both nets from which on `auto` takes bf16; in smaller ones the conversions cost more than they save."""


def with_precision(settings: TrainingSettings, config: ModelConfig, device: torch.device) -> TrainingSettings:
    """Return the settings with precision `auto` replaced by what it stands for on this device."""
    if settings.precision != "auto":
        return settings
    builders = (
        builder(config, f"recipe {settings.recipe.name}") for builder in (generator_builder, discriminator_builder)
    )
    large = sum(num_parameters(outline(builder)) for builder in builders) >= MIN_BF16_PARAMETERS
    return replace(settings, precision="bf16" if large and supports_bf16(device) else "fp32")


def autocast(precision: str, device: torch.device) -> contextlib.AbstractContextManager[object]:
    """Return a context in which nets compute in `fp32` or `bf16`."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


@contextlib.contextmanager
def allow_tf32(device: torch.device) -> Iterator[None]:
    """On a GPU, allow TF32 in matrix products and convolutions, and let cuDNN choose the fastest convolution.

    Elsewhere it does nothing: on a CPU the same switches could round products. Afterwards all is as before.
    """
    if device.type != "cuda":
        yield
        return
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    # torch 2.9 has two APIs for one state, and raises when the old one is read after the new one has set something that
    # the old one cannot express. So the state is read by the new API only, and set by both: the old one first, because
    # torch's own compiler still reads it.
    modern = [matmul, cudnn.conv, cudnn.rnn] if hasattr(cudnn, "conv") else []
    precisions, benchmark = [switch.fp32_precision for switch in modern], cudnn.benchmark
    before = [name == "tf32" for name in precisions[:2]] or [matmul.allow_tf32, cudnn.allow_tf32]
    matmul.allow_tf32 = cudnn.allow_tf32 = cudnn.benchmark = True
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before
        for switch, name in zip(modern, precisions, strict=True):
            switch.fp32_precision = name
        cudnn.benchmark = benchmark
