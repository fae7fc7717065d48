"""`ganzoo train --dry-run`: what a training would do, and take."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ganzoo.cli.output import flat, out
from ganzoo.units import human_size, human_time

if TYPE_CHECKING:
    from ganzoo.training import Training
    from ganzoo.training.estimate import Estimate


def show_estimate(training: Training, *, json: bool) -> None:
    """Take the first steps of a planned training and print its settings, sizes, memory and time."""
    from ganzoo.training.estimate import STEPS, estimate
    from ganzoo.training.initial import described

    run, state = training.run, training.state
    if run.initial is not None:
        out.talk(described(run.initial))
    out.talk(f"Taking {STEPS} steps on {state.device}; no run is written.")
    found = estimate(training)
    settings = run.settings.to_json()
    if json:
        out.json(
            {
                "path": str(run.path),
                "recipe": run.settings.recipe.name,
                "device": str(state.device),
                "dataset_digest": run.dataset_digest,
                "initial": run.initial,
                **dataclasses.asdict(found),
                "settings": settings,
            }
        )
        return
    settings = {**settings, "recipe": {key: settings["recipe"][key] for key in settings["recipe"] if key not in _TEXTS}}
    out.table("Settings", ["setting", "value"], [(key.removeprefix("recipe."), value) for key, value in flat(settings)])
    out.table("Estimate", ["what", "value"], list(_rows(training, found).items()))


_TEXTS = ("summary", "source", "notes", "api_version")


def _rows(training: Training, found: Estimate) -> Mapping[str, Any]:
    state, recipe = training.state, training.run.settings.recipe
    on = "GPU" if state.device.type == "cuda" else "process"
    return {
        "run": training.run.path,
        "device": state.device,
        "data": state.batches.place,
        "generator": f"{found.generator_parameters:,} parameters",
        "discriminator": f"{found.discriminator_parameters:,} parameters",
        "memory": "unknown" if found.memory is None else f"{human_size(found.memory)} (peak of the {on})",
        "disk": f"{human_size(found.disk)} of checkpoints ({human_size(found.checkpoint_size)} each)",
        "step": f"{1000 * found.seconds_per_step:.1f} ms",
        "time": f"{human_time(found.seconds)} for {recipe.steps:,} steps, without evaluations",
    }
