"""The variants that are compared, each ready to take steps.

baseline                 the loop that a tutorial would write
eager, graph, compile    our engines
sample                   `GAN.sample`, where one call counts as a step
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import torch

from ganzoo import randomness
from ganzoo.bench.baseline import Baseline, load_batches
from ganzoo.config import Layer, TrainingSettings, resolve_again
from ganzoo.data import OpenedDataset, open_batches, open_dataset
from ganzoo.data.settings import dataset_of
from ganzoo.model import GAN
from ganzoo.system.devices import find_device, synchronize
from ganzoo.training.engines.cuda_graph import WARM_UP
from ganzoo.training.engines.engine import Engine
from ganzoo.training.precision import allow_tf32
from ganzoo.training.state import TrainingState, check_trainable
from ganzoo.training.threads import choose_threads
from ganzoo.weights.building import build, generator_builder
from ganzoo.weights.model_config import ModelConfig, model_config


@dataclass(frozen=True)
class Variant:
    """What is timed: a loop and its precision."""

    name: str
    """`baseline`, `eager`, `graph`, `compile` or `sample`."""
    precision: str
    """Compute precision: `fp32` or `bf16`."""

    def __str__(self) -> str:
        return f"{self.name} {self.precision}"


BASELINE, SAMPLE = Variant("baseline", "fp32"), Variant("sample", "fp32")


@dataclass(frozen=True)
class Workload:
    """What is measured."""

    settings: TrainingSettings
    data_dir: Path | None
    samples: int
    """Samples in one call of `GAN.sample`."""


class Runner(ABC):
    """A variant that is ready to take steps."""

    batch: int
    """Samples in a batch."""
    images_per_step: int
    """Real samples that the discriminator is trained on in a step; for `sample`, samples in a call."""
    problem = ""
    """Why this is not the requested variant."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    @abstractmethod
    def run(self, steps: int) -> None:
        """Take steps; the device may still be busy with them afterwards."""

    def finish(self) -> None:
        """Wait for the device."""
        synchronize(self.device)


def prepare(workload: Workload) -> tuple[OpenedDataset, ModelConfig, torch.device]:
    """Open what every variant needs. Raises what `train` raises before it begins."""
    recipe = workload.settings.recipe
    device, dataset = find_device(workload.settings.device), dataset_of(recipe)
    config = model_config(recipe, dataset.sample, dataset.settings)
    check_trainable(workload.settings, config)
    return open_dataset(dataset, recipe.split, workload.data_dir), config, device


def start(variant: Variant, workload: Workload) -> Runner:
    """Return a variant that has done what it does only once: recording, compiling."""
    dataset, config, device = prepare(workload)
    # As in a training; for the plain loop too, so that the variants differ in nothing else.
    threads = choose_threads(workload.settings, config, device)
    torch.set_num_threads(threads or torch.get_num_threads())
    if variant == BASELINE:
        return _Baseline(workload.settings, config, dataset, device)
    if variant == SAMPLE:
        return Sampling(workload, config, device)
    layer = Layer("bench", {"engine": variant.name, "precision": variant.precision})
    return _Engine(resolve_again(workload.settings, [layer]), config, dataset, device)


class _Baseline(Runner):
    def __init__(
        self, settings: TrainingSettings, config: ModelConfig, dataset: OpenedDataset, device: torch.device
    ) -> None:
        super().__init__(device)
        self.batch = settings.recipe.batch_size
        self.images_per_step = settings.recipe.discriminator_steps * self.batch
        batches = load_batches(dataset, self.batch, drop_last=settings.recipe.drop_last, text=config.sample.text)
        self._loop = Baseline(settings, config, batches, device)

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self._loop.step()


class _Engine(Runner):
    def __init__(
        self, settings: TrainingSettings, config: ModelConfig, dataset: OpenedDataset, device: torch.device
    ) -> None:
        super().__init__(device)
        self.batch = settings.recipe.batch_size
        self.images_per_step = settings.recipe.discriminator_steps * self.batch
        recipe = settings.recipe
        batches = open_batches(
            dataset,
            self.batch,
            settings.seed,
            device,
            settings.data,
            drop_last=recipe.drop_last,
            conditional=recipe.conditional,
            text=config.sample.text,
        )
        self._state = TrainingState(settings, config, batches, device)
        self._engine = Engine(self._state)
        self.run(WARM_UP + 1)  # a capture may fail after its warm-up
        if self._engine.name != settings.engine:
            self.problem = self._engine.reason

    def run(self, steps: int) -> None:
        # As in training/loop.py: a training step runs under these.
        with self._state.ambient_randomness(), allow_tf32(self.device):
            for _ in range(steps):
                self._engine.step()


class Sampling(Runner):
    """Samples an untrained generator, which takes as long as a trained one."""

    def __init__(self, workload: Workload, config: ModelConfig, device: torch.device) -> None:
        super().__init__(device)
        self.batch = self.images_per_step = workload.samples
        builder = generator_builder(config, f"recipe {config.recipe}")
        net = build(builder, randomness.derive_seed(workload.settings.seed, "generator"))
        self.gan = GAN(net.eval().to(device), config)

    def run(self, steps: int) -> None:
        """Call `GAN.sample` once for each step."""
        for _ in range(steps):
            self.gan.sample(self.batch, seed=0)
