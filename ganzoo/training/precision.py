"""In which type products are computed; parameters, losses and optimizers are float32 always."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace

import torch

from ganzoo.config import TrainingSettings
from ganzoo.system.devices import supports_bf16
from ganzoo.weights.building import build_on_meta, discriminator_builder, generator_builder, num_parameters
from ganzoo.weights.model_config import ModelConfig

LARGE = 1_000_000
"""Parameters of both nets from which on `auto` takes bf16; in smaller ones the conversions cost more than they save."""


def with_precision(settings: TrainingSettings, config: ModelConfig, device: torch.device) -> TrainingSettings:
    """Return the settings with `auto` replaced by what it stands for on this device."""
    if settings.precision != "auto":
        return settings
    builders = (
        builder(config, f"recipe {settings.recipe.name}") for builder in (generator_builder, discriminator_builder)
    )
    large = sum(num_parameters(build_on_meta(builder)) for builder in builders) >= LARGE
    return replace(settings, precision="bf16" if large and supports_bf16(device) else "fp32")


def autocast(precision: str, device: torch.device) -> contextlib.AbstractContextManager[object]:
    """Compute the products of nets in a type, `fp32` or `bf16`."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


@contextlib.contextmanager
def allow_tf32(device: torch.device) -> Iterator[None]:
    """Let a GPU take tf32 for the products of float32, and the fastest of its convolutions; afterwards as before."""
    if device.type != "cuda":  # where the same switches could round the products of a CPU
        yield
        return
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark
    matmul.allow_tf32 = cudnn.allow_tf32 = cudnn.benchmark = True
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark = before
