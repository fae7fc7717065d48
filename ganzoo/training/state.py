"""The whole state of a run between two steps, and its form in a checkpoint."""

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
from ganzoo.weights.building import build_on_meta, discriminator_builder, generator_builder, noise_shapes
from ganzoo.weights.model_config import ModelConfig


def check_trainable(settings: TrainingSettings, config: ModelConfig) -> None:
    """Refuse settings that no state can be built from, before any data is downloaded for them.

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
    for builder in (generator_builder, discriminator_builder):
        build_on_meta(builder(config, f"recipe {recipe.name}"))


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

    def tensors(self) -> dict[str, Tensor]:
        """Return the whole state by name, the counters included."""
        networks = self.networks
        # These names are the format of checkpoints: renaming one makes old checkpoints unreadable.
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
                "images": torch.tensor(self.images),
                "seconds": torch.tensor(self.seconds, dtype=torch.float64),
                "sums": networks.sums,
                "summed_steps": torch.tensor(self.summed_steps),
                "summed_seconds": torch.tensor(self.summed_seconds, dtype=torch.float64),
            },
        }
        return {f"{group}/{name}": tensor for group, named in groups.items() for name, tensor in named.items()}

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Restore what `tensors` returned. Raises KeyError, RuntimeError or ValueError when it does not fit."""
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
        self.step, self.images = int(progress["step"]), int(progress["images"])
        self.seconds = float(progress["seconds"])
        networks.sums.copy_(progress["sums"])
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
