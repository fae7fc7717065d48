"""A step captured as a CUDA graph: one launch for all of its kernels.

Launching a kernel costs the host some microseconds, more than many kernels of a small net take. A CUDA graph keeps the
kernels with all their arguments, addresses included. Hence the rules here: everything that a step reads or writes stays
at its address (the networks, the optimizers' moments, the prepared inputs, which each step's are copied into), and
random numbers come from generators that are registered with the graph, which then advances them at every replay.
"""

from __future__ import annotations

import warnings

import torch

from ganzoo.errors import first_sentence
from ganzoo.system.nested import map_tensors, tensors_of
from ganzoo.training.engines.tracing import TrainStep
from ganzoo.training.inputs import PreparedInputs, materialize
from ganzoo.training.state import TrainingState

WARM_UP = 3
"""Steps before the capture, in which libraries choose their kernels and allocate their workspaces."""


class CaptureError(RuntimeError):
    """A step could not be captured; nothing was computed."""


class CapturedStep:
    """The device's half of a step: runs as it is `WARM_UP` times, then is captured, and replayed from there on."""

    def __init__(self, state: TrainingState, train_step: TrainStep) -> None:
        self._state, self._train_step = state, train_step
        self._warm_ups_left = WARM_UP
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, prepared: PreparedInputs) -> None:
        """Take a step. Raises CaptureError."""
        with torch.cuda.device(self._state.device):
            # Real steps of the run, taken eagerly; no work is lost.
            if self._warm_ups_left:
                self._warm_ups_left -= 1
                self._train_step(materialize(self._state, prepared))
                return
            if self._graph is None:
                # Tensors of our own, whose addresses the graph keeps: prepared inputs are new tensors in each step.
                self._prepared: PreparedInputs = map_tensors(torch.clone, prepared)
                # A capture computes nothing: it is the replay below that takes this step, too.
                self._graph = self._capture()
            for own, given in zip(tensors_of(self._prepared), tensors_of(prepared), strict=True):
                own.copy_(given, non_blocking=True)
            self._graph.replay()

    def _capture(self) -> torch.cuda.CUDAGraph:
        graph, stream = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        try:
            _register(graph, self._state.latent_source)
            torch.cuda.empty_cache()  # the graph gets a memory pool of its own and cannot use what is cached
            # Errors for this thread's forbidden calls only: the thread that reads batches ahead may allocate pinned
            # memory meanwhile.
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                self._train_step(materialize(self._state, self._prepared))
        except Exception as error:
            torch.cuda.set_stream(stream)  # a failed capture leaves its own stream current
            self._release_generators()
            raise CaptureError(f"this recipe cannot be captured: {first_sentence(error)}") from error
        return graph

    def _release_generators(self) -> None:
        """Give the generators new states: the old ones still count as part of the failed capture and refuse to draw."""
        own = torch.cuda.default_generators[torch.cuda.current_device()]
        for generator in (self._state.latent_source, own):
            generator.graphsafe_set_state(generator.clone_state())


def _register(graph: torch.cuda.CUDAGraph, generator: torch.Generator) -> None:
    """Let replays advance a generator, as they advance the default one.

    Newer versions of torch do so without being asked, and warn that the call is not needed any more.
    """
    if hasattr(graph, "register_generator_state"):
        with warnings.catch_warnings(action="ignore"):
            graph.register_generator_state(generator)
