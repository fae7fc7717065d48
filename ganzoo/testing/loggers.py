"""Checks of loggers: a training from its beginning to its end, nothing of which leaves the machine."""

from __future__ import annotations

from copy import deepcopy
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import nn

from ganzoo.specs import LoggedRun, Logger
from ganzoo.system.files import scratch_folder
from ganzoo.testing.checks import Check, CheckError, CheckSkippedError, Example, blamed, expect
from ganzoo.testing.every_spec import EVERY_SPEC

SETTINGS: dict[str, Any] = {
    "recipe": {"name": "kit", "config": {"widths": [8, 8]}, "notes": "a long text. " * 100, "ema_decay": None},
    "seed": 0,
    "loggers": [],
}


def _begin(example: Example, folder: Path, step: int = 0) -> Logger:
    spec = example.spec
    if spec.module is not None and find_spec(spec.module) is None:
        raise CheckSkippedError(f"{spec.module} is not installed: {spec.install}")
    inputs = (torch.zeros(2, 4),)
    nets = {"generator": (nn.Linear(4, 6), inputs), "discriminator": (nn.Linear(4, 1), inputs)}
    run = LoggedRun(
        path=folder,
        id="0123456789abcdef",
        recipe="kit",
        settings=deepcopy(SETTINGS),
        step=step,
        offline=True,
        networks=lambda: deepcopy(nets),
    )
    with blamed("begin"):
        found: object = spec.begin(run)
    if not isinstance(found, Logger):
        raise CheckError(f"begin returned {type(found).__name__}, not a Logger.", "Return ganzoo.specs.Logger(…).")
    return found


def _log(logger: Logger, folder: Path, step: int, status: Any) -> None:
    """Log one record of each sort, and end."""
    numbers = {"step": step, "images": 64 * step, "loss_d": 0.5, "loss_g": -1.5, "seconds": 0.1, "accuracy": 1}
    given = dict(numbers)
    with blamed("record"):
        logger.record(given)
    expect(given == numbers, "record changes the numbers that it is given.", "Copy them first.")
    path = folder / "samples" / f"step-{step:08d}.png"
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", (8, 8)).save(path)
    if logger.picture is not None:
        with blamed("picture"):
            logger.picture(step, path)
        expect(path.is_file(), "picture takes the file away from the run.", "Copy it.")
    if logger.evaluation is not None:
        with blamed("evaluation"):
            logger.evaluation(step, "kit-quick-v1", {"kid": 0.25})
    if logger.end is not None:
        with blamed("end"):
            logger.end(status)


def it_logs_a_training(example: Example) -> None:
    """It takes records, a picture and an evaluation from the first step to the end."""
    with scratch_folder() as folder:
        _log(_begin(example, folder), folder, 10, "finished")


def it_goes_on_with_a_run(example: Example) -> None:
    """It takes up a run that was stopped, and one whose steps are taken again after a failure."""
    with scratch_folder() as folder:
        _log(_begin(example, folder), folder, 10, "stopped")
        _log(_begin(example, folder, step=10), folder, 20, "failed")
        _log(_begin(example, folder, step=10), folder, 20, "finished")


def it_leaves_random_numbers_alone(example: Example) -> None:
    """It does not change the state of torch's random numbers, which the caller of a training may use."""
    with scratch_folder() as folder:
        before = torch.get_rng_state()
        _log(_begin(example, folder), folder, 10, "finished")
        expect(
            torch.equal(before, torch.get_rng_state()),
            "it changes the state of torch's random numbers.",
            "Run what draws any inside torch.random.fork_rng().",
        )


LOGGER_CHECKS: tuple[Check, ...] = (
    *EVERY_SPEC,
    it_logs_a_training,
    it_goes_on_with_a_run,
    it_leaves_random_numbers_alone,
)
