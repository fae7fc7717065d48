"""Every way of doing the work of a recipe, ready to take steps.

plain                    the loop that tutorials write
eager, graph, compile    our engines
sample                   `GAN.sample`, of which one call counts as a step
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import torch

from ganzoo import randomness
from ganzoo.bench.baseline import PlainLoop
from ganzoo.config import Layer, TrainingSettings, resolve_again
from ganzoo.data import OpenedDataset, open_batches, open_dataset
from ganzoo.model import GAN
from ganzoo.registry import datasets
from ganzoo.system.devices import find_device, synchronize
from ganzoo.training.engines.cuda_graph import WARM_UP
from ganzoo.training.engines.engine import Engine
from ganzoo.training.precision import allow_tf32
from ganzoo.training.state import TrainingState, check_trainable
from ganzoo.weights.building import build, generator_builder
from ganzoo.weights.model_config import ModelConfig, model_config


@dataclass(frozen=True)
class Way:
    """How the work is done."""

    name: str
    """`plain`, `eager`, `graph`, `compile` or `sample`."""
    precision: str
    """Type of the products: `fp32` or `bf16`."""

    def __str__(self) -> str:
        return f"{self.name} {self.precision}"


PLAIN, SAMPLE = Way("plain", "fp32"), Way("sample", "fp32")


@dataclass(frozen=True)
class Work:
    """What is done."""

    settings: TrainingSettings
    data_dir: Path | None
    samples: int
    """Samples in one call of `GAN.sample`."""


class Runner(ABC):
    """A way that is ready to take steps."""

    batch: int
    """Samples in a batch."""
    images_per_step: int
    """Real samples that the discriminator is trained on in a step; for `sample`, samples in a call."""
    problem = ""
    """Why it is another way than what was asked for."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    @abstractmethod
    def take(self, steps: int) -> None:
        """Take so many steps; the device may still be busy with them."""

    def finish(self) -> None:
        """Wait for the device."""
        synchronize(self.device)


def prepare(work: Work) -> tuple[OpenedDataset, ModelConfig, torch.device]:
    """Open what every way needs. Raises what `train` raises before it begins."""
    recipe = work.settings.recipe
    device, spec = find_device(work.settings.device), datasets.get(recipe.dataset)
    config = model_config(recipe, spec.sample)
    check_trainable(work.settings, config)
    return open_dataset(spec, recipe.split, work.data_dir), config, device


def ready(way: Way, work: Work) -> Runner:
    """Return a way that has left behind what it does only once: recording, compiling."""
    dataset, config, device = prepare(work)
    if way == PLAIN:
        return _Plain(work.settings, config, dataset, device)
    if way == SAMPLE:
        return Sampling(work, config, device)
    settings = resolve_again(work.settings, [Layer("bench", {"engine": way.name, "precision": way.precision})])
    return _Trained(settings, config, dataset, device)


class _Plain(Runner):
    """In the products that torch takes by itself."""

    def __init__(
        self, settings: TrainingSettings, config: ModelConfig, dataset: OpenedDataset, device: torch.device
    ) -> None:
        super().__init__(device)
        self.batch = settings.recipe.batch_size
        self.images_per_step = settings.recipe.discriminator_steps * self.batch
        self._loop = PlainLoop(settings, config, dataset, device)

    def take(self, steps: int) -> None:
        """Take steps as a tutorial would."""
        for _ in range(steps):
            self._loop.step()


class _Trained(Runner):
    """By an engine, as `train` does."""

    def __init__(
        self, settings: TrainingSettings, config: ModelConfig, dataset: OpenedDataset, device: torch.device
    ) -> None:
        super().__init__(device)
        self.batch = settings.recipe.batch_size
        self.images_per_step = settings.recipe.discriminator_steps * self.batch
        batches = open_batches(dataset, self.batch, settings.seed, device, settings.data)
        self._state = TrainingState(settings, config, batches, device)
        self._engine = Engine(self._state)
        self.take(WARM_UP + 1)  # a capture may fail after its warm-up
        if self._engine.name != settings.engine:
            self.problem = self._engine.reason

    def take(self, steps: int) -> None:
        """Take steps as a run would."""
        with self._state.ambient_randomness(), allow_tf32(self.device):
            for _ in range(steps):
                self._engine.step()


class Sampling(Runner):
    """Samples of an untrained generator, which take as long as those of a trained one."""

    def __init__(self, work: Work, config: ModelConfig, device: torch.device) -> None:
        super().__init__(device)
        self.batch = self.images_per_step = work.samples
        builder = generator_builder(config, f"recipe {config.recipe}")
        net = build(builder, randomness.derive_seed(work.settings.seed, "generator"))
        self.gan = GAN(net.eval().to(device), config)

    def take(self, steps: int) -> None:
        """Call it so many times."""
        for _ in range(steps):
            self.gan.sample(self.batch, seed=0)
