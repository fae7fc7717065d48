"""A kept checkpoint of a run -> a model."""

from __future__ import annotations

import hashlib
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ganzoo.errors import UsageError, WeightsFormatError, hint_for
from ganzoo.model import GAN
from ganzoo.weights.building import build_with_weights, discriminator_builder, generator_builder
from ganzoo.weights.model_config import parse_model_config
from ganzoo.weights.tensors import MAX_STATE_BYTES, deserialize, read_checked

if TYPE_CHECKING:
    from torch import Tensor

    from ganzoo.sources.kinds import Source

_NAME = re.compile(r"step-(\d{8,})\.safetensors")


def load_checkpoint(source: Source, step: int) -> GAN:
    """Return the model of a run as it was after a step: the moving average of its generator if it has one.

    Raises UsageError for weights that are not a run or a step that was not kept, WeightsFormatError for a damaged file,
    and what `Source.read` raises.
    """
    folder = source.folder
    if folder is None or not (folder / "run.json").is_file():
        raise UsageError(
            f"{source.reference} is not a run, so it has no checkpoints.", hint="Leave the step out, or name a run."
        )
    path = folder / "checkpoints" / f"step-{step:08d}.safetensors"
    config = parse_model_config(source.read("config"), f"{folder}/config.json")
    try:
        content = read_checked(path, MAX_STATE_BYTES)
    except FileNotFoundError:
        raise UsageError(f"{folder} has no checkpoint of step {step}.", hint=_kept(path.parent)) from None
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}.", hint=hint_for(error)) from error
    tensors, _ = deserialize(content, path)
    generator = _group(tensors, "generator_ema") or _group(tensors, "generator")
    if not generator:
        raise WeightsFormatError(f"{path} is not a checkpoint.", hint="Choose another step.")
    built = build_with_weights(generator_builder(config, str(path)), generator, path)
    read_discriminator = partial(
        build_with_weights, discriminator_builder(config, str(path)), _group(tensors, "discriminator"), path
    )
    return GAN(
        built.eval().requires_grad_(False),
        config,
        weights_sha256=hashlib.sha256(content).hexdigest(),
        read_discriminator=read_discriminator,
    )


def _group(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    """Return the tensors of one module. `TrainingState.tensors` names them."""
    return {key.removeprefix(f"{name}/"): tensor for key, tensor in tensors.items() if key.startswith(f"{name}/")}


def _kept(folder: Path) -> str:
    steps = sorted(int(match[1]) for path in folder.glob("step-*") if (match := _NAME.fullmatch(path.name)))
    kept = ", ".join(map(str, steps[-10:])) or "none"
    return f"Kept are {kept}; train with --set keep_checkpoints=N to keep more."
