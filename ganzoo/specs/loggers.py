"""Where the progress of a training is shown besides the run's folder: TensorBoard, or a dashboard of a team."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ganzoo.specs.registration import registered

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class LoggedRun:
    """What a logger may know of a run when it begins or is resumed."""

    path: Path
    """The run's folder. A logger may write into a folder of its own name in it."""
    id: str
    """16 hex digits: the same each time this run is resumed, and another one for every other run."""
    recipe: str
    """Name of the recipe."""
    settings: Mapping[str, Any]
    """All settings as plain data, nested; those of the recipe under `recipe`."""
    step: int
    """Steps taken so far. What was logged of later steps, before the run was killed, will be logged again."""
    offline: bool
    """Whether nothing may leave this machine: in checks of plugins, and where HF_HUB_OFFLINE is set."""
    networks: Callable[[], Mapping[str, tuple[nn.Module, tuple[Tensor, ...]]]]
    """() -> `generator` and `discriminator`: a copy on the CPU in evaluation mode, and inputs that it takes."""


@dataclass(frozen=True, kw_only=True)
class Logger:
    """Functions that are called during a training, on the main process only.

    The training waits for them, so they should only hand over what they get. An exception becomes a warning; after the
    third one, the logger is not called any more.
    """

    record: Callable[[Mapping[str, Any]], None]
    """The numbers of a record, means since the last one: `step`, `images`, `loss_d`, `loss_g`, …"""
    picture: Callable[[int, Path], None] | None = None
    """(step, path of a PNG in the run's folder): samples of the same latents each time. Tensors are not drawn."""
    evaluation: Callable[[int, str, Mapping[str, float]], None] | None = None
    """(step, protocol, metric -> value): an evaluation during the training."""
    end: Callable[[Literal["finished", "stopped", "failed"]], None] | None = None
    """Called once at the end; after `stopped` and `failed` the run may be resumed."""


@registered
@dataclass(frozen=True, kw_only=True)
class LoggerSpec:
    """A place where the progress of a training is shown."""

    name: str
    """As registered: the entry point's name."""
    summary: str
    """Where it is shown, on one line."""
    begin: Callable[[LoggedRun], Logger]
    """Called before the first step, and each time the run is resumed."""
    module: str | None = None
    """Top-level module that it needs, such as `wandb`; None for nothing that could be missing. Without the module, a
    training that asks for this logger is refused before it begins."""
    install: str = "see the plugin's documentation"
    """How to install that module, such as a pip command."""
    api_version: int = 1
    """Version of these contracts that the plugin was written for."""
