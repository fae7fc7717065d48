"""The event files of a run.

tensorboard/                 numbers of each record and evaluation, each sample picture
tensorboard/generator/       its graph (TensorBoard shows one graph for a folder)
tensorboard/discriminator/   its graph
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from ganzoo.specs import LoggedRun, Logger


def begin(run: LoggedRun) -> Logger:
    """Open the event files; events of steps that will be taken again are purged."""
    folder = run.path / "tensorboard"
    nets = {} if all((folder / name).exists() for name in ("generator", "discriminator")) else run.networks()
    for name, (net, inputs) in nets.items():
        if not (folder / name).exists():
            _add_graph(folder / name, net, inputs)
    writer = SummaryWriter(str(folder), purge_step=run.step + 1)

    def record(numbers: Mapping[str, Any]) -> None:
        _add_scalars("training", numbers["step"], numbers)

    def evaluation(step: int, protocol: str, metrics: Mapping[str, float]) -> None:
        _add_scalars(f"evaluation/{protocol}", step, metrics)

    def _add_scalars(group: str, step: int, numbers: Mapping[str, Any]) -> None:
        for name, value in numbers.items():
            if name != "step" and type(value) in (int, float):
                writer.add_scalar(f"{group}/{name}", value, step)
        writer.flush()

    def picture(step: int, path: Path) -> None:
        with Image.open(path) as image:
            writer.add_image("samples", np.asarray(image.convert("RGB")), step, dataformats="HWC")
        writer.flush()

    return Logger(record=record, picture=picture, evaluation=evaluation, end=lambda status: writer.close())


def _add_graph(folder: Path, net: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    """Write the graph of a net; for one that cannot be traced, write why."""
    with (
        SummaryWriter(str(folder)) as writer,
        torch.random.fork_rng(devices=[]),
        warnings.catch_warnings(action="ignore"),  # tracing is deprecated, and warns at every shape that it reads
        contextlib.redirect_stdout(io.StringIO()),  # add_graph prints failures there
    ):
        try:
            writer.add_graph(net, inputs)
        except Exception as error:  # another plugin's net may do what cannot be traced
            writer.add_text("graph", f"This net cannot be traced: {error}")
