"""The loop that a tutorial would write for a recipe: what our engines are compared with.

It repeats the arithmetic of `ganzoo.training` on purpose, the usual way: unfused Adam, separate passes over real and
fake samples, `.item()` on each loss. A baseline that shared our step would become faster whenever we do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, Dataset

from ganzoo import randomness, registry
from ganzoo.config import TrainingSettings
from ganzoo.data import Batch, OpenedDataset
from ganzoo.data.batches import draw_batch
from ganzoo.errors import SettingsError
from ganzoo.sampling import generate
from ganzoo.specs import (
    SGD,
    Adam,
    AdamW,
    ArrayData,
    Discriminators,
    GeneratorRegularizerInputs,
    Recipe,
    RegularizerInputs,
    RegularizerSpec,
    RMSprop,
    SyntheticData,
    TextSpec,
)
from ganzoo.specs.optimizers import OPTIMIZER_KINDS, Optimizer
from ganzoo.system.torch_private import foreach_lerp_
from ganzoo.training.schedules import as_regularization, schedules, value_at
from ganzoo.weights.building import build, discriminator_builder, generator_builder, noise_shapes
from ganzoo.weights.model_config import ModelConfig

Samples = tuple[Tensor, tuple[Tensor, ...]]
"""Samples [batch, *shape] and, for a conditional model, their labels or texts: nets are called with `*labels`."""


class Fakes(NamedTuple):
    """What the generator made, and of what."""

    samples: Tensor
    """[batch, *shape]"""
    labels: tuple[Tensor, ...]
    """As in `Samples`."""
    latents: Tensor
    """[batch, dim]"""
    noise: dict[str, Tensor]
    """Name -> [batch, *shape]."""


class Baseline:
    """Trains both nets of a recipe on an endless iterator of batches."""

    def __init__(
        self, settings: TrainingSettings, config: ModelConfig, batches: Iterator[Batch], device: torch.device
    ) -> None:
        recipe, source = settings.recipe, f"recipe {settings.recipe.name}"
        self.recipe, self.device, self.batches = recipe, device, batches
        _check_usual(recipe)
        self.num_classes, self.text = len(config.sample.classes or ()), config.sample.text
        self.noise_shapes = noise_shapes(config, source)
        self.loss = registry.losses.get(recipe.loss)
        self.regularizers = [
            (registry.regularizers.get(name), as_regularization(value)) for name, value in recipe.regularizers.items()
        ]
        self.states = [
            {name: tensor.to(device) for name, tensor in spec.state().items()} for spec, _ in self.regularizers
        ]
        self.augmentations = [registry.augmentations.get(name) for name in recipe.augment]
        # The seeds of our nets, so that a test can compare losses and weights after whole steps.
        seeds = [randomness.derive_seed(settings.seed, net) for net in ("generator", "discriminator")]
        self.generator = build(generator_builder(config, source), seeds[0]).to(device)
        self.discriminator = build(discriminator_builder(config, source), seeds[1]).to(device)
        self.optimizer_g = _optimizer(self.generator, recipe.optimizers.generator)
        self.optimizer_d = _optimizer(self.discriminator, recipe.optimizers.discriminator)
        self.schedulers = [
            # Called with the steps taken so far. The optimizers were made with a learning rate of 1.
            LambdaLR(optimizer, partial(value_at, spec.learning_rate, num_steps=recipe.steps))
            for optimizer, spec in (
                (self.optimizer_g, recipe.optimizers.generator),
                (self.optimizer_d, recipe.optimizers.discriminator),
            )
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
        # In the order of our step: numbers of the first update, then those that the fakes are made of.
        drawn = self._discriminator_numbers(size) if recipe.share_fakes and not generator_first else None
        shared_fakes = self._generate(size, labels) if recipe.share_fakes else None
        if generator_first:
            loss_g = self._update_generator(size, paired, labels, shared_fakes)
        for batch in batches:
            loss_d = self._update_discriminator(batch, shared_fakes, drawn)
        if not generator_first:
            loss_g = self._update_generator(size, paired, labels, shared_fakes)
        for scheduler in self.schedulers:
            scheduler.step()
        if self.generator_ema is not None and isinstance(recipe.ema_decay, float):
            decay = min(recipe.ema_decay, (1 + self.num_steps) / (10 + self.num_steps))
            with torch.no_grad():  # in one call for all parameters, as torch.optim.swa_utils does
                # Parameters only, which is also torch's default (use_buffers=False).
                averages, values = self.generator_ema.parameters(), self.generator.parameters()
                foreach_lerp_(list(averages), list(values), 1 - decay)
        self.num_steps += 1
        return loss_d, loss_g

    def _update_discriminator(
        self, batch: Samples, shared_fakes: Fakes | None, drawn: tuple[Tensor | None, Tensor | None] | None
    ) -> float:
        """Real up, fake down, on shared fakes or fresh ones with the labels of the real samples."""
        recipe, net = self.recipe, self.discriminator
        real, real_labels = batch
        if shared_fakes is None:
            with torch.no_grad():
                fake, fake_labels, *_ = self._generate(len(real), real_labels)
        else:
            # Detached: the generator's update still needs their graph, which a backward pass through it would free.
            fake, fake_labels = shared_fakes.samples.detach(), shared_fakes.labels
        epsilon, numbers = drawn or self._discriminator_numbers(len(real))
        real, fake = self._augmented(real, numbers, 0), self._augmented(fake, numbers, 1)
        assert isinstance(recipe.label_smoothing, float)
        loss = self.loss.discriminator(net(real, *real_labels), net(fake, *fake_labels), recipe.label_smoothing)
        if recipe.discriminator_loss == "mean":
            loss = loss / 2
        discriminators = Discriminators(real=lambda x: net(x, *real_labels), fake=lambda x: net(x, *fake_labels))
        for spec, factor, state in self._due("discriminator"):
            assert epsilon is not None
            given = RegularizerInputs(
                discriminators=discriminators,
                discriminator=net,
                real=real,
                fake=fake,
                real_labels=next(iter(real_labels), None),
                fake_labels=next(iter(fake_labels), None),
                epsilon=epsilon,
                state=state,
            )
            loss = loss + factor * spec.compute(given)
        # Also throws away what the generator's backward pass has left in the discriminator's gradients.
        # To zeros, as our step has it: decoders get no gradient in steps without their regularizer, and torch's
        # optimizers would skip parameters without one.
        self.optimizer_d.zero_grad(set_to_none=False)
        loss.backward()
        _clip(net, recipe.optimizers.discriminator)
        self.optimizer_d.step()
        if recipe.weight_clip is not None:
            for parameter in net.parameters():
                parameter.data.clamp_(-recipe.weight_clip, recipe.weight_clip)
        return loss.item()

    def _update_generator(
        self, size: int, paired: Samples | None, labels: tuple[Tensor, ...] | None, shared_fakes: Fakes | None
    ) -> float:
        """Make the discriminator mistake fakes for real."""
        fake, labels, latents, noise = shared_fakes or self._generate(size, labels)
        numbers = self._augmentation_numbers(size)
        due = list(self._due("generator"))
        directions = torch.randn(fake.shape, **self._random) if due else None
        fake = self._augmented(fake, numbers, 1)
        fake_logits, real_logits = self.discriminator(fake, *labels), None
        if paired is not None:
            with torch.no_grad():
                real_logits = self.discriminator(self._augmented(paired[0], numbers, 0), *labels)
        loss = self.loss.generator(fake_logits, real_logits)
        label = next(iter(labels), None)
        for spec, factor, state in due:
            assert directions is not None
            given = GeneratorRegularizerInputs(
                generate=lambda latents: generate(self.generator, latents, label, noise),
                latents=latents,
                fake=fake,
                labels=label,
                discriminator=self.discriminator,
                directions=directions,
                state=state,
            )
            loss = loss + factor * spec.compute(given)
        # `backward` below computes gradients for both nets, though only the generator is updated: the usual loop's
        # extra work, which our step avoids with `autograd.grad`.
        self.optimizer_g.zero_grad()
        loss.backward()
        _clip(self.generator, self.recipe.optimizers.generator)
        self.optimizer_g.step()
        return loss.item()

    def _due(self, net: str) -> Iterator[tuple[RegularizerSpec, float, Mapping[str, Tensor]]]:
        """Yield the regularizers of a net that this step has, their factors and states."""
        for (spec, regularization), state in zip(self.regularizers, self.states, strict=True):
            if spec.of == net and self.num_steps % regularization.every == 0:
                weight = value_at(regularization.weight, self.num_steps, self.recipe.steps)
                yield spec, weight * regularization.every, state

    def _generate(self, size: int, labels: tuple[Tensor, ...] | None) -> Fakes:
        """Return fakes with these labels, random ones for None, or none at all for an unconditional model."""
        latents = randomness.draw_latents(self.recipe.latent, size, self.source)
        noise = {name: torch.randn(size, *shape, **self._random) for name, shape in self.noise_shapes.items()}
        if labels is None:
            labels = (torch.randint(self.num_classes, (size,), **self._random),) if self.num_classes else ()
        samples = generate(self.generator, latents, labels[0] if labels else None, noise)
        return Fakes(samples, labels, latents, noise)

    def _next_batch(self) -> Samples:
        """Return real samples and, for a conditional model, their labels."""
        samples, labels = next(self.batches)
        if not (self.num_classes or self.text) or labels is None:
            return samples.to(self.device), ()
        return samples.to(self.device), (labels.to(self.device),)

    def _discriminator_numbers(self, size: int) -> tuple[Tensor | None, Tensor | None]:
        """Draw what regularizers, where one is due, and augmentations take in an update of the discriminator."""
        due = any(self._due("discriminator"))
        return self._uniform(size) if due else None, self._augmentation_numbers(size)

    def _uniform(self, *shape: int) -> Tensor:
        return torch.rand(shape, **self._random)

    def _augmentation_numbers(self, size: int) -> Tensor | None:
        most = max((spec.num_numbers for spec in self.augmentations), default=0)
        return self._uniform(size, 2, len(self.augmentations), most) if self.augmentations else None

    def _augmented(self, samples: Tensor, numbers: Tensor | None, which: int) -> Tensor:
        """Return what the discriminator sees of real (0) or fake (1) samples."""
        if numbers is not None:
            for index, spec in enumerate(self.augmentations):
                samples = spec.apply(samples, numbers[:, which, index, : spec.num_numbers])
        return samples


def _check_usual(recipe: Recipe) -> None:
    """Refuse what the loop of a tutorial does not have. Raises SettingsError."""
    kinds = (recipe.optimizers.generator.kind, recipe.optimizers.discriminator.kind)
    unusual = {
        "optimizers of plugins": not {*kinds} <= OPTIMIZER_KINDS.keys(),
        "schedules of anything but learning rates and regularizers": not all(
            key.endswith("learning_rate") or key.startswith("regularizers.") for key, _ in schedules(recipe)
        ),
        "a probability of augmentation": bool(recipe.augment) and recipe.augment_probability != 1,
    }
    for what, has in unusual.items():
        if has:
            raise SettingsError(f"the baseline of a benchmark does not have {what}.", hint="Measure a recipe without.")


def _optimizer(net: nn.Module, spec: Optimizer) -> torch.optim.Optimizer:
    """Return torch's own, with a learning rate of 1 that a scheduler multiplies."""
    parameters = net.parameters()
    if isinstance(spec, Adam | AdamW):
        make = torch.optim.Adam if isinstance(spec, Adam) else torch.optim.AdamW
        beta1, beta2 = spec.betas
        assert isinstance(beta1, float)
        assert isinstance(beta2, float)
        return make(parameters, lr=1.0, betas=(beta1, beta2), eps=spec.eps, weight_decay=spec.weight_decay)
    if isinstance(spec, RMSprop):
        return torch.optim.RMSprop(parameters, 1.0, spec.alpha, spec.eps, spec.weight_decay, spec.momentum)
    assert isinstance(spec, SGD)
    return torch.optim.SGD(
        parameters, lr=1.0, momentum=spec.momentum, nesterov=spec.nesterov, weight_decay=spec.weight_decay
    )


def _clip(net: nn.Module, spec: Optimizer) -> None:
    if spec.clip_norm is not None:
        nn.utils.clip_grad_norm_(net.parameters(), spec.clip_norm)


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
