"""Returning a diverged run to its newest checkpoint, where its settings allow that."""

from __future__ import annotations

import logging

from ganzoo.errors import DivergedError
from ganzoo.training.run import Run, writing
from ganzoo.training.state import TrainingState

_log = logging.getLogger("ganzoo")


def roll_back(run: Run, state: TrainingState, error: DivergedError) -> bool:
    """Return to the newest checkpoint and go on with other samples and latents: the same ones would diverge again.

    The checkpoint is replaced by one with the new random streams, so that a run that is killed and resumed afterwards
    gives the same bytes as one that is not. Recorded in run.json. False, with nothing changed, for a run that may not
    return (again), or has no checkpoint yet. Raises ResumeError, TrainingError.
    """
    taken = len(run.document.get("rollbacks", ()))
    if taken >= run.settings.rollbacks or not run.checkpoints.steps():
        return False
    failed_at, position = state.step, state.batches.state_dict()
    run.load(state)
    state.batches.load_state_dict(position)
    state.reseed(taken + 1)
    with writing(run.path):
        run.checkpoints.save(state, run.settings.keep_checkpoints)
    run.note("rollbacks", {"failed_at": failed_at, "returned_to": state.step, "why": str(error)})
    _log.warning(
        "Warning: %s Returned to step %d (%d of %d times).", error, state.step, taken + 1, run.settings.rollbacks
    )
    return True
