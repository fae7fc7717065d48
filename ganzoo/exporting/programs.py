"""A generator -> one file, in the formats of ONNX and torch.export, compared with the generator that it came from."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from ganzoo.conditions import condition_batches
from ganzoo.errors import GanzooError, UsageError, first_sentence, shortened
from ganzoo.randomness import ambient_randomness, noise_batches, sample_latents
from ganzoo.sampling import SampleInputs, generate
from ganzoo.system.extras import import_extra

if TYPE_CHECKING:
    from ganzoo.model import GAN

TOLERANCE = 1e-4
"""Largest difference between samples of the file and of the generator."""

BATCH_SIZES = (1, 2, 5)
"""Batches that are compared. The export sees an example of two samples; the others show that the batch is dynamic."""

_PARITY_SEED = 0
_MAX_ONNX_BYTES = 2_000_000_000  # of a protobuf message: 2 GiB, some of it for the graph
_EXAMPLE = 2  # torch.export takes the sizes 0 and 1 for constants


@dataclass(frozen=True)
class Parity:
    """How far samples of the file are from those of the generator in torch."""

    max_difference: float
    """Largest absolute difference of a value."""
    tolerance: float
    batch_sizes: tuple[int, ...]
    """Samples in each batch that was compared."""
    seed: int
    """The seed of their latents."""


Run = Callable[[Sequence[Tensor]], Tensor]
"""What was read back from a file: inputs in the order of `input_names` -> samples [batch, *shape]."""


def input_names(gan: GAN) -> list[str]:
    """Return the names of the inputs: `latents`, then `labels` or `texts`, then `noise.NAME` for each noise."""
    sample = gan.config.sample
    condition = ["texts"] if sample.text is not None else ["labels"] if sample.classes is not None else []
    return ["latents", *condition, *(f"noise.{name}" for name in gan.noise_shapes)]


def input_tensors(gan: GAN, num: int, seed: int) -> list[Tensor]:
    """Return the inputs of the first `num` samples of a seed, in the order of `input_names`."""
    condition = next(condition_batches(gan.config.sample, num, None, None, num))
    noise = next(noise_batches(gan.noise_shapes, num, seed, num))
    latents = sample_latents(gan.config.latent, num, seed)
    return [latents, *([] if condition is None else [condition]), *noise.values()]


def torch_program(gan: GAN, options: Mapping[str, Any]) -> ExportedProgram:
    """Trace the generator with a dynamic batch and these sampling options. Raises UsageError if it cannot be traced."""
    module = _Positional(gan, options).eval()
    inputs = tuple(input_tensors(gan, _EXAMPLE, seed=0))
    batch = Dim("batch")
    try:
        with _quiet(), torch.no_grad(), ambient_randomness(0, torch.device("cpu")):
            # One entry for the one parameter of `forward`, which holds all inputs.
            program = torch.export.export(module, inputs, dynamic_shapes=(tuple({0: batch} for _ in inputs),))
    except Exception as error:  # whatever the generator does with symbolic sizes
        raise UsageError(
            f"the architecture {gan.config.architecture!r} cannot be exported: {shortened(first_sentence(error))}.",
            hint="Its forward must not depend on values, or fix the batch (view(len(x), …)); report it to its author.",
        ) from error
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # it has the paths of this machine
    return program


class _Positional(nn.Module):
    """A generator that takes its inputs in the order of `input_names`, with fixed sampling options."""

    def __init__(self, gan: GAN, options: Mapping[str, Any]) -> None:
        super().__init__()
        self.generator = gan.generator
        self.noise_names = tuple(gan.noise_shapes)
        self.options = dict(options)

    def forward(self, *inputs: Tensor) -> Tensor:
        first = len(inputs) - len(self.noise_names)
        condition = inputs[1] if first > 1 else None
        noise = dict(zip(self.noise_names, inputs[first:], strict=True))
        return generate(self.generator, inputs[0], condition, noise, self.options)


def torch_bytes(program: ExportedProgram) -> bytes:
    """Return the program as a .pt2 file."""
    buffer = io.BytesIO()
    with _quiet():
        torch.export.save(program, buffer)
    return buffer.getvalue()


def run_torch(content: bytes) -> Run:
    """Read a .pt2 file of our own back."""
    with _quiet():
        module = torch.export.load(io.BytesIO(content)).module()
    return lambda inputs: module(*inputs)


def onnx_bytes(program: ExportedProgram, names: Sequence[str], metadata: Mapping[str, str]) -> bytes:
    """Return the program as an ONNX file: inputs with these names, the output `samples`, the dynamic axis `batch`.

    Raises UsageError without the extra `export`, or if ONNX lacks an operation.
    """
    import_extra("onnx", "export")
    import_extra("onnxscript", "export")
    if sum(tensor.nbytes for tensor in program.state_dict.values()) > _MAX_ONNX_BYTES:
        raise UsageError("the generator is too large for one ONNX file (2 GB).", hint="Export it with --format torch.")
    try:
        with _quiet():
            exported = torch.onnx.export(
                program, dynamo=True, verbose=False, input_names=list(names), output_names=["samples"]
            )
    except Exception as error:
        raise UsageError(
            f"the generator cannot be written as ONNX: {shortened(first_sentence(error))}.",
            hint="Export it with --format torch.",
        ) from error
    assert exported is not None
    model = exported.model_proto
    graph = model.graph
    symbol = graph.input[0].type.tensor_type.shape.dim[0].dim_param
    for value in (*graph.input, *graph.output, *graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param == symbol:
                dim.dim_param = "batch"
    # torch writes a Python stack, with the paths of this machine, into each node.
    for node in (*graph.node, *(node for function in model.functions for node in function.node)):
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        del value.metadata_props[:]
    del graph.metadata_props[:], model.metadata_props[:]
    for key, text in metadata.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, text
    return bytes(model.SerializeToString(deterministic=True))


def run_onnx(content: bytes) -> Run:
    """Read an ONNX file back with onnxruntime. Raises UsageError without the extra `export`."""
    session = import_extra("onnxruntime", "export").InferenceSession(content, providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_inputs()]

    def run(inputs: Sequence[Tensor]) -> Tensor:
        (samples,) = session.run(None, {name: tensor.numpy() for name, tensor in zip(names, inputs, strict=True)})
        return torch.from_numpy(samples)

    return run


def compare(gan: GAN, options: Mapping[str, Any], run: Run) -> Parity:
    """Compare samples of what was read back with those of the generator. Raises GanzooError above TOLERANCE."""
    worst = 0.0
    for num in BATCH_SIZES:
        inputs = input_tensors(gan, num, _PARITY_SEED)
        first = len(inputs) - len(gan.noise_shapes)
        noise = dict(zip(gan.noise_shapes, inputs[first:], strict=True))
        given = SampleInputs(inputs[0], inputs[1] if first > 1 else None, noise)
        # Other states of the global generators: a file of a generator that reads them must differ here, not later.
        with torch.no_grad(), ambient_randomness(num, torch.device("cpu")):
            expected = generate(gan.generator, *given, options)
        with torch.no_grad(), ambient_randomness(num + 1, torch.device("cpu")):
            found = run(inputs)
        if found.shape != expected.shape or not found.isfinite().all():
            worst = float("inf")
        else:
            worst = max(worst, float((found - expected).abs().max()))
    if worst > TOLERANCE:
        raise GanzooError(
            f"samples of the exported file differ from torch's by {worst:.2g}; the limit is {TOLERANCE:g}.",
            hint="A generator that draws random numbers itself cannot be exported; its noise must be declared (`noise` "
            "of ArchitectureSpec). Otherwise try another --format.",
        )
    return Parity(worst, TOLERANCE, BATCH_SIZES, _PARITY_SEED)


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide what torch's exporters say to their own developers."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings(action="ignore"):
        try:
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
