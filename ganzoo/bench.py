"""Training speed of a recipe on this machine: our step against the loop that tutorials write, side by side in one run.

The plain loop trains the same nets with the same losses in the same order. It does what is usual: a `DataLoader` that
makes each image a PIL image and a normalised tensor, unfused Adam, and `.item()` on both losses in every step.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset

from ganzoo import randomness
from ganzoo.config import TrainingSettings
from ganzoo.data import open_batches, open_dataset
from ganzoo.data.packed import OpenedDataset
from ganzoo.devices import find_device
from ganzoo.errors import UsageError
from ganzoo.model_config import model_config
from ganzoo.randomness import draw_latents
from ganzoo.registry import datasets
from ganzoo.specs import Adam, ArrayData, SyntheticData
from ganzoo.training.engine import Engine
from ganzoo.training.state import TrainingState

WARM_UP_STEPS = 20


@dataclass(frozen=True)
class Speed:
    """Steps per second over several alternating rounds."""

    loop: str
    """`plain`, or the precision of our own step."""
    median: float
    slowest: float
    fastest: float
    ratio: float
    """Median over rounds of this loop's speed against the plain loop's in the same round."""


def bench(settings: TrainingSettings, data_dir: Path | None, *, rounds: int, steps: int) -> list[Speed]:
    """Time `steps` steps of each loop in each of `rounds` rounds, taking turns, after a warm-up.

    Raises UsageError for a recipe that the plain loop cannot express, and what `train` raises.
    """
    device = find_device(settings.device)
    dataset = open_dataset(datasets.get(settings.recipe.dataset), settings.recipe.split, data_dir)
    loops: dict[str, Callable[[], None]] = {"plain": _plain_loop(settings, dataset, device)}
    for precision in ("fp32", "bf16"):
        loops[precision] = Engine(_state(settings, precision, dataset, device)).step
    for loop in loops.values():
        _time(loop, WARM_UP_STEPS, device)
    times: dict[str, list[float]] = {name: [] for name in loops}
    for _ in range(rounds):
        for name, loop in loops.items():
            times[name].append(_time(loop, steps, device))
    return [_speed(name, steps, times[name], times["plain"]) for name in loops]


def _speed(name: str, steps: int, seconds: list[float], plain: list[float]) -> Speed:
    speeds = [steps / value for value in seconds]
    ratios = [theirs / ours for ours, theirs in zip(seconds, plain, strict=True)]
    return Speed(name, statistics.median(speeds), min(speeds), max(speeds), statistics.median(ratios))


def _time(loop: Callable[[], None], steps: int, device: torch.device) -> float:
    started = time.perf_counter()
    for _ in range(steps):
        loop()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


def _state(settings: TrainingSettings, precision: str, dataset: OpenedDataset, device: torch.device) -> TrainingState:
    from ganzoo.config import Layer, resolve_again

    settings = resolve_again(settings, [Layer("bench", {"precision": precision})])
    batches = open_batches(dataset, settings.recipe.batch_size, settings.seed, device, settings.data)
    return TrainingState(settings, model_config(settings.recipe, dataset.spec.sample), batches, device)


# --- the plain loop ---


class _PilImages(Dataset[Tensor]):
    """One image at a time, as torchvision's datasets do: array -> PIL -> tensor -> normalised."""

    def __init__(self, data: ArrayData) -> None:
        from torchvision import transforms

        self._images = torch.from_numpy(data.samples[:].copy())
        middle = (0.5,) * self._images.shape[1]
        self._transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(middle, middle)])

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Tensor:
        from PIL import Image

        pixels = self._images[index].permute(1, 2, 0).numpy()
        image: Tensor = self._transform(Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels))
        return image


class _Drawn(IterableDataset[Tensor]):
    """A synthetic set, a batch at a time."""

    def __init__(self, data: SyntheticData, batch_size: int) -> None:
        self._data, self._batch_size = data, batch_size

    def __iter__(self) -> Iterator[Tensor]:
        source = randomness.generator(0, "bench")
        while True:
            yield self._data.draw(self._batch_size, source)


def _plain_loop(settings: TrainingSettings, dataset: OpenedDataset, device: torch.device) -> Callable[[], None]:
    recipe = settings.recipe
    state = _state(settings, "fp32", dataset, device)
    if recipe.conditional or recipe.regularizers or recipe.discriminator_steps > 1 or state.learner.loss.paired:
        raise UsageError(
            "the plain loop knows no labels, regularizers, paired losses or several discriminator steps.",
            hint="Bench a recipe without them.",
        )
    learner = state.learner
    generator, discriminator, loss = learner.generator, learner.discriminator, learner.loss
    optimizers = (
        _unfused(generator, recipe.optimizers.generator),
        _unfused(discriminator, recipe.optimizers.discriminator),
    )
    batches = _endless(dataset, recipe.batch_size)

    def generate() -> Tensor:
        fake: Tensor = generator(draw_latents(recipe.latent, recipe.batch_size, state.latent_source))
        return fake

    def update_generator() -> Tensor:
        optimizers[0].zero_grad()
        fake = generate()
        loss_g = loss.generator(discriminator(fake), None)
        loss_g.backward()
        optimizers[0].step()
        loss_g.item()
        return fake

    def update_discriminator(real: Tensor, fake: Tensor) -> None:
        optimizers[1].zero_grad()
        loss_d = loss.discriminator(discriminator(real), discriminator(fake.detach()), recipe.label_smoothing)
        if recipe.discriminator_loss == "mean":
            loss_d = loss_d / 2
        loss_d.backward()
        optimizers[1].step()
        loss_d.item()

    def step() -> None:
        real = next(batches).to(device)
        if recipe.update_order == "generator_first":
            fake = update_generator()
            update_discriminator(real, fake if recipe.share_fakes else generate())
        else:
            update_discriminator(real, generate())
            update_generator()

    return step


def _endless(dataset: OpenedDataset, batch_size: int) -> Iterator[Tensor]:
    loader: DataLoader[Any]
    if isinstance(dataset.data, SyntheticData):
        loader = DataLoader(_Drawn(dataset.data, batch_size), batch_size=None)
    elif dataset.spec.sample.kind == "image":
        loader = DataLoader(_PilImages(dataset.data), batch_size=batch_size, shuffle=True, drop_last=True)
    else:
        raise UsageError(f"the plain loop cannot read {dataset.spec.name}.", hint="Bench a recipe on images or laws.")
    while True:
        yield from loader


def _unfused(net: nn.Module, spec: Adam) -> torch.optim.Adam:
    return torch.optim.Adam(
        net.parameters(), lr=spec.learning_rate, betas=spec.betas, eps=spec.eps, weight_decay=spec.weight_decay
    )
