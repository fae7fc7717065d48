"""Every tensor that an update writes: nets, moving average, optimizers, sums."""

from __future__ import annotations

import contextlib
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from ganzoo import randomness
from ganzoo.config import TrainingSettings
from ganzoo.distributed.processes import SINGLE_PROCESS, Processes
from ganzoo.distributed.sync_batch_norm import convert_sync_batch_norm
from ganzoo.losses import get_loss
from ganzoo.registry import architectures
from ganzoo.training.engines.fused_adam import FusedAdam
from ganzoo.training.precision import autocast
from ganzoo.weights.building import build, discriminator_builder, generator_builder
from ganzoo.weights.model_config import ModelConfig

TRACKED = ("loss_d", "loss_g", "score_real", "score_fake", "sign_real", "sign_fake")
"""What is averaged between two records; of the discriminator, the mean s(logit) and the mean sign of the logit."""


class Networks(nn.Module):
    """What one update reads and writes, besides its feed. As one module, its tensors can be swapped for others."""

    def __init__(
        self,
        settings: TrainingSettings,
        config: ModelConfig,
        device: torch.device,
        processes: Processes = SINGLE_PROCESS,
    ) -> None:
        super().__init__()
        self.processes = processes
        recipe, seed = settings.recipe, settings.seed
        self.recipe, self.precision = recipe, settings.precision
        self.loss = get_loss(recipe.loss, recipe.label_smoothing)
        # One pass over real and fake together is the same mathematics where no statistics cross the batch.
        self.concat_real_fake = architectures.get(recipe.architecture).batch_independent

        source = f"recipe {recipe.name}"
        # Convolutions run faster with the channels last; nets without them are not touched by it.
        placed: dict[str, Any] = {"device": device, "memory_format": torch.channels_last}
        generator = build(generator_builder(config, source), randomness.derive_seed(seed, "generator"))
        discriminator = build(discriminator_builder(config, source), randomness.derive_seed(seed, "discriminator"))
        self.generator, self.discriminator = generator.to(**placed), discriminator.to(**placed)
        for net in (self.generator, self.discriminator):
            convert_sync_batch_norm(net, processes)
        self.generator_ema = None if recipe.ema_decay is None else deepcopy(self.generator).eval().requires_grad_(False)
        self.generator_optimizer = FusedAdam(self.generator, recipe.optimizers.generator)
        self.discriminator_optimizer = FusedAdam(self.discriminator, recipe.optimizers.discriminator)
        self.sums: Tensor = nn.Buffer(torch.zeros(len(TRACKED), device=device))

    def autocast(self) -> contextlib.AbstractContextManager[object]:
        """Compute the products of the nets in the type that the settings name."""
        return autocast(self.precision, self.sums.device)
