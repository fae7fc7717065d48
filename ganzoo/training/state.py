"""All that a run is at one moment, and its form on disk."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from ganzoo import randomness
from ganzoo.augmentations import AUGMENTATIONS
from ganzoo.config import TrainingSettings
from ganzoo.data import Batches
from ganzoo.distributed.processes import SINGLE_PROCESS, Processes
from ganzoo.errors import SettingsError, UnknownNameError
from ganzoo.losses import REGULARIZERS, get_loss
from ganzoo.training.networks import Networks
from ganzoo.training.precision import with_precision
from ganzoo.weights.building import build_on_meta, discriminator_builder, generator_builder
from ganzoo.weights.model_config import ModelConfig


def check_trainable(settings: TrainingSettings, config: ModelConfig) -> None:
    """Find what would keep a state from being built, before any data is fetched for it.

    Raises UnknownNameError, SettingsError, PluginError.
    """
    recipe = settings.recipe
    loss = get_loss(recipe.loss, recipe.label_smoothing)
    for name in recipe.regularizers:
        if name not in REGULARIZERS:
            raise UnknownNameError("regularizer", name, REGULARIZERS)
    for name in recipe.augment:
        if name not in AUGMENTATIONS:
            raise UnknownNameError("augmentation", name, AUGMENTATIONS)
    if recipe.augment and config.sample.kind != "image":
        raise SettingsError(f"augmentations change images, and {recipe.dataset} has none.", hint="Leave augment empty.")
    if loss.paired and recipe.conditional and recipe.share_fakes:
        raise SettingsError(
            f"the loss {loss.name!r} pairs real and fake samples of one class, which shared fakes do not have.",
            hint="Set share_fakes=false.",
        )
    for builder in (generator_builder, discriminator_builder):
        build_on_meta(builder(config, f"recipe {recipe.name}"))


class TrainingState:
    """All that a run is at one moment: what it has learned, its random streams, where its data stand, its counters."""

    def __init__(
        self,
        settings: TrainingSettings,
        config: ModelConfig,
        batches: Batches,
        device: torch.device,
        processes: Processes = SINGLE_PROCESS,
    ) -> None:
        settings, seed = with_precision(settings, config, device), settings.seed
        self.settings, self.config, self.batches, self.device, self.processes = (
            settings,
            config,
            batches,
            device,
            processes,
        )
        self.networks = Networks(settings, config, device, processes)
        self.latent_source = randomness.generator(seed, "latents", device=device)
        self._ambient = _seeded_ambient(randomness.derive_seed(seed, "ambient"), device)
        self.step = 0
        self.seconds = 0.0
        self.summed_steps = 0
        self.summed_seconds = 0.0

    @property
    def trained_generator(self) -> nn.Module:
        """The generator that is saved and sampled: the moving average where the recipe has one."""
        return self.networks.generator if self.networks.generator_ema is None else self.networks.generator_ema

    @contextlib.contextmanager
    def ambient_randomness(self) -> Iterator[None]:
        """Lend the global generators, which dropout reads, to this run; the caller's come back unchanged."""
        before = _ambient_state(self.device)
        _set_ambient(self._ambient, self.device)
        try:
            yield
        finally:
            self._ambient = _ambient_state(self.device)
            _set_ambient(before, self.device)

    def tensors(self) -> dict[str, Tensor]:
        """Return the whole state by name, the counters included."""
        networks = self.networks
        groups: dict[str, dict[str, Tensor]] = {
            "generator": dict(networks.generator.state_dict()),
            "discriminator": dict(networks.discriminator.state_dict()),
            "generator_ema": {} if networks.generator_ema is None else dict(networks.generator_ema.state_dict()),
            "generator_optimizer": networks.generator_optimizer.tensors(),
            "discriminator_optimizer": networks.discriminator_optimizer.tensors(),
            "batches": self.batches.state_dict(),
            "latents": {"generator": self.latent_source.get_state()},
            "ambient": self._ambient,
            "progress": {
                "step": torch.tensor(self.step),
                "seconds": torch.tensor(self.seconds, dtype=torch.float64),
                "sums": networks.sums,
                "summed_steps": torch.tensor(self.summed_steps),
                "summed_seconds": torch.tensor(self.summed_seconds, dtype=torch.float64),
            },
        }
        return {f"{group}/{name}": tensor for group, named in groups.items() for name, tensor in named.items()}

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take up a state that `tensors` returned. Raises KeyError, RuntimeError or ValueError when it does not fit."""
        networks, groups = self.networks, defaultdict[str, dict[str, Tensor]](dict)
        for path, tensor in tensors.items():
            group, _, name = path.partition("/")
            groups[group][name] = tensor
        networks.generator.load_state_dict(groups["generator"])
        networks.discriminator.load_state_dict(groups["discriminator"])
        if networks.generator_ema is not None:
            networks.generator_ema.load_state_dict(groups["generator_ema"])
        networks.generator_optimizer.load_tensors(groups["generator_optimizer"])
        networks.discriminator_optimizer.load_tensors(groups["discriminator_optimizer"])
        self.batches.load_state_dict(groups["batches"])
        self.latent_source.set_state(groups["latents"]["generator"])
        self._ambient = groups["ambient"]
        progress = groups["progress"]
        self.step = int(progress["step"])
        self.seconds = float(progress["seconds"])
        if progress["sums"].shape != networks.sums.shape:
            return  # an older ganzoo tracked other things: the next record means over the steps from here
        networks.sums.copy_(progress["sums"])
        self.summed_steps = int(progress["summed_steps"])
        self.summed_seconds = float(progress["summed_seconds"])

    def take_from_first(self) -> None:
        """Become what the first rank is, but for the global generators: dropout must not be the same on all ranks."""
        if self.processes.world_size == 1:
            return
        tensors = self.tensors()
        self.processes.broadcast_tensors_(list(tensors.values()))
        if self.processes.is_main:
            return
        self.load_tensors(tensors)
        seed = randomness.derive_seed(self.settings.seed, "ambient", self.processes.rank, self.step)
        self._ambient = _seeded_ambient(seed, self.device)


# --- the global generators, which modules such as dropout cannot be told to leave alone ---


def _ambient_state(device: torch.device) -> dict[str, Tensor]:
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        state["mps"] = torch.mps.get_rng_state()
    return state


def _set_ambient(state: dict[str, Tensor], device: torch.device) -> None:
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda"], device)
    elif device.type == "mps":
        torch.mps.set_rng_state(state["mps"])


def _seeded_ambient(seed: int, device: torch.device) -> dict[str, Tensor]:
    """Return the state of freshly seeded generators of the CPU and of this device, and no other's touched."""
    before = _ambient_state(device)
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)
    try:
        return _ambient_state(device)
    finally:
        _set_ambient(before, device)
