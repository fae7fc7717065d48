"""Every tensor that an update writes: nets, moving average, optimizers, sums."""

from __future__ import annotations

import contextlib
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from ganzoo import randomness
from ganzoo.building import build, discriminator_builder, generator_builder
from ganzoo.config import TrainingSettings
from ganzoo.losses import get_loss
from ganzoo.model_config import ModelConfig
from ganzoo.ranks import ALONE, Ranks
from ganzoo.registry import architectures
from ganzoo.training.adam import FusedAdam
from ganzoo.training.joint_norm import join_statistics
from ganzoo.training.precision import products

TRACKED = ("loss_d", "loss_g", "score_real", "score_fake", "sign_real", "sign_fake")
"""What is averaged between two records; of the discriminator, the mean s(logit) and the mean sign of the logit."""


class Learner(nn.Module):
    """What one update reads and writes, besides its feed. As one module, its tensors can be swapped for others."""

    def __init__(
        self, settings: TrainingSettings, config: ModelConfig, device: torch.device, ranks: Ranks = ALONE
    ) -> None:
        super().__init__()
        self.ranks = ranks
        recipe, seed = settings.recipe, settings.seed
        self.recipe, self.precision = recipe, settings.precision
        self.loss = get_loss(recipe.loss, recipe.label_smoothing)
        # One pass over real and fake together is the same mathematics where no statistics cross the batch.
        self.joint_pass = architectures.get(recipe.architecture).batch_independent

        source = f"recipe {recipe.name}"
        # Convolutions run faster with the channels last; nets without them are not touched by it.
        placed: dict[str, Any] = {"device": device, "memory_format": torch.channels_last}
        generator = build(generator_builder(config, source), randomness.derive_seed(seed, "generator"))
        discriminator = build(discriminator_builder(config, source), randomness.derive_seed(seed, "discriminator"))
        self.generator, self.discriminator = generator.to(**placed), discriminator.to(**placed)
        for net in (self.generator, self.discriminator):
            join_statistics(net, ranks)
        self.average = None if recipe.ema_decay is None else deepcopy(self.generator).eval().requires_grad_(False)
        self.generator_optimizer = FusedAdam(self.generator, recipe.optimizers.generator)
        self.discriminator_optimizer = FusedAdam(self.discriminator, recipe.optimizers.discriminator)
        self.sums: Tensor = nn.Buffer(torch.zeros(len(TRACKED), device=device))

    def products(self) -> contextlib.AbstractContextManager[object]:
        """Compute the products of the nets in the type that the settings name."""
        return products(self.precision, self.sums.device)
