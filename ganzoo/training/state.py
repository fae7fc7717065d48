"""The whole state of a run between two steps, and its form in a checkpoint."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from ganzoo import randomness, registry
from ganzoo.config import TrainingSettings
from ganzoo.data import Batches
from ganzoo.distributed.processes import SINGLE_PROCESS, Processes
from ganzoo.errors import SettingsError
from ganzoo.training.networks import Networks
from ganzoo.training.optimizers import freeze, optimizer_config
from ganzoo.training.precision import with_precision
from ganzoo.training.schedules import Schedules
from ganzoo.weights.building import build_on_meta, discriminator_builder, generator_builder, noise_shapes
from ganzoo.weights.model_config import ModelConfig


def check_trainable(settings: TrainingSettings, config: ModelConfig) -> None:
    """Refuse settings that no state can be built from, before any data is downloaded for them.

    Raises UnknownNameError, SettingsError, PluginError.
    """
    recipe = settings.recipe
    loss = registry.losses.get(recipe.loss)
    for optimizer in (recipe.optimizers.generator, recipe.optimizers.discriminator):
        optimizer_config(optimizer)
    for name in recipe.regularizers:
        architectures = registry.regularizers.get(name).architectures
        if architectures and recipe.architecture not in architectures:
            raise SettingsError(
                f"the regularizer {name!r} works with {' and '.join(architectures)}, not with {recipe.architecture!r}.",
                hint="Remove it from regularizers, or choose that architecture.",
            )
    for name in recipe.augment:
        registry.augmentations.get(name)
    if recipe.label_smoothing != 0 and not loss.smoothable:
        raise SettingsError(
            f"the loss {loss.name!r} has no targets to smooth, but label_smoothing is set.",
            hint="Set label_smoothing=0, or use a loss with targets, such as bce or least_squares.",
        )
    if recipe.augment and config.sample.kind != "image":
        raise SettingsError(
            f"augmentations change images, but the samples of {recipe.dataset} are not images.",
            hint="Leave augment empty.",
        )
    if loss.paired and recipe.conditional and recipe.share_fakes:
        raise SettingsError(
            f"the loss {loss.name!r} pairs real and fake samples of one class, which shared fakes do not have.",
            hint="Set share_fakes=false.",
        )
    # The generator's real batch may be the incomplete last one of an epoch while the discriminator's is full.
    if loss.paired and recipe.share_fakes and not recipe.drop_last:
        raise SettingsError(
            f"the loss {loss.name!r} takes two real batches in a step, and shared fakes fit only one size.",
            hint="Set share_fakes=false or drop_last=true.",
        )
    # On the meta device, without memory: names, labels and sizes that do not fit are found here, before a download.
    builders = {"generator": generator_builder, "discriminator": discriminator_builder}
    nets = {name: build_on_meta(builder(config, f"recipe {recipe.name}")) for name, builder in builders.items()}
    freeze(nets, settings.freeze)


class TrainingState:
    """The networks, the random streams, the position in the data, and the counters of a run."""

    def __init__(
        self,
        settings: TrainingSettings,
        config: ModelConfig,
        batches: Batches,
        device: torch.device,
        processes: Processes = SINGLE_PROCESS,
    ) -> None:
        # From here on, precision is fp32 or bf16, never auto; the run records this one.
        settings, seed = with_precision(settings, config, device), settings.seed
        self.settings, self.config, self.batches = settings, config, batches
        self.device, self.processes = device, processes
        self.networks = Networks(settings, config, device, processes)
        self.noise_shapes = noise_shapes(config, f"recipe {settings.recipe.name}")
        self.schedules = Schedules(settings.recipe)
        self.latent_source = randomness.generator(seed, "latents", device=device)
        self._ambient = randomness.seeded_ambient_state(randomness.derive_seed(seed, "ambient"), device)
        self.step = 0
        self.images = 0
        """Real samples that the discriminator has learned from."""
        self.seconds = 0.0
        self.summed_steps = 0
        self.summed_seconds = 0.0

    @property
    def trained_generator(self) -> nn.Module:
        """The generator that is saved and sampled: the moving average if the recipe has one."""
        return self.networks.generator if self.networks.generator_ema is None else self.networks.generator_ema

    @contextlib.contextmanager
    def ambient_randomness(self) -> Iterator[None]:
        """Give torch's global generators, which dropout reads, this run's states; restore the caller's at the end."""
        before = randomness.ambient_state(self.device)
        randomness.set_ambient_state(self._ambient, self.device)
        try:
            yield
        finally:
            self._ambient = randomness.ambient_state(self.device)
            randomness.set_ambient_state(before, self.device)

    def reseed(self, number: int) -> None:
        """Begin new random streams: latents, augmentation, dropout; the position in the data stays."""
        seed = self.settings.seed
        self.latent_source.manual_seed(randomness.derive_seed(seed, "latents", number))
        self._ambient = randomness.seeded_ambient_state(randomness.derive_seed(seed, "ambient", number), self.device)

    def _modules(self) -> dict[str, nn.Module]:
        """Return the modules whose tensors are saved, by the name of their group in a checkpoint."""
        networks = self.networks
        modules = {
            "generator": networks.generator,
            "discriminator": networks.discriminator,
            "generator_ema": networks.generator_ema,
            "generator_optimizer": networks.generator_optimizer,
            "discriminator_optimizer": networks.discriminator_optimizer,
            "regularizers": networks.regularizers,
            "augmentation": networks.augmentation,
        }
        return {name: module for name, module in modules.items() if module is not None}

    def tensors(self) -> dict[str, Tensor]:
        """Return the whole state by name, the counters included."""
        # These names are the format of checkpoints: renaming one makes old checkpoints unreadable.
        groups: dict[str, dict[str, Tensor]] = {
            **{name: dict(module.state_dict()) for name, module in self._modules().items()},
            "batches": self.batches.state_dict(),
            "latents": {"generator": self.latent_source.get_state()},
            "ambient": self._ambient,
            "progress": {
                "step": torch.tensor(self.step),
                "images": torch.tensor(self.images),
                "seconds": torch.tensor(self.seconds, dtype=torch.float64),
                "sums": self.networks.sums,
                "summed_steps": torch.tensor(self.summed_steps),
                "summed_seconds": torch.tensor(self.summed_seconds, dtype=torch.float64),
            },
        }
        return {f"{group}/{name}": tensor for group, named in groups.items() for name, tensor in named.items()}

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Restore what `tensors` returned. Raises KeyError, RuntimeError or ValueError when it does not fit."""
        groups = defaultdict[str, dict[str, Tensor]](dict)
        for path, tensor in tensors.items():
            group, _, name = path.partition("/")
            groups[group][name] = tensor
        for name, module in self._modules().items():
            module.load_state_dict(groups[name])
        self.batches.load_state_dict(groups["batches"])
        self.latent_source.set_state(groups["latents"]["generator"])
        self._ambient = groups["ambient"]
        progress = groups["progress"]
        self.step, self.images = int(progress["step"]), int(progress["images"])
        self.seconds = float(progress["seconds"])
        self.networks.sums.copy_(progress["sums"])
        self.summed_steps = int(progress["summed_steps"])
        self.summed_seconds = float(progress["summed_seconds"])

    def copy_from_main(self) -> None:
        """Become what the main rank is, except for the global generators: each rank needs dropout of its own."""
        tensors = self.tensors()
        self.processes.broadcast_tensors_(list(tensors.values()))
        if self.processes.is_main:
            return
        # Networks and moments were overwritten in place; counters and generator states are copies, and are put back
        # here.
        self.load_tensors(tensors)
        seed = randomness.derive_seed(self.settings.seed, "ambient", self.processes.rank, self.step)
        self._ambient = randomness.seeded_ambient_state(seed, self.device)
