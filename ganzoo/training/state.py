"""Everything that one training step reads and writes, and its form on disk."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from ganzoo import randomness
from ganzoo.building import build, discriminator_builder, generator_builder, outline
from ganzoo.config import TrainingSettings
from ganzoo.data import Batches
from ganzoo.errors import SettingsError, UnknownNameError
from ganzoo.losses import REGULARIZERS, get_loss
from ganzoo.model_config import ModelConfig
from ganzoo.registry import architectures
from ganzoo.specs import Adam

TRACKED = ("loss_d", "loss_g", "score_real", "score_fake", "sign_real", "sign_fake")
"""What is averaged between two records; of the discriminator, the mean s(logit) and the mean sign of the logit."""


def check_trainable(settings: TrainingSettings, config: ModelConfig) -> None:
    """Find what would keep a state from being built, before any data is fetched for it.

    Raises UnknownNameError, SettingsError, PluginError.
    """
    recipe = settings.recipe
    loss = get_loss(recipe.loss, recipe.label_smoothing)
    for name in recipe.regularizers:
        if name not in REGULARIZERS:
            raise UnknownNameError("regularizer", name, REGULARIZERS)
    if loss.paired and recipe.conditional and recipe.share_fakes:
        raise SettingsError(
            f"the loss {loss.name!r} pairs real and fake samples of one class, which shared fakes do not have.",
            hint="Set share_fakes=false.",
        )
    for builder in (generator_builder, discriminator_builder):
        outline(builder(config, f"recipe {recipe.name}"))


class TrainingState:
    """Both nets, the moving average, both optimizers, every random stream and every counter of a run."""

    def __init__(self, settings: TrainingSettings, config: ModelConfig, batches: Batches, device: torch.device) -> None:
        recipe, seed = settings.recipe, settings.seed
        self.settings, self.config, self.batches, self.device = settings, config, batches, device
        self.loss = get_loss(recipe.loss, recipe.label_smoothing)

        source = f"recipe {recipe.name}"
        # Convolutions run faster with the channels last; nets without them are not touched by it.
        placed: dict[str, Any] = {"device": device, "memory_format": torch.channels_last}
        generator = build(generator_builder(config, source), randomness.derive_seed(seed, "generator"))
        discriminator = build(discriminator_builder(config, source), randomness.derive_seed(seed, "discriminator"))
        self.generator, self.discriminator = generator.to(**placed), discriminator.to(**placed)
        self.average = None if recipe.ema_decay is None else deepcopy(self.generator).eval().requires_grad_(False)
        self.generator_optimizer = _adam(self.generator, recipe.optimizers.generator)
        self.discriminator_optimizer = _adam(self.discriminator, recipe.optimizers.discriminator)

        self.latent_source = randomness.generator(seed, "latents", device=device)
        self._ambient = _seeded_ambient(randomness.derive_seed(seed, "ambient"), device)
        self.step = 0
        self.seconds = 0.0
        self.sums = torch.zeros(len(TRACKED), device=device)
        self.summed_steps = 0
        self.summed_seconds = 0.0

        # One pass over real and fake together is the same mathematics where no statistics cross the batch.
        self.joint_pass = architectures.get(recipe.architecture).batch_independent

    @property
    def trained_generator(self) -> nn.Module:
        """The generator that is saved and sampled: the moving average where the recipe has one."""
        return self.generator if self.average is None else self.average

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
        groups: dict[str, dict[str, Tensor]] = {
            "generator": dict(self.generator.state_dict()),
            "discriminator": dict(self.discriminator.state_dict()),
            "average": {} if self.average is None else dict(self.average.state_dict()),
            "generator_optimizer": _optimizer_tensors(self.generator_optimizer),
            "discriminator_optimizer": _optimizer_tensors(self.discriminator_optimizer),
            "batches": self.batches.state_dict(),
            "latents": {"generator": self.latent_source.get_state()},
            "ambient": self._ambient,
            "progress": {
                "step": torch.tensor(self.step),
                "seconds": torch.tensor(self.seconds, dtype=torch.float64),
                "sums": self.sums,
                "summed_steps": torch.tensor(self.summed_steps),
                "summed_seconds": torch.tensor(self.summed_seconds, dtype=torch.float64),
            },
        }
        return {f"{group}/{name}": tensor for group, named in groups.items() for name, tensor in named.items()}

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take up a state that `tensors` returned. Raises KeyError, RuntimeError or ValueError when it does not fit."""
        groups: dict[str, dict[str, Tensor]] = {}
        for path, tensor in tensors.items():
            group, _, name = path.partition("/")
            groups.setdefault(group, {})[name] = tensor
        self.generator.load_state_dict(groups["generator"])
        self.discriminator.load_state_dict(groups["discriminator"])
        if self.average is not None:
            self.average.load_state_dict(groups["average"])
        _load_optimizer(self.generator_optimizer, groups["generator_optimizer"])
        _load_optimizer(self.discriminator_optimizer, groups["discriminator_optimizer"])
        self.batches.load_state_dict(groups["batches"])
        self.latent_source.set_state(groups["latents"]["generator"])
        self._ambient = groups["ambient"]
        progress = groups["progress"]
        self.step = int(progress["step"])
        self.seconds = float(progress["seconds"])
        if progress["sums"].shape != self.sums.shape:
            return  # an older ganzoo tracked other things: the next record means over the steps from here
        self.sums = progress["sums"].to(self.device)
        self.summed_steps = int(progress["summed_steps"])
        self.summed_seconds = float(progress["summed_seconds"])


def _adam(net: nn.Module, spec: Adam) -> torch.optim.Adam:
    parameters = [parameter for parameter in net.parameters() if parameter.requires_grad]
    if not parameters:
        raise SettingsError(f"{type(net).__name__} has nothing to train.", hint="Use another config.")
    return torch.optim.Adam(
        parameters,
        lr=spec.learning_rate,
        betas=spec.betas,
        eps=spec.eps,
        weight_decay=spec.weight_decay,
        fused=parameters[0].device.type in ("cpu", "cuda"),
    )


def _optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    state: dict[int, dict[str, Any]] = optimizer.state_dict()["state"]
    return {
        f"{index}/{name}": torch.as_tensor(value) for index, named in state.items() for name, value in named.items()
    }


def _load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for path, tensor in tensors.items():
        index, _, name = path.partition("/")
        parameter = parameters[int(index)]
        # A fused step wants moments that lie in memory as their parameter does.
        laid_out = torch.empty_like(parameter).copy_(tensor) if tensor.shape == parameter.shape else tensor
        state.setdefault(int(index), {})[name] = laid_out
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


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
