"""What a training will take, from its first twenty steps: `ganzoo train --dry-run`. The run's folder is never made."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import torch

from ganzoo.system.devices import cpu_threads, synchronize
from ganzoo.system.peak_memory import peak_memory
from ganzoo.training.engines.engine import TIMED, WARM_UP
from ganzoo.training.precision import allow_tf32
from ganzoo.training.session import Training
from ganzoo.weights.building import num_parameters

STEPS = WARM_UP + TIMED
"""Steps that are taken: as many as engine `auto` takes operation by operation before it tries anything else."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a training will take."""

    generator_parameters: int
    discriminator_parameters: int
    seconds_per_step: float
    """Median; an engine that turns out faster is not counted."""
    seconds: float
    """Of all steps, without evaluations, pictures and checkpoints."""
    memory: int | None
    """Peak of these steps, bytes: of the GPU, or of the whole process on a CPU; None where the system does not say."""
    checkpoint_size: int
    """Bytes of one checkpoint."""
    disk: int
    """Bytes of the checkpoints that are kept."""


def estimate(training: Training) -> Estimate:
    """Take a few steps of a training from `Training.plan`, which is of no further use then, and measure them.

    Raises DatasetError, DivergedError, and what the nets raise.
    """
    state, settings = training.state, training.run.settings
    if state.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(state.device)
    seconds = []
    try:
        with state.ambient_randomness(), allow_tf32(state.device), cpu_threads(settings.threads):
            for _ in range(STEPS):
                started = time.perf_counter()
                training.engine.step()
                synchronize(state.device)
                seconds.append(time.perf_counter() - started)
    finally:
        state.batches.close()
    median = statistics.median(seconds[WARM_UP:])
    size = sum(tensor.nbytes for tensor in state.tensors().values())
    kept = min(settings.keep_checkpoints, -(-settings.recipe.steps // settings.checkpoint_every))
    return Estimate(
        generator_parameters=num_parameters(state.networks.generator),
        discriminator_parameters=num_parameters(state.networks.discriminator),
        seconds_per_step=median,
        seconds=median * settings.recipe.steps,
        memory=peak_memory(state.device),
        checkpoint_size=size,
        disk=kept * size,
    )
