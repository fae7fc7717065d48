"""Where a training begins when not from random weights: with those of a published model, a run or the Hub.

A tensor fits where name and shape agree. The others keep their random values, so a net of another size, with other
classes or with another number of channels takes over what it has in common with the old one.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ganzoo.config import TrainingSettings
from ganzoo.errors import ResumeError, SettingsError, shortened
from ganzoo.sources import resolve
from ganzoo.system.shell import quoted
from ganzoo.training.state import TrainingState
from ganzoo.weights.layout import NAMES
from ganzoo.weights.nets import discriminator_from_bytes, generator_from_bytes

NetName = Literal["generator", "discriminator"]
NAMED = 3
"""Tensors that a message names."""


@dataclass(frozen=True)
class InitialWeights:
    """Weights that were read and verified."""

    reference: str
    """Pinned to a version or commit; of a folder, its absolute path."""
    sha256: str
    """Digest of the generator's file."""
    nets: Mapping[NetName, Mapping[str, Tensor]]
    """The tensors of each net; without the discriminator if it begins with random weights."""


def read_initial(settings: TrainingSettings) -> InitialWeights | None:
    """Read the weights that a run begins with, None for random ones; pulls them where they are not in the store.

    Raises SettingsError for weights of another architecture or without a discriminator that is to be kept, and what
    `ganzoo.load` raises.
    """
    reference, recipe = settings.initial_weights, settings.recipe
    if reference is None:
        if settings.initial_discriminator != "auto":
            raise SettingsError("initial_discriminator needs initial_weights.", hint="Name the weights with --from.")
        return None
    source = resolve(reference)
    files = {file.role: content for file, content in source.read_all().items()}
    where = source.reference
    generator, config = generator_from_bytes(files["config"], files["generator"], where)
    if config.architecture != recipe.architecture:
        raise SettingsError(
            f"{reference} has the architecture {config.architecture!r}, and {recipe.name} has {recipe.architecture!r}.",
            hint=f"Start from weights of {recipe.architecture!r}, or choose a recipe of {config.architecture!r}.",
        )
    if config.output_range is not None:
        raise SettingsError(
            f"{reference} generates images from {list(config.output_range)}, not [-1, 1] as in a training.",
            hint="Start from other weights.",
        )
    nets: dict[NetName, Mapping[str, Tensor]] = {"generator": generator.state_dict()}
    if settings.initial_discriminator == "keep" and "discriminator" not in files:
        raise SettingsError(
            f"{reference} has no discriminator to keep.", hint="Train a new one: --from-discriminator new"
        )
    if settings.initial_discriminator != "new" and "discriminator" in files:
        place = f"{where}/{NAMES['discriminator']}"
        nets["discriminator"] = discriminator_from_bytes(config, files["discriminator"], place).state_dict()
    pinned = where if source.folder is None else str(source.folder.resolve())
    return InitialWeights(pinned, hashlib.sha256(files["generator"]).hexdigest(), nets)


def pinned(settings: TrainingSettings, initial: InitialWeights | None) -> TrainingSettings:
    """Return the settings with the pinned reference, which a run records."""
    return settings if initial is None else dataclasses.replace(settings, initial_weights=initial.reference)


def copy_initial(state: TrainingState, initial: InitialWeights) -> dict[str, Any]:
    """Copy what fits into the nets of a new state, the moving average included; return what was copied, as plain data.

    Raises SettingsError when nothing of a net fits.
    """
    networks = state.networks
    copied: dict[str, Any] = {"reference": initial.reference, "sha256": initial.sha256}
    for name, tensors in initial.nets.items():
        net = networks.generator if name == "generator" else networks.discriminator
        fits = _copy(net, tensors)
        new = [key for key in net.state_dict() if key not in fits]
        # Biases, and counters of batch normalisation, fit nearly everything.
        if not any(tensors[key].dim() > 1 for key in fits):
            if name == "discriminator" and state.settings.initial_discriminator == "auto":
                continue
            raise SettingsError(
                f"no weight of {initial.reference} fits the {name}: {_first_misfit(net, tensors)}.",
                hint=f"Set the sizes of its config (ganzoo show {quoted(initial.reference)}), or start without --from.",
            )
        copied[name] = {"num": len(fits), "of": len(fits) + len(new), "new": new}
    if networks.generator_ema is not None:
        networks.generator_ema.load_state_dict(networks.generator.state_dict())
    return copied


@torch.no_grad()
def _copy(net: nn.Module, tensors: Mapping[str, Tensor]) -> list[str]:
    """Copy the tensors that fit, in place, and return their names."""
    own = net.state_dict()
    fits = [name for name, tensor in own.items() if name in tensors and tensors[name].shape == tensor.shape]
    for name in fits:
        own[name].copy_(tensors[name])
    return fits


def _first_misfit(net: nn.Module, tensors: Mapping[str, Tensor]) -> str:
    for name, tensor in net.state_dict().items():
        if name in tensors and tensors[name].shape != tensor.shape:
            return f"{name} has the shape {list(tensors[name].shape)} there and {list(tensor.shape)} here"
    return "the names of their tensors differ"


def described(copied: Mapping[str, Any]) -> str:
    """Return in one line what `copy_initial` has copied."""
    parts = []
    for name in ("generator", "discriminator"):
        found = copied.get(name)
        if found is None:
            parts.append(f"a new {name}")
        elif found["num"] == found["of"]:
            parts.append(f"the whole {name}")
        else:
            new = ", ".join(found["new"][:NAMED]) + ("…" if len(found["new"]) > NAMED else "")
            parts.append(f"{found['num']} of {found['of']} tensors of the {name} (new: {shortened(new)})")
    return f"starts from {copied['reference']} with {' and '.join(parts)}"


def refuse_other_weights(initial: InitialWeights, sha256: object) -> None:
    """Refuse to begin a run again from weights that have changed since. Raises ResumeError."""
    if initial.sha256 != sha256:
        raise ResumeError(
            f"the run began with other weights than {initial.reference} holds now, and it has no checkpoint yet.",
            hint="Start a new run.",
        )
