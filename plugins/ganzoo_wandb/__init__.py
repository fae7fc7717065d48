"""Progress of a training in Weights & Biases."""

from __future__ import annotations

from ganzoo.deferred import deferred
from ganzoo.specs import LoggerSpec

WANDB = LoggerSpec(
    name="wandb",
    summary="Weights & Biases; WANDB_PROJECT names the project, by default ganzoo",
    begin=deferred("ganzoo_wandb.dashboard:begin"),
    module="wandb",
    install="pip install 'ganzoo[wandb]'",
)
