"""The compute dtype of both nets. Parameters, losses and optimizers are float32 always."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import replace

import torch

from ganzoo.config import TrainingSettings
from ganzoo.system.devices import supports_bf16
from ganzoo.weights.building import build_on_meta, discriminator_builder, generator_builder, num_parameters
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
    large = sum(num_parameters(build_on_meta(builder)) for builder in builders) >= MIN_BF16_PARAMETERS
    return replace(settings, precision="bf16" if large and supports_bf16(device) else "fp32")


def autocast(precision: str, device: torch.device) -> contextlib.AbstractContextManager[object]:
    """Return a context in which nets compute in `fp32` or `bf16`."""
    if precision == "fp32":
        return contextlib.nullcontext()
    # bfloat16 has the exponents of float32: gradients do not underflow, so no loss scaling is needed, as float16 would.
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
    # Since torch 2.9 there are two APIs, and reading the old one (`allow_tf32`) raises when the new one
    # (`fp32_precision`) has set something else. So the state is read by the new API, and set by both: torch's own
    # compiler still reads the old one.
    switches = [matmul, cudnn.conv, cudnn.rnn] if hasattr(cudnn, "conv") else []
    precisions, benchmark = [switch.fp32_precision for switch in switches], cudnn.benchmark
    before = [precision == "tf32" for precision in precisions[:2]] or [matmul.allow_tf32, cudnn.allow_tf32]

    def set_both(allow_matmul: bool, allow_cudnn: bool) -> None:
        with warnings.catch_warnings(action="ignore"):  # some versions call the old API deprecated
            matmul.allow_tf32, cudnn.allow_tf32 = allow_matmul, allow_cudnn

    set_both(True, True)
    # Worth it because all steps have the same shapes: the search is done once for each.
    cudnn.benchmark = True
    try:
        yield
    finally:
        set_both(*before)
        for switch, precision in zip(switches, precisions, strict=True):
            switch.fp32_precision = precision
        cudnn.benchmark = benchmark
