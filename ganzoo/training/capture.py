"""A step captured in a CUDA graph: one launch for all of its kernels."""

from __future__ import annotations

import torch
from torch.utils import _pytree as pytree

from ganzoo.training.feed import StagedFeed, draw
from ganzoo.training.state import TrainingState
from ganzoo.training.tracing import Update


class CapturedStep:
    """The device's half of a step, recorded once. It reads staged feeds from a place of its own."""

    def __init__(self, state: TrainingState, update: Update, staged: StagedFeed) -> None:
        """Record a step; nothing is computed. The update must have run on this device before.

        Raises RuntimeError when the host is needed in the middle of a step.
        """
        self._staged: StagedFeed = pytree.tree_map(torch.clone, staged)
        self._graph = torch.cuda.CUDAGraph()
        self._graph.register_generator_state(state.latent_source)
        with torch.cuda.graph(self._graph):
            update(draw(state, self._staged))

    def __call__(self, staged: StagedFeed) -> None:
        """Take the step."""
        for own, given in zip(pytree.tree_leaves(self._staged), pytree.tree_leaves(staged), strict=True):
            own.copy_(given, non_blocking=True)
        self._graph.replay()
