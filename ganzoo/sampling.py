"""Calling a generator, fast: the best batch size for a device, and on CUDA a generator captured as a graph."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ganzoo.errors import first_sentence
from ganzoo.randomness import ambient_randomness
from ganzoo.specs import SampleSpec
from ganzoo.system.nested import map_tensors, tensors_of

FEWEST_BATCHES = 32
"""With fewer batches the generator is not captured: the capture itself takes time."""

_CPU_BATCH = 64  # small enough that activations stay in the cache: cifar10-dcgan is 1.6 times as fast as with 256
_DEVICE_BATCH = 256
_WARM_UPS = 3  # in the first passes, libraries choose their kernels and allocate their workspaces


class SampleInputs(NamedTuple):
    """What a batch of samples is generated from, in the order of `generate`'s arguments."""

    latents: Tensor
    """[batch, dim, *grid]."""
    condition: Tensor | None = None
    """Labels int64 [batch] of a class-conditional model, texts int64 [batch, max_length] of a text-conditional one;
    None for others."""
    noise: Mapping[str, Tensor] | None = None
    """Name -> [batch, *shape], for generators that declare noise; empty or None for others."""

    def to(self, device: torch.device) -> SampleInputs:
        """Return the inputs on a device."""
        return map_tensors(lambda tensor: tensor.to(device), self)


def example_condition(sample: SampleSpec, batch: int) -> Tensor | None:
    """Return a condition for a batch of a model's samples, of zeros; None for an unconditional model."""
    if sample.text is not None:
        return torch.zeros(batch, sample.text.max_length, dtype=torch.int64)
    return None if sample.classes is None else torch.zeros(batch, dtype=torch.int64)


def generate(
    generator: nn.Module,
    latents: Tensor,
    condition: Tensor | None = None,
    noise: Mapping[str, Tensor] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Tensor:
    """Return samples [batch, *shape]. Everything that calls a generator calls it here, training and sampling alike.

    Options are those of sampling; in training there are none.
    """
    arguments = (latents,) if condition is None else (latents, condition)
    keywords = {"noise": dict(noise)} if noise else {}
    samples: Tensor = generator(*arguments, **keywords, **(options or {}))
    return samples


Run = Callable[[SampleInputs], Tensor]
"""A batch of inputs -> samples [batch, *shape]."""


def best_batch_size(device: torch.device) -> int:
    """Return how many samples to generate in one pass."""
    return _CPU_BATCH if device.type == "cpu" else _DEVICE_BATCH


def accelerated(run: Run, inputs: SampleInputs, num_batches: int) -> Run:
    """Return the fastest way to run a generator on `num_batches` inputs of these shapes, under `torch.no_grad()`."""
    if inputs.latents.device.type != "cuda" or num_batches < FEWEST_BATCHES:
        return run
    try:
        return CapturedGenerator(run, inputs)
    except RuntimeError as error:  # such as a generator that reads a value on the host
        warnings.warn(f"sampling without a CUDA graph: {first_sentence(error)}", RuntimeWarning, stacklevel=2)
        return run


class CapturedGenerator:
    """A generator captured as a CUDA graph for inputs of given shapes; other shapes run the generator itself.

    Raises RuntimeError when the generator cannot be captured.
    """

    def __init__(self, run: Run, inputs: SampleInputs) -> None:
        self._run, self._device = run, inputs.latents.device
        # A graph keeps addresses, not values: it always reads these tensors, into which each call copies its inputs.
        self._inputs = map_tensors(torch.clone, inputs)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(self._device):
            # On a stream of its own, as torch asks for warm-ups before a capture. The two waits order it with the work
            # that was queued before and that follows.
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            # Warm-ups of a generator that draws random numbers must not advance the caller's.
            with torch.cuda.stream(side), ambient_randomness(0, self._device):
                for _ in range(_WARM_UPS):
                    run(self._inputs)
            torch.cuda.current_stream().wait_stream(side)
            stream = torch.cuda.current_stream()
            try:
                # Forbidden calls of other threads are not errors: they may allocate memory during the capture.
                with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
                    self._output: Tensor = run(self._inputs)
            except RuntimeError:
                # A failed capture leaves its own stream current, and a default generator that refuses to draw.
                torch.cuda.set_stream(stream)
                source = torch.cuda.default_generators[torch.cuda.current_device()]
                source.graphsafe_set_state(source.clone_state())
                raise

    def __call__(self, inputs: SampleInputs) -> Tensor:
        """Return samples, cloned from the graph's output, which the next call overwrites."""
        # The last batch is usually shorter, and a graph has one shape.
        if inputs.latents.shape != self._inputs.latents.shape:
            return self._run(inputs)
        with torch.cuda.device(self._device):
            for static, value in zip(tensors_of(self._inputs), tensors_of(inputs), strict=True):
                static.copy_(value)
            self._graph.replay()
            return self._output.clone()
