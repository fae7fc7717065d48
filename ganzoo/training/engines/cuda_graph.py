"""A step captured in a CUDA graph: one launch for all of its kernels."""

from __future__ import annotations

import torch
from torch.utils import _pytree as pytree

from ganzoo.errors import first_sentence
from ganzoo.training.engines.tracing import Update
from ganzoo.training.inputs import StagedInputs, draw
from ganzoo.training.state import TrainingState

WARM_UP = 3
"""Steps before the capture, in which libraries choose their kernels and take their workspaces."""


class CaptureError(RuntimeError):
    """A step could not be captured; nothing was computed."""


class CapturedStep:
    """The device's half of a step. The first ones run as they are, then one is recorded, and replayed from there on."""

    def __init__(self, state: TrainingState, update: Update) -> None:
        self._state, self._update = state, update
        self._warm_ups = WARM_UP
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, staged: StagedInputs) -> None:
        """Take a step. Raises CaptureError."""
        with torch.cuda.device(self._state.device):
            if self._warm_ups:
                self._warm_ups -= 1
                self._update(draw(self._state, staged))
                return
            if self._graph is None:
                # Replays read staged feeds from this place.
                self._staged: StagedInputs = pytree.tree_map(torch.clone, staged)
                self._graph = self._capture()
            for own, given in zip(pytree.tree_leaves(self._staged), pytree.tree_leaves(staged), strict=True):
                own.copy_(given, non_blocking=True)
            self._graph.replay()

    def _capture(self) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self._state.latent_source)
        torch.cuda.empty_cache()  # the graph has memory of its own
        stream = torch.cuda.current_stream()
        try:
            # The thread that reads batches ahead may take pinned memory meanwhile.
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                self._update(draw(self._state, self._staged))
        except Exception as error:
            torch.cuda.set_stream(stream)
            self._release_generators()
            raise CaptureError(f"no graph can be captured of this recipe: {first_sentence(error)}") from error
        return graph

    def _release_generators(self) -> None:
        """Give the generators states of which no failed capture knows."""
        own = torch.cuda.default_generators[torch.cuda.current_device()]
        for generator in (self._state.latent_source, own):
            generator.graphsafe_set_state(generator.clone_state())
