"""How many threads of a CPU take the steps of a run."""

from __future__ import annotations

import os

import torch

from ganzoo.config import TrainingSettings
from ganzoo.sampling import example_condition, generate
from ganzoo.weights.building import build_on_meta, discriminator_builder, generator_builder, noise_shapes
from ganzoo.weights.model_config import ModelConfig

MAX_FLOPS = 500_000_000
"""Operations of both nets on a batch, forward only, up to which one thread takes the steps of a run.

One core then needs some 30 ms for a step. It has hundreds of operations, after each of which several threads wait for
each other. At best they save some milliseconds; where another program has one of the cores, steps took 3 to 10 times as
long (docs/speed.md).
"""

VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""With these in the environment, the user has decided."""


def choose_threads(settings: TrainingSettings, config: ModelConfig, device: torch.device) -> int | None:
    """Return the number of threads for a new run; None leaves it to torch, on devices that are not the CPU.

    Decided by the size of the nets, not by timing: sums are split among threads, so the number of threads changes the
    last bits of every step, and a run with the same seed has to be the same run on a busy day.
    """
    if settings.threads is not None or device.type != "cpu":
        return settings.threads
    if not any(os.environ.get(name) for name in VARIABLES) and _flops(settings, config) <= MAX_FLOPS:
        return 1
    return torch.get_num_threads()


def _flops(settings: TrainingSettings, config: ModelConfig) -> float:
    """Count the operations of both nets on a batch, without computing them; infinite where that is not possible."""
    from torch.utils.flop_counter import FlopCounterMode

    source, num = f"recipe {settings.recipe.name}", settings.recipe.batch_size
    generator, discriminator = (
        build_on_meta(builder(config, source)) for builder in (generator_builder, discriminator_builder)
    )
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]), torch.device("meta"):
            condition = example_condition(config.sample, num)
            noise = {name: torch.empty(num, *shape) for name, shape in noise_shapes(config, source).items()}
            with FlopCounterMode(display=False) as counter:
                samples = generate(generator, torch.empty(num, *config.latent.shape), condition, noise)
                discriminator(samples) if condition is None else discriminator(samples, condition)
    except Exception:  # a plugin's net may look at values, which do not exist on the meta device
        return float("inf")
    return float(counter.get_total_flops())
