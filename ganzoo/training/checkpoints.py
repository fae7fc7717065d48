"""The newest few training states of a run, each in one safetensors file."""

from __future__ import annotations

import re
from pathlib import Path

from ganzoo.errors import ResumeError, WeightsFormatError
from ganzoo.system.files import write_atomically
from ganzoo.training.state import TrainingState
from ganzoo.weights.tensors import MAX_STATE_BYTES, deserialize, read_checked, serialize

_NAME = re.compile(r"step-(\d{8,})\.safetensors")


class Checkpoints:
    """The folder `checkpoints/` of a run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def steps(self) -> list[int]:
        """Return the steps that were saved, oldest first."""
        names = [path.name for path in self.folder.iterdir()] if self.folder.is_dir() else []
        return sorted(int(match[1]) for match in map(_NAME.fullmatch, names) if match is not None)

    def path(self, step: int) -> Path:
        """Return the path of a step's file."""
        return self.folder / f"step-{step:08d}.safetensors"

    def save(self, state: TrainingState, keep: int) -> None:
        """Write the state atomically, then delete all but the newest `keep`. Raises OSError."""
        write_atomically(self.path(state.step), serialize(state.tensors(), {"format": "pt"}))
        for step in self.steps()[:-keep]:
            self.path(step).unlink()

    def load_newest(self, state: TrainingState) -> None:
        """Restore the newest state; without any, leave the given one as it is. Raises ResumeError."""
        steps = self.steps()
        if not steps:
            return
        path = self.path(steps[-1])
        try:
            tensors, _ = deserialize(read_checked(path, MAX_STATE_BYTES), path)
            state.load_tensors(tensors)
        except (OSError, WeightsFormatError, KeyError, RuntimeError, ValueError) as error:
            older = f", or delete {path} to continue from step {steps[-2]}" if len(steps) > 1 else ""
            raise ResumeError(f"cannot load the checkpoint {path}: {error}", hint=f"Start a new run{older}.") from error
