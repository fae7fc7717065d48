"""The loop that tutorials write: the same nets, losses and updates as ours, done the usual way.

Unfused Adam with its scheduler, real samples and fakes judged one after the other, fakes of the discriminator's update
made with gradients and detached, a moving average parameter by parameter, and `.item()` on every loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from ganzoo import randomness
from ganzoo.augmentations import NUMBERS, augment
from ganzoo.bench.loader import endless
from ganzoo.config import TrainingSettings
from ganzoo.data import Batch, OpenedDataset
from ganzoo.losses import REGULARIZERS, Discriminators, get_loss
from ganzoo.randomness import draw_latents
from ganzoo.specs import Adam
from ganzoo.training.inputs import DiscriminatorInputs, GeneratorInputs
from ganzoo.training.step import Fakes, discriminate, generate
from ganzoo.weights.building import build, discriminator_builder, generator_builder
from ganzoo.weights.model_config import ModelConfig


class PlainLearner:
    """Both nets of a recipe with their optimizers."""

    def __init__(self, settings: TrainingSettings, config: ModelConfig, device: torch.device) -> None:
        self.recipe, seed = settings.recipe, settings.seed
        recipe, source = self.recipe, f"recipe {self.recipe.name}"
        self.loss = get_loss(recipe.loss, recipe.label_smoothing)
        self.generator = build(generator_builder(config, source), randomness.derive_seed(seed, "generator"))
        self.discriminator = build(discriminator_builder(config, source), randomness.derive_seed(seed, "discriminator"))
        self.generator.to(device)
        self.discriminator.to(device)
        self.generator_ema = None if recipe.ema_decay is None else deepcopy(self.generator).requires_grad_(False)
        self.generator_optimizer = _adam(self.generator, recipe.optimizers.generator)
        self.discriminator_optimizer = _adam(self.discriminator, recipe.optimizers.discriminator)
        self._schedules = (
            self._schedule(self.generator_optimizer, recipe.optimizers.generator),
            self._schedule(self.discriminator_optimizer, recipe.optimizers.discriminator),
        )
        self._step = 0

    def _schedule(self, optimizer: torch.optim.Adam, spec: Adam) -> LambdaLR:
        steps = self.recipe.steps
        return LambdaLR(optimizer, lambda step: 1 - step / steps if spec.decay == "linear" else 1.0)

    def update(self, generator: GeneratorInputs, discriminator: Sequence[DiscriminatorInputs]) -> tuple[float, float]:
        """Update both nets as the recipe says; return the last losses of discriminator and generator."""
        fakes = None
        if self.recipe.update_order == "generator_first":
            fakes, loss_g = self._update_generator(generator)
        for part in discriminator:
            loss_d = self._update_discriminator(part, fakes if self.recipe.share_fakes else None)
        if self.recipe.update_order == "discriminator_first":
            _, loss_g = self._update_generator(generator)
        if self.generator_ema is not None and self.recipe.ema_decay is not None:
            decay = min(self.recipe.ema_decay, (1 + self._step) / (10 + self._step))
            _update_ema(self.generator_ema, self.generator, decay)
        for schedule in self._schedules:
            schedule.step()
        self._step += 1
        return loss_d, loss_g

    def _update_discriminator(self, inputs: DiscriminatorInputs, fakes: Fakes | None) -> float:
        recipe, net = self.recipe, self.discriminator
        real, real_labels = inputs.real.samples, inputs.real.labels if recipe.conditional else None
        if fakes is None:
            assert inputs.latents is not None
            fakes = generate(self.generator, inputs.latents, real_labels), real_labels
        fake, fake_labels = fakes[0].detach(), fakes[1]
        real, fake = self._augmented(real, inputs.augment, 0), self._augmented(fake, inputs.augment, 1)
        self.discriminator_optimizer.zero_grad()
        real_logits, fake_logits = discriminate(net, real, real_labels), discriminate(net, fake, fake_labels)
        loss = self.loss.discriminator(real_logits, fake_logits, recipe.label_smoothing)
        if recipe.discriminator_loss == "mean":
            loss = loss / 2
        discriminators = Discriminators(
            real=lambda samples: discriminate(net, samples, real_labels),
            fake=lambda samples: discriminate(net, samples, fake_labels),
        )
        for name, weight in recipe.regularizers.items():
            assert inputs.epsilon is not None
            loss = loss + weight * REGULARIZERS[name](discriminators, real, fake, inputs.epsilon)
        loss.backward()
        self.discriminator_optimizer.step()
        if recipe.weight_clip is not None:
            for parameter in net.parameters():
                parameter.data.clamp_(-recipe.weight_clip, recipe.weight_clip)
        return loss.item()

    def _update_generator(self, inputs: GeneratorInputs) -> tuple[Fakes, float]:
        self.generator_optimizer.zero_grad()
        fake = generate(self.generator, inputs.latents, inputs.labels)
        fake_logits = discriminate(self.discriminator, self._augmented(fake, inputs.augment, 1), inputs.labels)
        real_logits = None
        if inputs.real is not None:
            real = self._augmented(inputs.real.samples, inputs.augment, 0)
            real_logits = discriminate(self.discriminator, real, inputs.labels)
        loss = self.loss.generator(fake_logits, real_logits)
        loss.backward()
        self.generator_optimizer.step()
        return (fake, inputs.labels), loss.item()

    def _augmented(self, samples: Tensor, numbers: Tensor | None, which: int) -> Tensor:
        """Return what the discriminator gets to see of real samples (which = 0) or of fakes (1)."""
        return samples if numbers is None else augment(samples, self.recipe.augment, numbers[:, which])


def _adam(net: nn.Module, spec: Adam) -> torch.optim.Adam:
    return torch.optim.Adam(
        net.parameters(), lr=spec.learning_rate, betas=spec.betas, eps=spec.eps, weight_decay=spec.weight_decay
    )


@torch.no_grad()
def _update_ema(average: nn.Module, net: nn.Module, decay: float) -> None:
    for old, new in zip(average.state_dict().values(), net.state_dict().values(), strict=True):
        if old.is_floating_point():
            old.mul_(decay).add_(new, alpha=1 - decay)
        else:
            old.copy_(new)


class PlainLoop:
    """Feeds the learner from a `DataLoader`."""

    def __init__(
        self, settings: TrainingSettings, config: ModelConfig, dataset: OpenedDataset, device: torch.device
    ) -> None:
        self._networks, self._device = PlainLearner(settings, config, device), device
        self._num_classes = len(config.sample.classes or ())
        self._batches = endless(dataset, settings.recipe.batch_size)
        self._source = randomness.generator(settings.seed, "latents", device=device)

    def step(self) -> None:
        """Take one step."""
        recipe = self._networks.recipe
        parts = [self._for_discriminator() for _ in range(recipe.discriminator_steps)]
        self._networks.update(self._for_generator(), parts)

    def _for_generator(self) -> GeneratorInputs:
        real, labels = self._real() if self._networks.loss.paired else None, None
        if self._num_classes:
            labels = self._labels() if real is None else real.labels
        return GeneratorInputs(real, self._latents(), labels, self._numbers())

    def _for_discriminator(self) -> DiscriminatorInputs:
        recipe = self._networks.recipe
        latents = None if recipe.share_fakes else self._latents()
        epsilon = self._epsilon() if recipe.regularizers else None
        return DiscriminatorInputs(self._real(), latents, epsilon, self._numbers())

    def _real(self) -> Batch:
        samples, labels = next(self._batches)
        return Batch(samples.to(self._device), None if labels is None else labels.to(self._device))

    def _latents(self) -> Tensor:
        return draw_latents(self._networks.recipe.latent, self._networks.recipe.batch_size, self._source)

    def _labels(self) -> Tensor:
        shape = (self._networks.recipe.batch_size,)
        return torch.randint(self._num_classes, shape, generator=self._source, device=self._device)

    def _epsilon(self) -> Tensor:
        return torch.rand(self._networks.recipe.batch_size, generator=self._source, device=self._device)

    def _numbers(self) -> Tensor | None:
        """Return what augmentations are drawn by."""
        recipe = self._networks.recipe
        if not recipe.augment:
            return None
        shape = (recipe.batch_size, 2, len(recipe.augment), NUMBERS)
        return torch.rand(shape, generator=self._source, device=self._device)
