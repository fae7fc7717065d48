"""What would make a resumed run another one: settings, data, devices or first weights that differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ganzoo import config
from ganzoo.config import TrainingSettings
from ganzoo.errors import ResumeError
from ganzoo.specs import Recipe
from ganzoo.system.shell import as_reference, quoted
from ganzoo.training.initial import copy_initial, read_initial, refuse_other_weights
from ganzoo.training.run import Run
from ganzoo.training.schedules import depends_on_length, recipe_schedules
from ganzoo.training.state import TrainingState

CHANGEABLE = frozenset(
    {
        "device",
        "data",
        "log_every",
        "sample_every",
        "checkpoint_every",
        "keep_checkpoints",
        "eval_every",
        "eval_protocol",
        "best_metric",
        "rollbacks",
        "loggers",
    }
)
"""Settings that may always change when a run is resumed: no step depends on them."""


def refuse_device(run: Run, device: torch.device) -> None:
    """Refuse another kind of device, whose random numbers differ. Raises ResumeError."""
    if device.type != run.device_type:
        raise ResumeError(
            f"{run.path} was trained on {run.device_type}, whose random numbers {device.type} cannot continue.",
            hint=f"Resume with --device {run.device_type}, or start a new run.",
        )


def refuse_other_data(run: Run, digest: str) -> None:
    """Refuse other training data. Raises ResumeError."""
    if digest != run.dataset_digest:
        raise ResumeError(
            f"{run.path} was trained on different data: sha256 {run.dataset_digest[:12]}…, now {digest[:12]}….",
            hint="Pass the folder with the original files as --data-dir.",
        )


def refuse_changes(path: Path, before: TrainingSettings, after: TrainingSettings) -> None:
    """Refuse settings with which the steps would not be those of the run. Raises ResumeError."""
    found = config.differences(before.to_json(), after.to_json())
    refused = {key: values for key, values in found.items() if not _may_change(key, values, before)}
    if list(refused) == ["recipe.steps"]:
        steps, name = before.recipe.steps, before.recipe.name
        raise ResumeError(
            f"{path} cannot be trained to another step than {steps:,}, where its schedules end.",
            hint=f"Begin a new run with its weights: ganzoo train {name} --from {quoted(as_reference(path))}",
        )
    if refused:
        listed = "; ".join(f"{key.removeprefix('recipe.')}: {old} -> {new}" for key, (old, new) in refused.items())
        raise ResumeError(
            f"{path} cannot be resumed with different settings ({listed}).",
            hint="Leave them out, or start a new run with them.",
        )


def has_fixed_length(recipe: Recipe) -> bool:
    """Whether a run cannot become longer: a schedule over the whole run has other values in a longer one."""
    return any(depends_on_length(schedule) for schedule in recipe_schedules(recipe))


def _may_change(key: str, values: tuple[Any, Any], settings: TrainingSettings) -> bool:
    if key == "recipe.steps":
        return not has_fixed_length(settings.recipe)
    if key == "threads":  # only when asked for: it changes the last bits of every step, and nothing else
        return True
    if key == "engine":  # eager and graph compute the same numbers
        return "compile" not in values
    return key in CHANGEABLE


def begin_again(run: Run, state: TrainingState) -> None:
    """Copy the weights that the run began with into a new state. Raises ResumeError when they have changed since."""
    initial = read_initial(run.settings)
    if initial is not None:
        refuse_other_weights(initial, (run.initial or {}).get("sha256"))
        copy_initial(state, initial)


def refuse_fewer_steps(run: Run, taken: int, requested: int) -> None:
    """Refuse to end before the step that was reached. Raises ResumeError."""
    if requested < taken:
        raise ResumeError(
            f"{run.path} has already taken {taken} steps, more than {requested}.",
            hint="Set more steps, or leave --steps out.",
        )
