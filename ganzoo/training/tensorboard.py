"""A run as TensorBoard events, if its settings ask for them: numbers, sample pictures, and the graphs of both nets.

    tensorboard/                 scalars of each record, each sample picture
    tensorboard/generator/       its graph (TensorBoard shows one graph for a folder)
    tensorboard/discriminator/   its graph

Nothing here changes a run: no random numbers are drawn, and graphs are traced on copies of the nets.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator, Mapping
from copy import deepcopy
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ganzoo.errors import TrainingError
from ganzoo.rendering import read_picture
from ganzoo.sampling import example_condition
from ganzoo.specs import SampleSpec
from ganzoo.training.run import Run, expendable
from ganzoo.training.state import TrainingState

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

_BATCH = 2
_NO_SCALARS = frozenset({"step"})


def check_tensorboard() -> None:
    """Check that TensorBoard is installed. Raises TrainingError."""
    if find_spec("tensorboard") is None:
        raise TrainingError("TensorBoard events need the extra `logging`.", hint="pip install 'ganzoo[logging]'")


class Events:
    """The event files of a run; without a writer, its methods do nothing."""

    def __init__(self, run: Run, sample: SampleSpec, writer: SummaryWriter | None) -> None:
        self._run, self._sample, self._writer = run, sample, writer

    def add_record(self, record: Mapping[str, Any]) -> None:
        """Write and flush the numbers of a record."""
        if self._writer is None:
            return
        with expendable("the TensorBoard events"):
            for name, value in record.items():
                if name not in _NO_SCALARS and type(value) in (int, float):
                    self._writer.add_scalar(f"training/{name}", value, record["step"])
            self._writer.flush()

    def add_picture(self, step: int) -> None:
        """Write and flush the sample picture of a step, if its samples are drawn."""
        if self._writer is None or self._sample.kind == "tensor":
            return
        with expendable("the TensorBoard events"):
            pixels = np.asarray(read_picture(self._run.sample_path(step)).convert("RGB"))
            self._writer.add_image("samples", pixels, step, dataformats="HWC")
            self._writer.flush()


@contextlib.contextmanager
def open_events(run: Run, state: TrainingState) -> Iterator[Events]:
    """Open the event files of a run; events of steps that will be taken again are purged."""
    if not run.settings.tensorboard or not state.processes.is_main:
        yield Events(run, state.config.sample, None)
        return
    from torch.utils.tensorboard import SummaryWriter

    writer = None
    with expendable("the TensorBoard events"):
        _add_graphs(run, state)
        writer = SummaryWriter(str(run.tensorboard_path), purge_step=state.step + 1)
    try:
        yield Events(run, state.config.sample, writer)
    finally:
        if writer is not None:
            with expendable("the TensorBoard events"):
                writer.close()


def _add_graphs(run: Run, state: TrainingState) -> None:
    """Write the graphs of both nets, once per run; for a net that cannot be traced, write why."""
    sample, condition = state.config.sample, example_condition(state.config.sample, _BATCH)
    labels = () if condition is None else (condition,)
    nets: dict[str, tuple[nn.Module, Tensor]] = {
        "generator": (state.trained_generator, torch.zeros(_BATCH, *state.config.latent.shape)),
        "discriminator": (state.networks.discriminator, torch.zeros(_BATCH, *sample.shape)),
    }
    for name, (net, inputs) in nets.items():
        folder = run.tensorboard_path / name
        if not folder.exists():
            _add_graph(folder, net, (inputs, *labels))


def _add_graph(folder: Path, net: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    from torch.utils.tensorboard import SummaryWriter

    copy = deepcopy(net).cpu().eval()
    with (
        SummaryWriter(str(folder)) as writer,
        torch.random.fork_rng(devices=[]),
        warnings.catch_warnings(action="ignore"),  # tracing is deprecated, and warns at every shape that it reads
        contextlib.redirect_stdout(io.StringIO()),  # add_graph prints failures there, but our stdout is data
    ):
        try:
            writer.add_graph(copy, inputs)
        except Exception as error:  # a plugin's net may do what cannot be traced
            writer.add_text("graph", f"This net cannot be traced: {error}")
