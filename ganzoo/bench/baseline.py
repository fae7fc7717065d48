"""The loop that a tutorial would write for a recipe: what our engines are compared with.

It repeats the arithmetic of `ganzoo.training` on purpose, the usual way: unfused Adam, separate passes over real and
fake samples, `.item()` on each loss. A baseline that shared our step would become faster whenever we do.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, Dataset

from ganzoo import randomness
from ganzoo.augmentations import NUMBERS, augment
from ganzoo.config import TrainingSettings
from ganzoo.data import Batch, OpenedDataset
from ganzoo.data.batches import draw_batch
from ganzoo.losses import REGULARIZERS, Discriminators, get_loss
from ganzoo.sampling import generate
from ganzoo.specs import Adam, ArrayData, SyntheticData, TextSpec
from ganzoo.system.torch_private import foreach_lerp_
from ganzoo.weights.building import build, discriminator_builder, generator_builder, noise_shapes
from ganzoo.weights.model_config import ModelConfig

Samples = tuple[Tensor, tuple[Tensor, ...]]
"""Samples [batch, *shape] and, for a conditional model, their labels int64 [batch]: nets are called with `*labels`."""


class Baseline:
    """Trains both nets of a recipe on an endless iterator of batches."""

    def __init__(
        self, settings: TrainingSettings, config: ModelConfig, batches: Iterator[Batch], device: torch.device
    ) -> None:
        recipe, source = settings.recipe, f"recipe {settings.recipe.name}"
        self.recipe, self.device, self.batches = recipe, device, batches
        self.num_classes, self.text = len(config.sample.classes or ()), config.sample.text
        self.noise_shapes = noise_shapes(config, source)
        self.loss = get_loss(recipe.loss, recipe.label_smoothing)
        # The seeds of our nets, so that a test can compare losses and weights after whole steps.
        seeds = [randomness.derive_seed(settings.seed, net) for net in ("generator", "discriminator")]
        self.generator = build(generator_builder(config, source), seeds[0]).to(device)
        self.discriminator = build(discriminator_builder(config, source), seeds[1]).to(device)
        self.optimizer_g = _adam(self.generator, recipe.optimizers.generator)
        self.optimizer_d = _adam(self.discriminator, recipe.optimizers.discriminator)
        self.schedulers = [
            LambdaLR(optimizer, lambda step: 1 - step / recipe.steps)  # called with the steps taken so far
            for optimizer, spec in (
                (self.optimizer_g, recipe.optimizers.generator),
                (self.optimizer_d, recipe.optimizers.discriminator),
            )
            if spec.decay == "linear"
        ]
        self.generator_ema = None if recipe.ema_decay is None else deepcopy(self.generator)
        self.num_steps = 0
        self.source = randomness.generator(settings.seed, "latents", device=device)
        self._random: dict[str, Any] = {"generator": self.source, "device": device}

    def step(self) -> tuple[float, float]:
        """Update the generator once and the discriminator as often as the recipe says; return their last losses."""
        recipe, generator_first = self.recipe, self.recipe.update_order == "generator_first"
        # As many batches as our step takes, and the same ones of them for the same update.
        batches = [self._next_batch() for _ in range(recipe.discriminator_steps + self.loss.paired)]
        paired = batches.pop(0 if generator_first else -1) if self.loss.paired else None
        size = len((paired or batches[-1])[0])
        labels = None if paired is None else paired[1]
        if paired is None and self.text is not None:  # fakes get random labels, but the texts of real samples
            labels = batches[-1][1]
        shared_fakes = self._generate(size, labels) if recipe.share_fakes else None
        if generator_first:
            loss_g = self._update_generator(size, paired, labels, shared_fakes)
        for batch in batches:
            loss_d = self._update_discriminator(batch, shared_fakes)
        if not generator_first:
            loss_g = self._update_generator(size, paired, labels, shared_fakes)
        for scheduler in self.schedulers:
            scheduler.step()
        if self.generator_ema is not None and recipe.ema_decay is not None:
            decay = min(recipe.ema_decay, (1 + self.num_steps) / (10 + self.num_steps))
            with torch.no_grad():  # in one call for all parameters, as torch.optim.swa_utils does
                # Parameters only, which is also torch's default (use_buffers=False).
                averages, values = self.generator_ema.parameters(), self.generator.parameters()
                foreach_lerp_(list(averages), list(values), 1 - decay)
        self.num_steps += 1
        return loss_d, loss_g

    def _update_discriminator(self, batch: Samples, shared_fakes: Samples | None) -> float:
        """Real up, fake down, on shared fakes or fresh ones with the labels of the real samples."""
        recipe, net = self.recipe, self.discriminator
        real, real_labels = batch
        if shared_fakes is None:
            with torch.no_grad():
                fake, fake_labels = self._generate(len(real), real_labels)
        else:
            # Detached: the generator's update still needs their graph, which a backward pass through it would free.
            fake, fake_labels = shared_fakes[0].detach(), shared_fakes[1]
        epsilon = self._uniform(len(real)) if recipe.regularizers else None
        numbers = self._augmentation_numbers(len(real))
        real, fake = self._augmented(real, numbers, 0), self._augmented(fake, numbers, 1)
        loss = self.loss.discriminator(net(real, *real_labels), net(fake, *fake_labels), recipe.label_smoothing)
        if recipe.discriminator_loss == "mean":
            loss = loss / 2
        discriminators = Discriminators(real=lambda x: net(x, *real_labels), fake=lambda x: net(x, *fake_labels))
        for name, weight in recipe.regularizers.items():
            assert epsilon is not None
            loss = loss + weight * REGULARIZERS[name](discriminators, real, fake, epsilon)
        # Also throws away what the generator's backward pass has left in the discriminator's gradients.
        self.optimizer_d.zero_grad()
        loss.backward()
        self.optimizer_d.step()
        if recipe.weight_clip is not None:
            for parameter in net.parameters():
                parameter.data.clamp_(-recipe.weight_clip, recipe.weight_clip)
        return loss.item()

    def _update_generator(
        self, size: int, paired: Samples | None, labels: tuple[Tensor, ...] | None, shared_fakes: Samples | None
    ) -> float:
        """Make the discriminator mistake fakes for real."""
        fake, labels = shared_fakes or self._generate(size, labels)
        numbers = self._augmentation_numbers(size)
        fake_logits, real_logits = self.discriminator(self._augmented(fake, numbers, 1), *labels), None
        if paired is not None:
            with torch.no_grad():
                real_logits = self.discriminator(self._augmented(paired[0], numbers, 0), *labels)
        loss = self.loss.generator(fake_logits, real_logits)
        # `backward` below computes gradients for both nets, though only the generator is updated: the usual loop's
        # extra work, which our step avoids with `autograd.grad`.
        self.optimizer_g.zero_grad()
        loss.backward()
        self.optimizer_g.step()
        return loss.item()

    def _generate(self, size: int, labels: tuple[Tensor, ...] | None) -> Samples:
        """Return fakes with these labels, random ones for None, or none at all for an unconditional model."""
        latents = randomness.draw_latents(self.recipe.latent, size, self.source)
        noise = {name: torch.randn(size, *shape, **self._random) for name, shape in self.noise_shapes.items()}
        if labels is None:
            labels = (torch.randint(self.num_classes, (size,), **self._random),) if self.num_classes else ()
        return generate(self.generator, latents, labels[0] if labels else None, noise), labels

    def _next_batch(self) -> Samples:
        """Return real samples and, for a conditional model, their labels."""
        samples, labels = next(self.batches)
        if not (self.num_classes or self.text) or labels is None:
            return samples.to(self.device), ()
        return samples.to(self.device), (labels.to(self.device),)

    def _uniform(self, *shape: int) -> Tensor:
        return torch.rand(shape, **self._random)

    def _augmentation_numbers(self, size: int) -> Tensor | None:
        names = self.recipe.augment
        return self._uniform(size, 2, len(names), NUMBERS) if names else None

    def _augmented(self, samples: Tensor, numbers: Tensor | None, which: int) -> Tensor:
        """Return what the discriminator sees of real (0) or fake (1) samples."""
        return samples if numbers is None else augment(samples, self.recipe.augment, numbers[:, which])


def _adam(net: nn.Module, spec: Adam) -> torch.optim.Adam:
    return torch.optim.Adam(
        net.parameters(), lr=spec.learning_rate, betas=spec.betas, eps=spec.eps, weight_decay=spec.weight_decay
    )


def load_batches(
    dataset: OpenedDataset, batch_size: int, *, drop_last: bool = True, text: TextSpec | None = None
) -> Iterator[Batch]:
    """Yield shuffled batches on the CPU without end, with texts in place of labels for a text-conditional model."""
    if isinstance(dataset.data, SyntheticData):
        source = randomness.generator(0, "bench")
        while True:
            yield draw_batch(dataset.data, batch_size, source, labels=True, text=text)
    items = _Items(dataset.data, text, images=dataset.spec.sample.kind == "image")
    # In this process: worker processes would take cores that the other variants do not get.
    loader = DataLoader(items, batch_size=batch_size, shuffle=True, drop_last=drop_last)
    while True:
        for samples, labels in loader:
            yield Batch(samples, labels)


class _Items(Dataset[tuple[Tensor, int | Tensor]]):
    """One sample at a time; images as torchvision's datasets give them: array -> PIL -> tensor -> [-1, 1]."""

    def __init__(self, data: ArrayData, text: TextSpec | None, *, images: bool) -> None:
        from torchvision import transforms  # slow to import, only needed here

        self.samples, self.labels, self.images = np.asarray(data.samples), data.labels, images
        self.texts, self.text = data.texts, text
        self.transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(0.5, 0.5)])

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, int | Tensor]:
        from PIL import Image

        label: int | Tensor = 0 if self.labels is None else int(self.labels[index])
        if self.text is not None and self.texts is not None:
            label = torch.tensor(self.text.encode(self.texts[index].decode()))
        if not self.images:
            return torch.from_numpy(self.samples[index].copy()), label
        pixels = self.samples[index].transpose(1, 2, 0)  # [height, width, channels]
        image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else np.ascontiguousarray(pixels))
        return self.transform(image), label
