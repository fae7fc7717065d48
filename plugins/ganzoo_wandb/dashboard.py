"""A run in Weights & Biases, configured by its own environment variables (WANDB_PROJECT, WANDB_MODE, …)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import wandb

from ganzoo.specs import LoggedRun, Logger


def begin(run: LoggedRun) -> Logger:
    """Open the run; a resumed one goes on where it was."""
    opened = wandb.init(
        project=os.environ.get("WANDB_PROJECT", "ganzoo"),
        id=run.id,
        name=os.environ.get("WANDB_NAME", run.path.resolve().name),
        resume="allow",
        dir=run.path,  # wandb makes a folder `wandb` in it
        config=dict(run.settings),
        mode="offline" if run.offline else None,
        # The terminal belongs to the live view: wandb would capture it, and print there.
        settings=wandb.Settings(console="off", silent=True),
    )
    # An axis of our own: wandb's counter refuses the steps that a resumed run takes again.
    opened.define_metric("*", step_metric="step")

    def record(numbers: Mapping[str, Any]) -> None:
        step = numbers["step"]
        opened.log({f"training/{name}": value for name, value in numbers.items() if name != "step"} | {"step": step})

    def evaluation(step: int, protocol: str, metrics: Mapping[str, float]) -> None:
        opened.log({f"evaluation/{protocol}/{name}": value for name, value in metrics.items()} | {"step": step})

    def picture(step: int, path: Path) -> None:
        opened.log({"samples": wandb.Image(str(path)), "step": step})

    def end(status: str) -> None:
        opened.finish(exit_code=1 if status == "failed" else 0)

    return Logger(record=record, picture=picture, evaluation=evaluation, end=end)
