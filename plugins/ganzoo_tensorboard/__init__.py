"""Progress of a training as TensorBoard events: numbers, sample pictures, and the graphs of both nets."""

from __future__ import annotations

from ganzoo.deferred import deferred
from ganzoo.specs import LoggerSpec

TENSORBOARD = LoggerSpec(
    name="tensorboard",
    summary="TensorBoard events in the run's folder: tensorboard --logdir RUN",
    begin=deferred("ganzoo_tensorboard.events:begin"),
    module="tensorboard",
    install="pip install 'ganzoo[logging]'",
)
