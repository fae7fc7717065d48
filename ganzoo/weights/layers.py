"""The layers of a net with their output shapes and parameters, computed without memory for its tensors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ganzoo.registry import architectures
from ganzoo.weights.building import (
    build_on_meta,
    discriminator_builder,
    generator_builder,
    noise_shapes,
    num_parameters,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ganzoo.weights.model_config import ModelConfig

_BATCH = 2


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A module that has no children, or that has parameters of its own."""

    name: str
    """Its name in the net, such as `layers.3`; empty for the net itself."""
    kind: str
    """Its class."""
    output_shape: tuple[int | None, ...] | None
    """Shape of its last output, None in place of the batch size; None alone if the output is not a tensor."""
    parameters: int
    """Its own parameters, without those of layers inside it and those shared with an earlier layer."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A net, layer by layer."""

    layers: tuple[Layer, ...]
    """In the order in which the net registers them."""
    parameters: int
    """Parameters of the whole net, shared ones counted once."""
    problem: str
    """Why there are no output shapes, if the net cannot be run without data; else empty."""


def summaries(config: ModelConfig, source: str) -> dict[str, Summary]:
    """Return the layers of the generator, and of the discriminator if there is one.

    Raises SettingsError, UnknownNameError, PluginError.
    """
    import torch

    from ganzoo.sampling import example_condition, generate

    with torch.device("meta"):
        latents, samples = torch.zeros(_BATCH, *config.latent.shape), torch.zeros(_BATCH, *config.sample.shape)
        condition = example_condition(config.sample, _BATCH)
        noise = {name: torch.zeros(_BATCH, *shape) for name, shape in noise_shapes(config, source).items()}
    generator = build_on_meta(generator_builder(config, source))
    found = {"generator": _summary(generator, lambda: generate(generator, latents, condition, noise))}
    if architectures.get(config.architecture).build_discriminator is not None:
        net = build_on_meta(discriminator_builder(config, source))
        found["discriminator"] = _summary(net, lambda: net(samples, *([] if condition is None else [condition])))
    return found


def _summary(net: nn.Module, run: Callable[[], Tensor]) -> Summary:
    modules = [(name, module) for name, module in net.named_modules() if _is_layer(module)]
    shapes: dict[str, tuple[int | None, ...]] = {}
    # Hooks fire in the order of calls; of a module that is called twice, the later shape is kept.
    handles = [module.register_forward_hook(_noting(shapes, name)) for name, module in modules]
    problem = _run(net, run)
    for handle in handles:
        handle.remove()
    # By identity: two layers may share one parameter, which counts for the first of them.
    seen: set[int] = set()
    layers = []
    for name, module in modules:
        own = [parameter for parameter in module.parameters(recurse=False) if id(parameter) not in seen]
        seen.update(map(id, own))
        count = sum(parameter.numel() for parameter in own)
        layers.append(Layer(name=name, kind=type(module).__name__, output_shape=shapes.get(name), parameters=count))
    return Summary(layers=tuple(layers), parameters=num_parameters(net), problem=problem)


def _is_layer(module: nn.Module) -> bool:
    return not any(module.children()) or any(True for _ in module.parameters(recurse=False))


def _noting(shapes: dict[str, tuple[int | None, ...]], name: str) -> Callable[[Any, Any, Any], None]:
    """Return a hook that records the shape of a module's output."""
    import torch

    def note(module: Any, inputs: Any, output: Any) -> None:
        if isinstance(output, torch.Tensor):
            batch, *rest = output.shape or (0,)
            shapes[name] = (None if batch == _BATCH else batch, *rest)

    return note


def _run(net: nn.Module, run: Callable[[], Tensor]) -> str:
    """Run a net in evaluation mode on the meta device; return the error, or an empty text."""
    import torch

    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]), torch.device("meta"):
            net.eval()
            run()
    except Exception as error:  # a plugin's net may look at values, which do not exist on the meta device
        return f"{type(error).__name__}: {error}"
    return ""
