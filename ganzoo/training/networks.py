"""Every tensor that a step changes: both nets, the moving average, the optimizers, the running sums."""

from __future__ import annotations

import contextlib
from collections.abc import Container, Iterator
from copy import deepcopy

import torch
from torch import Tensor, nn

from ganzoo import randomness, registry
from ganzoo.config import TrainingSettings
from ganzoo.distributed.processes import SINGLE_PROCESS, Processes
from ganzoo.distributed.sync_batch_norm import convert_sync_batch_norm
from ganzoo.training.augmentation import Augmentation
from ganzoo.training.optimizers import build_optimizer, freeze
from ganzoo.training.precision import autocast
from ganzoo.training.regularizers import Regularizer
from ganzoo.weights.building import build, discriminator_builder, generator_builder
from ganzoo.weights.model_config import ModelConfig

TRACKED = ("loss_d", "loss_g", "score_real", "score_fake", "sign_real", "sign_fake")
"""What is summed over the steps of a record. Scores are mean s(logit), signs are mean sign(logit)."""


class Networks(nn.Module):
    """Generator, discriminator, the generator's moving average, both optimizers, and the running sums of a record.

    Where the recipe has them, also what regularizers remember and an adaptive probability of augmentation. One module,
    so that tracing can exchange all of its tensors at once and finds every tensor that a step changes.
    """

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
        self.loss = registry.losses.get(recipe.loss)
        self.regularizers = nn.ModuleList(
            Regularizer(name, value, device, processes) for name, value in recipe.regularizers.items()
        )
        self.augmentation = Augmentation(recipe, device)
        # One pass over real samples and fakes together gives the same logits unless the net takes statistics over the
        # batch; it reads the weights once instead of twice.
        self.concat_real_fake = registry.architectures.get(recipe.architecture).batch_independent

        source = f"recipe {recipe.name}"
        # Built on the CPU, each from a seed of its own: the initial weights do not depend on the device, and another
        # discriminator does not change the generator's.
        generator = build(generator_builder(config, source), randomness.derive_seed(seed, "generator"))
        discriminator = build(discriminator_builder(config, source), randomness.derive_seed(seed, "discriminator"))
        # Before the optimizers are built, which take the parameters that are trained.
        freeze({"generator": generator, "discriminator": discriminator}, settings.freeze)
        for net in (generator, discriminator):
            net.to(device)
            # Convolutions of images run faster with the channels last; weights of other layers stay as they are.
            # A weight with five dimensions, as of a 3-D convolution, has no such layout, and `to` would refuse it.
            if config.sample.kind == "image" and all(tensor.dim() < 5 for tensor in net.state_dict().values()):
                net.to(memory_format=torch.channels_last)
        self.generator, self.discriminator = generator, discriminator
        for net in (self.generator, self.discriminator):
            convert_sync_batch_norm(net, processes)
        # Copied after moving, so that both have the same layout in memory. In evaluation mode: its running statistics
        # are averages of the generator's, and must not be updated by samples.
        self.generator_ema = None if recipe.ema_decay is None else deepcopy(self.generator).eval().requires_grad_(False)
        # After moving as well: the moments are laid out as the parameters are.
        self.generator_optimizer = build_optimizer(self.generator, recipe.optimizers.generator)
        self.discriminator_optimizer = build_optimizer(self.discriminator, recipe.optimizers.discriminator)
        self.sums: Tensor = nn.Buffer(torch.zeros(len(TRACKED), device=device))

    def autocast(self) -> contextlib.AbstractContextManager[object]:
        """Return a context in which the nets compute in the dtype of the `precision` setting."""
        return autocast(self.precision, self.sums.device)

    def regularizers_of(self, net: str, names: Container[str]) -> Iterator[Regularizer]:
        """Yield the regularizers of one net, in the recipe's order, of those with these names."""
        for regularizer in self.regularizers:
            assert isinstance(regularizer, Regularizer)
            if regularizer.spec.of == net and regularizer.name in names:
                yield regularizer
