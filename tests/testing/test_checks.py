"""Each check fails on a plugin that is broken in exactly that way, and says what to change."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
import torch
from annotated_types import Interval
from torch import Tensor, nn

from ganzoo import registry
from ganzoo.errors import MissingDatasetError
from ganzoo.specs import (
    ArchitectureSpec,
    ArrayData,
    AugmentationSpec,
    DatasetSpec,
    EvaluationProtocol,
    Extractor,
    ExtractorSpec,
    LatentSpec,
    LoggedRun,
    Logger,
    LoggerSpec,
    LossSpec,
    MetricSpec,
    OptimizerSpec,
    RegularizerSpec,
    SampleSpec,
    StreamedData,
    SyntheticData,
)
from ganzoo.testing import CHECKS, Check, CheckError, CheckSkippedError, Example, every_spec
from ganzoo.testing import architectures as of_nets
from ganzoo.testing import augmentations as of_augmentations
from ganzoo.testing import datasets as of_data
from ganzoo.testing import evaluation as of_numbers
from ganzoo.testing import loggers as of_loggers
from ganzoo.testing import losses as of_losses
from ganzoo.testing import optimizers as of_optimizers
from ganzoo.testing import recipes as of_recipes
from ganzoo.testing import weights as of_weights
from ganzoo.testing.nets import nets
from ganzoo.testing.running import check_all, run_check
from ganzoo.weights.manifest import Zoo
from tests.conftest import InstallPlugin
from tests.strange import install_strange

CURVE = SampleSpec(kind="curve", shape=(6,))
IMAGE = SampleSpec(kind="image", shape=(1, 4, 4))
TEXTS = {"name": "own", "summary": "s", "paper": "p"}

CASES: list[Any] = []
"""(check, example, words of the message)."""
PASSING: list[Any] = []
"""(check, example) that is right, from which broken ones differ."""


def broken(check: Check, example: Example, *words: str) -> None:
    CASES.append(pytest.param(check, example, words, id=f"{check.__name__}-{len(CASES)}"))


# --- architectures ---


@dataclass(frozen=True, kw_only=True)
class Config:
    width: Annotated[int, Interval(ge=1, le=64)] = 4


class Generator(nn.Module):
    def __init__(self, config: Config, latent: LatentSpec, sample: SampleSpec) -> None:
        super().__init__()
        self.sample = sample
        self.layers = nn.Sequential(nn.Linear(latent.dim, config.width), nn.Tanh(), nn.Linear(config.width, 6))

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z)


class Discriminator(nn.Module):
    def __init__(self, config: Config, sample: SampleSpec) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(6, config.width), nn.Tanh(), nn.Linear(config.width, 1))

    def forward(self, samples: Tensor) -> Tensor:
        return self.layers(samples).squeeze(1)


def generator_with(forward: Callable[..., Tensor], **tensors: Any) -> type[Generator]:
    """A generator whose forward is `forward(net, z)`, with more parameters or buffers."""

    class Changed(Generator):
        def __init__(self, config: Config, latent: LatentSpec, sample: SampleSpec) -> None:
            super().__init__(config, latent, sample)
            for name, value in tensors.items():
                setattr(self, name, value())

        def forward(self, *arguments: Any, **keywords: Any) -> Tensor:
            return forward(self, *arguments, **keywords)

    return Changed


def discriminator_with(forward: Callable[..., Tensor]) -> type[Discriminator]:
    return type("Changed", (Discriminator,), {"forward": forward})


def net(sample: SampleSpec = CURVE, **changes: Any) -> Example:
    fields = {
        "license": "MIT",
        "config": Config,
        "build_generator": Generator,
        "build_discriminator": Discriminator,
        "batch_independent": True,
    }
    spec = ArchitectureSpec(**{**TEXTS, **fields, **changes})
    return Example(spec, config={}, latent=LatentSpec(dim=3), sample=sample)


@dataclass(frozen=True, kw_only=True)
class Unbounded:
    width: int = 4


@dataclass(frozen=True, kw_only=True)
class NoDefault:
    width: Annotated[int, Interval(ge=1, le=4)]


@dataclass
class Mutable:
    width: Annotated[int, Interval(ge=1, le=4)] = 2


def wide_images(net: Generator, z: Tensor) -> Tensor:
    return torch.nn.functional.pad(net.layers(z), (0, 10)).tanh().view(-1, 1, 4, 4) * 2


def counted(net: Any, z: Tensor) -> Tensor:
    net.calls = getattr(net, "calls", 0) + 1
    return net.layers(z) + net.calls


def in_place(net: Generator, z: Tensor) -> Tensor:
    return net.layers(z.mul_(2))


def centred(net: Generator, z: Tensor) -> Tensor:
    values = net.layers(z)
    return values - values.mean(0)


def everything(
    net: Any, z: Tensor, labels: Tensor | None = None, *, noise: Mapping[str, Tensor], psi: float = 1.0
) -> Tensor:
    shift = 0 if labels is None else labels.unsqueeze(1)
    return psi * net.layers(z) + net.strength * (noise["grain"] + shift)


def projected(net: Discriminator, samples: Tensor, labels: Tensor | None = None) -> Tensor:
    return net.layers(samples).squeeze(1) * (1 if labels is None else 1 + labels)


@dataclass(frozen=True, kw_only=True)
class Options:
    psi: Annotated[float, Interval(ge=0, le=1)] = 0.7


PASSING.append(net())
PASSING.append(
    net(
        conditions=("classes",),
        noise=lambda config, sample: {"grain": (6,)},
        sampling_options=Options,
        # Zero, as StyleGAN's strength of the noise is before it is trained.
        build_generator=generator_with(everything, strength=lambda: nn.Parameter(torch.zeros(()))),
        build_discriminator=discriminator_with(projected),
    )
)
PASSING.append(net(build_discriminator=None))
broken(of_nets.its_config_is_bounded, net(config=Unbounded), "Unbounded.width has no bounds", "Interval")
broken(of_nets.its_config_is_bounded, net(config=Mutable), "not a frozen dataclass", "frozen=True")
broken(
    of_nets.its_nets_build_on_the_meta_device,
    net(build_generator=lambda *given: nn.Linear(1 + int(torch.ones(3).sum()), 2)),
    "build_generator raised",
)
broken(
    of_nets.its_nets_build_on_the_meta_device,
    net(build_discriminator=lambda *given: nn.Linear(2 if torch.empty(0).is_meta else 3, 2)),
    "other tensors",
)
broken(of_nets.its_nets_build_on_the_meta_device, net(build_generator=lambda *given: "net"), "returned str")
broken(
    of_nets.its_initial_weights_follow_from_the_seed,
    net(
        build_generator=generator_with(
            lambda net, z: net.layers(z) * net.scale, scale=lambda: nn.Parameter(torch.tensor(random.random()))
        )
    ),
    "'scale'",
    "torch.nn.init",
)
broken(
    of_nets.its_generator_returns_samples,
    net(build_generator=generator_with(lambda net, z: net.layers(z)[:, :5])),
    "float32 [4, 5], not float32 [4, 6]",
)
broken(
    of_nets.its_generator_returns_samples,
    net(build_generator=generator_with(lambda net, z: net.layers(z).double())),
    "float64 [4, 6]",
)
broken(
    of_nets.its_generator_returns_samples,
    net(build_generator=generator_with(lambda net, z: net.layers(z) / 0)),
    "NaN or infinite",
)
broken(
    of_nets.its_images_lie_between_minus_one_and_one,
    net(IMAGE, build_generator=generator_with(wide_images)),
    "lie in [-1, 1]",
    "tanh",
)
broken(
    of_nets.its_generator_returns_samples,
    net(build_generator=generator_with(lambda net, z: net.missing)),
    "the generator raised AttributeError",
    "traceback",
)
broken(
    of_nets.its_discriminator_returns_logits,
    net(build_discriminator=discriminator_with(lambda net, samples: net.layers(samples))),
    "float32 [4, 1], not float32 [4]",
    "squeeze(1)",
)
broken(
    of_nets.gradients_reach_every_parameter,
    net(build_generator=generator_with(lambda net, z: net.layers(z), unused=lambda: nn.Parameter(torch.zeros(2)))),
    "'unused' of the generator",
)
broken(
    of_nets.gradients_reach_every_parameter,
    net(build_discriminator=discriminator_with(lambda net, samples: net.layers(samples.detach()).squeeze(1))),
    "'layers.0.weight' of the generator",
)
broken(
    of_nets.its_nets_leave_their_inputs_unchanged,
    net(build_generator=generator_with(in_place)),
    "the generator changes its input in place",
)
broken(
    of_nets.its_nets_leave_their_inputs_unchanged,
    net(build_discriminator=discriminator_with(lambda net, samples: net.layers(samples.mul_(2)).squeeze(1))),
    "the discriminator changes its input",
)
broken(of_nets.its_samples_follow_from_the_seed, net(build_generator=generator_with(counted)), "other samples")
broken(
    of_nets.its_samples_do_not_depend_on_their_batch,
    net(build_generator=generator_with(centred)),
    "its batch holds other samples",
)
broken(
    of_nets.conditions_change_the_output,
    net(
        conditions=("classes",),
        build_generator=generator_with(lambda net, z, labels=None: net.layers(z)),
        build_discriminator=discriminator_with(lambda net, samples, labels=None: net.layers(samples).squeeze(1)),
    ),
    "the generator is the same for every condition with classes",
)
broken(
    of_nets.conditions_change_the_output,
    net(
        conditions=("text",),
        unconditional=False,
        build_generator=generator_with(lambda net, z, texts: net.layers(z)),
        build_discriminator=discriminator_with(lambda net, samples, texts: net.layers(samples).squeeze(1)),
    ),
    "the generator is the same for every condition with texts",
)
broken(
    of_nets.noise_changes_the_samples,
    net(
        noise=lambda config, sample: {"grain": (6,)},
        build_generator=generator_with(lambda net, z, noise: net.layers(z)),
    ),
    "the noise 'grain'",
)
broken(of_nets.sampling_options_are_accepted, net(sampling_options=NoDefault), "NoDefault.width has no default")
broken(of_nets.sampling_options_are_accepted, net(sampling_options=Config), "unexpected keyword argument 'width'")
broken(
    of_nets.its_weights_survive_a_file,
    net(build_generator=generator_with(lambda net, z: net.layers(z) * net.factor, factor=lambda: torch.rand(1) + 1)),
    "after its weights were saved and loaded",
    "buffer",
)
broken(
    of_nets.batch_independent_is_true,
    net(build_discriminator=discriminator_with(lambda net, samples: net.layers(samples - samples.mean(0)).squeeze(1))),
    "batch_independent=True, but",
    "Leave batch_independent out",
)


# --- losses, regularizers, augmentations, optimizers ---


def softplus(logits: Tensor) -> Tensor:
    return torch.nn.functional.softplus(logits)


def loss(**changes: Any) -> Example:
    fields = {
        "discriminator": lambda real, fake, smoothing: (softplus(-real) + softplus(fake)).mean(),
        "generator": lambda fake, real: softplus(-fake).mean(),
    }
    return Example(LossSpec(**{**TEXTS, **fields, **changes}))


PASSING.append(loss())
broken(
    of_losses.its_losses_are_finite_scalars,
    loss(generator=lambda fake, real: softplus(-fake)),
    "generator returned float32 [6], not a scalar []",
)
broken(
    of_losses.its_losses_are_finite_scalars,
    loss(generator=lambda fake, real: -(fake.sigmoid().log()).mean()),
    "is inf for logits between -100 and 100",
    "softplus",
)
broken(
    of_losses.its_losses_are_means_over_the_batch,
    loss(generator=lambda fake, real: softplus(-fake).sum()),
    "holds every logit twice",
    "mean",
)
broken(
    of_losses.the_discriminator_raises_real_logits_and_lowers_fakes,
    loss(discriminator=lambda fake, real, smoothing: (softplus(-real) + softplus(fake)).mean()),
    "does not raise the logits of real samples",
    "order of its arguments",
)
broken(
    of_losses.the_generator_raises_fake_logits, loss(generator=lambda fake, real: fake.mean()), "does not raise", "sign"
)
broken(of_losses.smoothable_is_true, loss(smoothable=True), "label_smoothing does not change the loss")
broken(
    of_losses.smoothable_is_true,
    loss(discriminator=lambda real, fake, smoothing: (softplus(-real) * (1 - smoothing) + softplus(fake)).mean()),
    "smoothable=False, but label_smoothing changes the loss",
)


def penalty(compute: Callable[[Any], Tensor], **changes: Any) -> Example:
    return Example(RegularizerSpec(**{**TEXTS, "compute": compute, **changes}))


def drift(inputs: Any) -> Tensor:
    return inputs.discriminators.real(inputs.real).square().mean()


def read_on_the_host(inputs: Any) -> Tensor:
    term = drift(inputs)
    return term if term.item() > 0 else -term


def not_kept(inputs: Any) -> Tensor:
    return drift(inputs) + inputs.state["mean"] + 1


PASSING.append(penalty(drift))
broken(
    of_losses.it_is_a_finite_scalar_of_at_least_zero, penalty(lambda inputs: -1 - drift(inputs)), "at least 0", "sign"
)
broken(
    of_losses.it_is_a_finite_scalar_of_at_least_zero,
    penalty(lambda inputs: inputs.discriminators.real(inputs.real).square()),
    "not a scalar",
)
broken(
    of_losses.it_is_differentiable_by_its_net,
    penalty(lambda inputs: drift(inputs).detach()),
    "no gradient reaches the discriminator",
    "create_graph=True",
)
broken(
    of_losses.it_leaves_its_inputs_unchanged,
    penalty(lambda inputs: drift(replace(inputs, real=inputs.real.mul_(2)))),
    "it changes ['real'] in place",
)
broken(
    of_losses.its_state_is_float32_and_changed_in_place,
    penalty(not_kept, state=lambda: {"mean": torch.zeros(())}),
    "does not change its state in place",
    "copy_",
)
broken(
    of_losses.its_state_is_float32_and_changed_in_place,
    penalty(not_kept, state=lambda: {"mean": torch.zeros((), dtype=torch.int64)}),
    "state 'mean' is int64 []",
)
broken(of_losses.it_can_be_recorded, penalty(read_on_the_host), "cannot be recorded", "item()")


def augmentation(apply: Callable[[Tensor, Tensor], Tensor]) -> Example:
    return Example(AugmentationSpec(**TEXTS, apply=apply, num_numbers=1))


def brightened(images: Tensor, numbers: Tensor) -> Tensor:
    return images + (numbers[:, 0] - 0.5).view(-1, 1, 1, 1)


PASSING.append(augmentation(brightened))
broken(
    of_augmentations.it_keeps_shape_and_range,
    augmentation(lambda images, numbers: images.transpose(2, 3)),
    "float32 [4, 1, 24, 16] for float32 [4, 1, 16, 24]",
)
broken(
    of_augmentations.it_keeps_shape_and_range,
    augmentation(lambda images, numbers: brightened(images, numbers) * 255),
    "for images in [-1, 1]",
)
broken(
    of_augmentations.it_follows_from_its_numbers,
    augmentation(lambda images, numbers: images + torch.rand(())),
    "other images for the same numbers",
)
broken(
    of_augmentations.it_follows_from_its_numbers, augmentation(lambda images, numbers: images * 0.5), "for all numbers"
)
broken(
    of_augmentations.each_image_has_its_own_numbers,
    augmentation(lambda images, numbers: images + numbers.mean()),
    "when its batch holds other images",
)
broken(
    of_augmentations.gradients_pass_through,
    augmentation(lambda images, numbers: brightened(images.detach(), numbers)),
    "no finite gradient",
)
broken(
    of_augmentations.it_leaves_its_inputs_unchanged,
    augmentation(lambda images, numbers: images.add_(numbers[:, 0].view(-1, 1, 1, 1))),
    "changes its inputs in place",
)
broken(
    of_augmentations.it_can_be_recorded,
    augmentation(lambda images, numbers: images.flip(3) if numbers[0, 0] < 0.5 else brightened(images, numbers)),
    "apply cannot be recorded",
    "torch.where",
)


# --- loggers ---


def logger(begin: Callable[[LoggedRun], Any], **fields: Any) -> Example:
    return Example(LoggerSpec(name="own", summary="s", begin=begin, **fields))


def taking_everything(run: LoggedRun) -> Logger:
    (run.path / "own.txt").write_text(run.id)
    run.networks()["generator"][0].train()
    return Logger(
        record=lambda numbers: None,
        picture=lambda step, path: None,
        evaluation=lambda step, protocol, metrics: None,
        end=lambda status: None,
    )


def drawing(run: LoggedRun) -> Logger:
    torch.rand(2)
    return Logger(record=lambda numbers: None)


def unique(run: LoggedRun) -> Logger:
    (run.path / "own").mkdir()
    return Logger(record=lambda numbers: None)


PASSING += [logger(taking_everything), logger(lambda run: Logger(record=lambda numbers: None))]
broken(of_loggers.it_logs_a_training, logger(lambda run: print), "builtin_function_or_method, not a Logger")
broken(
    of_loggers.it_logs_a_training, logger(lambda run: Logger(record=lambda numbers: numbers["fid"])), "record raised"
)
broken(
    of_loggers.it_logs_a_training,
    logger(lambda run: Logger(record=lambda numbers: numbers.pop("step"))),
    "changes the numbers",
)
broken(
    of_loggers.it_logs_a_training,
    logger(lambda run: Logger(record=lambda numbers: None, picture=lambda step, path: path.unlink())),
    "takes the file away",
)
broken(of_loggers.it_goes_on_with_a_run, logger(unique), "File exists")
broken(of_loggers.it_leaves_random_numbers_alone, logger(drawing), "torch's random numbers", "fork_rng")


class Descent(nn.Module):
    """Gradient descent with a running mean of the gradient."""

    def __init__(self, parameters: Any, config: Config) -> None:
        super().__init__()
        for index, parameter in enumerate(parameters):
            self.register_buffer(f"mean{index}", torch.zeros_like(parameter))

    def update(self, parameters: Any, gradients: Any, values: Mapping[str, Tensor]) -> None:
        for parameter, gradient, mean in zip(parameters, gradients, self.buffers(), strict=True):
            mean.lerp_(gradient, 0.5)
            parameter.sub_(values["learning_rate"].float() * mean)


def descent(**methods: Any) -> Example:
    config = methods.pop("config", Config)
    return Example(OptimizerSpec(**TEXTS, config=config, build=type("Changed", (Descent,), methods)))


def ascent(self: Any, parameters: Any, gradients: Any, values: Any) -> None:
    Descent.update(self, parameters, [-gradient for gradient in gradients], values)


def fixed_rate(self: Any, parameters: Any, gradients: Any, values: Any) -> None:
    Descent.update(self, parameters, gradients, {"learning_rate": torch.tensor(0.01)})


def scaled(self: Any, parameters: Any, gradients: Any, values: Any) -> None:
    Descent.update(self, parameters, [gradient.mul_(0.5) for gradient in gradients], values)


def counting(self: Any, parameters: Any, gradients: Any, values: Any) -> None:
    self.calls = getattr(self, "calls", 0) + 1
    Descent.update(self, parameters, [gradient / self.calls for gradient in gradients], values)


def replacing(self: Any, parameters: Any, gradients: Any, values: Any) -> None:
    self.mean0 = self.mean0.clone()
    Descent.update(self, parameters, gradients, values)


PASSING.append(descent())
broken(of_optimizers.its_config_is_bounded, descent(config=NoDefault), "NoDefault.width has no default")
broken(of_optimizers.it_lowers_a_quadratic, descent(update=ascent), "which is not lower", "Subtract")
broken(of_optimizers.it_lowers_a_quadratic, descent(update=None), "a method `update`")
broken(of_optimizers.it_uses_the_learning_rate_of_the_step, descent(update=fixed_rate), 'values["learning_rate"]')
broken(of_optimizers.it_leaves_gradients_unchanged, descent(update=scaled), "changes the gradients in place")
broken(of_optimizers.its_state_is_in_its_buffers, descent(update=counting), "goes on with other steps", "buffers")
broken(of_optimizers.its_state_is_changed_in_place, descent(update=replacing), "replaces the buffers ['mean0']")


# --- datasets ---


def dataset(load: Callable[..., Any], **changes: Any) -> Example:
    fields = {"name": "own", "summary": "s", "homepage": "h", "license": "CC0-1.0", "sample": CURVE}
    return Example(DatasetSpec(**{**fields, "splits": {"train": 8}, "load": load, **changes}))


def arrays(samples: Any, **changes: Any) -> Callable[..., ArrayData]:
    return lambda *given: ArrayData(samples=samples, **changes)


def drawn(draw: Callable[..., Any], **functions: Any) -> Callable[..., SyntheticData]:
    return lambda *given: SyntheticData(draw=draw, **functions)


def curves(num: int, generator: torch.Generator) -> Tensor:
    return torch.randn(num, 6, generator=generator)


def shuffled(*given: Any) -> ArrayData:
    return ArrayData(samples=np.random.default_rng().random((8, 6), dtype=np.float32))


def streamed(start: int, stop: int) -> ArrayData:
    return ArrayData(samples=np.full((stop - start, 6), stop, np.float32))


def download_anyway(root: Path, split: str, download: bool) -> ArrayData:
    (root / "file").write_text("downloaded")
    return ArrayData(samples=FLOATS)


def no_hint(*given: Any) -> ArrayData:
    raise MissingDatasetError("own: no files.")


FLOATS = np.zeros((8, 6), np.float32)
DIM = np.ones((8, 1, 4, 4), np.uint8)
UNLIMITED: Any = {"splits": {"train": None}}
PASSING += [dataset(arrays(FLOATS)), dataset(drawn(curves), **UNLIMITED)]
broken(of_data.its_settings_are_bounded, dataset(arrays(FLOATS), config=Unbounded), "Unbounded.width has no bounds")
broken(of_data.its_splits_have_names_and_sizes, dataset(arrays(FLOATS), splits={}), "no splits")
broken(of_data.its_splits_have_names_and_sizes, dataset(arrays(FLOATS), splits={"Train": 8}), "'Train'")
broken(
    of_data.missing_files_are_reported,
    dataset(lambda root, split, download: ArrayData(samples=np.load(root / "curves.npy"))),
    "load raised FileNotFoundError",
    "MissingDatasetError",
)
broken(of_data.missing_files_are_reported, dataset(no_hint), "has no hint")
broken(
    of_data.missing_files_are_reported, dataset(download_anyway), "load wrote ['file'] although `download` was false"
)
broken(
    of_data.its_data_is_what_the_spec_says,
    dataset(arrays(np.zeros((8, 5), np.float32))),
    "float32 [8, 5], not float32 [num, 6]",
)
broken(of_data.its_data_is_what_the_spec_says, dataset(arrays(FLOATS + np.nan)), "NaN")
broken(
    of_data.its_data_is_what_the_spec_says,
    dataset(arrays(FLOATS), sample=replace(CURVE, classes=("a", "b"))),
    "labels are NoneType",
)
broken(of_data.its_data_is_what_the_spec_says, dataset(arrays(FLOATS), **UNLIMITED), "load returned ArrayData")
broken(
    of_data.its_data_is_what_the_spec_says,
    dataset(drawn(lambda num, generator: torch.zeros(num, 5)), **UNLIMITED),
    "draw returned float32 [5, 5], not float32 [5, 6]",
)
broken(
    of_data.its_data_is_what_the_spec_says,
    dataset(
        drawn(curves, draw_labels=lambda num, generator: torch.full((num,), 2)),
        sample=replace(CURVE, classes=("a", "b")),
        **UNLIMITED,
    ),
    "of 0 to 1",
)
broken(of_data.images_use_their_range, dataset(arrays(DIM), sample=IMAGE), "largest value", "255")
broken(
    of_data.images_use_their_range,
    dataset(drawn(lambda num, generator: torch.rand(num, 1, 4, 4, generator=generator)), sample=IMAGE, **UNLIMITED),
    "images lie in [-1, 1]",
)
broken(of_data.it_loads_the_same_again, dataset(shuffled), "another one when it is loaded again", "Sort")
broken(of_data.it_loads_the_same_again, dataset(lambda *given: StreamedData(num=8, read=streamed)), "read(0, n) is not")
broken(
    of_data.it_loads_the_same_again,
    dataset(lambda *given: StreamedData(num=8, read=lambda start, stop: ArrayData(samples=FLOATS[start:stop]))),
    "cannot be pickled",
    "functools.partial",
)
broken(
    of_data.draws_follow_from_the_generator,
    dataset(drawn(lambda num, generator: torch.randn(num, 6)), **UNLIMITED),
    "draw returns something else for the same state",
    "generator=generator",
)
broken(
    of_data.draws_follow_from_the_generator,
    dataset(drawn(lambda num, generator: torch.ones(num, 6)), **UNLIMITED),
    "the same samples for every generator",
)


def protocol(**changes: Any) -> EvaluationProtocol:
    return EvaluationProtocol(
        **{"name": "own-v1", "metrics": ("curve-w1",), "num_samples": 8, "seeds": (0,), **changes}
    )


PASSING.append(Example(protocol(dataset="quadratic")))
broken(
    of_data.its_protocols_can_be_evaluated,
    dataset(arrays(FLOATS), protocols=(protocol(metrics=("missing",)),)),
    "the metric 'missing', which is not registered",
)
broken(of_data.its_protocols_can_be_evaluated, dataset(arrays(FLOATS), protocols=(protocol(split="test"),)), "'test'")
broken(of_numbers.its_names_exist, Example(protocol()), "does not name the dataset")
broken(of_numbers.its_names_exist, Example(protocol(dataset="missing")), "'missing' is not registered")
broken(of_numbers.its_names_exist, Example(protocol(dataset="quadratic", split="train")), "has no num_real")
broken(of_numbers.its_names_exist, Example(protocol(dataset="quadratic", seeds=(1, 1))), "seeds=(1, 1)")


# --- metrics and extractors; `curve-w1` is what protocols of the curves name ---


def metric(compute: Callable[[Any], Any], **changes: Any) -> Example:
    return Example(MetricSpec(**{"name": "curve-w1", "summary": "s", "better": "lower", "compute": compute, **changes}))


def size(inputs: Any) -> float:
    return float(inputs.samples.abs().mean())


PASSING.append(metric(size))
broken(of_numbers.it_is_a_finite_number, metric(lambda inputs: float("nan")), "nan")
broken(of_numbers.it_is_a_finite_number, metric(lambda inputs: inputs.samples.mean()), "not a number")
broken(of_numbers.it_gives_the_same_number_again, metric(lambda inputs: float(torch.rand(()))), "for the same samples")
broken(of_numbers.it_gives_the_same_number_again, metric(lambda inputs: random.random()), "for the same samples")
broken(
    of_numbers.it_leaves_the_samples_unchanged, metric(lambda inputs: float(inputs.samples.mul_(2).mean())), "in place"
)
broken(of_numbers.it_prefers_real_samples_to_noise, metric(size, better="higher"), "better='higher'", "sign")
broken(of_numbers.its_versions_are_text, metric(size, versions=lambda: {"scipy": 1.4}), "{'scipy': 1.4}")


def extractor(outputs: Callable[[Tensor], Mapping[str, Tensor]], sha256: str = "0" * 64) -> Example:
    spec = ExtractorSpec(
        name="own",
        summary="s",
        resize="none",
        kind="curve",
        batch_size=4,
        load=lambda device, folder: Extractor(outputs=outputs, sha256=sha256),
    )
    return Example(spec, sample=CURVE)


PASSING.append(extractor(lambda samples: {"values": samples * 2}))
broken(
    of_numbers.it_returns_values,
    extractor(lambda samples: {"values": samples.view(-1, 2, 3)}),
    "float32 [4, 2, 3], not float32 [4, dim]",
)
broken(of_numbers.it_returns_values, extractor(lambda samples: {"values": samples}, "abc"), "sha256='abc'")
broken(
    of_numbers.a_row_depends_on_its_own_sample,
    extractor(lambda samples: {"values": samples - samples.mean(0)}),
    "others of its batch",
)
broken(
    of_numbers.a_row_depends_on_its_own_sample,
    extractor(lambda samples: {"values": samples + torch.rand(())}),
    "differ when asked again",
)


# --- every spec ---

broken(every_spec.fields_have_valid_values, metric(size, summary=""), "summary='' is not a line", "one line")
broken(every_spec.fields_have_valid_values, metric(size, name="Own Metric"), "name='Own Metric'", "lower-case")
broken(every_spec.fields_have_valid_values, metric(size, better="smaller"), "'smaller' is not one of 'lower', 'higher'")
broken(every_spec.fields_have_valid_values, metric("size"), "compute='size' is not callable")  # type: ignore[arg-type]
broken(every_spec.it_is_registered, net(), "registers the architecture 'own'", 'entry-points."ganzoo.architectures"')
broken(every_spec.it_is_registered, metric(size), "registered, but as another object")


@pytest.mark.parametrize(("check", "example", "words"), CASES)
def test_a_check_fails_on_what_is_broken_in_its_way(check: Check, example: Example, words: tuple[str, ...]) -> None:
    with pytest.raises(CheckError) as caught:
        run_check(check, example)
    for word in words:
        assert word in str(caught.value)
    assert caught.value.what.endswith((".", "…"))
    assert caught.value.change


def test_a_logger_whose_module_is_missing_is_skipped() -> None:
    with pytest.raises(CheckSkippedError, match="no_such_module is not installed: pip install it"):
        run_check(
            of_loggers.it_logs_a_training, logger(taking_everything, module="no_such_module", install="pip install it")
        )


@pytest.mark.parametrize("example", PASSING, ids=lambda example: example.kind)
def test_what_is_right_passes_the_same_checks(example: Example) -> None:
    checks = next(checks for kind, checks in CHECKS.items() if isinstance(example.spec, kind))
    for check in checks:
        if check not in (every_spec.it_is_registered, every_spec.importing_it_loads_no_torch):
            run_check(check, example)


def test_samples_are_found_for_an_architecture_that_no_recipe_uses() -> None:
    def build_for(rank: int) -> Callable[..., nn.Module]:
        def build(config: Config, latent: LatentSpec, sample: SampleSpec) -> nn.Module:
            assert len(sample.shape) == rank
            return nn.Sequential(nn.Linear(latent.dim, math.prod(sample.shape)), nn.Unflatten(1, sample.shape))

        return build

    found = {
        rank: nets(Example(net(build_generator=build_for(rank), build_discriminator=None).spec))[0] for rank in (1, 4)
    }
    assert found[1].sample == SampleSpec(kind="curve", shape=(16,))
    assert found[4].sample == SampleSpec(kind="tensor", shape=(1, 16, 16, 16))
    assert found[4].latent.dim == 8
    with pytest.raises(CheckError, match=r"none of the samples that were tried[\s\S]*Example\(spec, sample="):
        nets(Example(net(build_generator=build_for(7)).spec))


# --- checks that need an installed plugin, a training or weights ---


def strange_recipe(install: InstallPlugin, *changes: tuple[str, str]) -> Example:
    install_strange(install, *changes)
    return Example(registry.recipes.get("strange-gan"))


def test_a_module_that_imports_torch_is_found(install_plugin: InstallPlugin) -> None:
    install_strange(
        install_plugin, ("from dataclasses import dataclass", "import torch\nfrom dataclasses import dataclass")
    )
    example = Example(registry.architectures.get("strange-net"))
    with pytest.raises(CheckError, match=r"importing 'ganzoo_strange' loads torch and numpy[\s\S]*deferred"):
        run_check(every_spec.importing_it_loads_no_torch, example)
    with pytest.raises(CheckSkippedError, match="not registered"):
        run_check(every_spec.importing_it_loads_no_torch, net())


def test_a_recipe_that_does_not_fit_together_is_found(install_plugin: InstallPlugin) -> None:
    example = strange_recipe(install_plugin, ("batch_size=4, steps=2,", 'batch_size=4, steps=2, loss="missing",'))
    with pytest.raises(CheckError, match="missing"):
        run_check(of_recipes.its_settings_fit_together, example)


def test_a_recipe_of_a_split_that_does_not_exist_is_found(install_plugin: InstallPlugin) -> None:
    example = strange_recipe(install_plugin, ("batch_size=4, steps=2,", 'batch_size=4, steps=2, split="test",'))
    with pytest.raises(CheckError, match=r"split='test' is not a split[\s\S]*Choose one of train"):
        run_check(of_recipes.its_settings_fit_together, example)


def test_a_net_that_does_not_change_is_found(install_plugin: InstallPlugin) -> None:
    rounded = "return self.layers(z) * 0 + self.layers(z).detach()"
    example = strange_recipe(install_plugin, ("return self.layers(z)", rounded))
    with pytest.raises(CheckError, match="the generator does not change in training"):
        run_check(of_recipes.it_trains, example)


COUNTING = (
    "return self.layers(samples).squeeze(1)",
    "self.calls = getattr(self, 'calls', 0) + 1\n        return self.layers(samples).squeeze(1) * self.calls",
)


def test_a_net_that_counts_in_python_cannot_be_resumed(install_plugin: InstallPlugin) -> None:
    example = strange_recipe(install_plugin, COUNTING)
    with pytest.raises(CheckError, match=r"end with other values after it was interrupted[\s\S]*buffers"):
        run_check(of_recipes.it_resumes_bit_for_bit, example)


def test_a_net_that_cannot_be_recorded_is_told_with_the_reason(install_plugin: InstallPlugin) -> None:
    with pytest.raises(CheckSkippedError, match=r"one by one: .*keep numbers that change in a buffer"):
        run_check(of_recipes.recorded_steps_are_the_same, strange_recipe(install_plugin, COUNTING))


def test_recorded_steps_with_other_values_are_found(
    install_plugin: InstallPlugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    example, tensors = strange_recipe(install_plugin), of_recipes._Runs.tensors

    def changed(runs: Any, name: str) -> dict[str, Tensor]:
        return {key: value + (name == "graph") for key, value in tensors(runs, name).items()}

    monkeypatch.setattr(of_recipes._Runs, "tensors", changed)
    with pytest.raises(CheckError, match="end with other values when its steps are recorded"):
        run_check(of_recipes.recorded_steps_are_the_same, example)


def test_a_recipe_without_its_data_is_skipped() -> None:
    example = Example(registry.recipes.get("mnist-mlp"))
    with pytest.raises(CheckSkippedError, match="there are no files of mnist"):
        run_check(of_recipes.it_trains, example)


@pytest.fixture
def weights() -> Example:
    return Example(next(entry for entry in Zoo().entries if entry.name == "quadratic-mlp"))


@pytest.mark.parametrize(
    ("check", "changes", "words"),
    [
        (of_weights.files_match_the_manifest, {"bundled": "ganzoo_quadratic:weights/missing"}, "Ship the folder"),
        (of_weights.the_manifest_describes_the_model, {"dataset": "mnist"}, "the manifest says dataset='mnist'"),
    ],
)
def test_weights_that_are_not_what_the_manifest_says_are_found(
    weights: Example, check: Check, changes: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = replace(weights.spec, **changes)
    monkeypatch.setattr(Zoo, "find", lambda zoo, reference: entry)
    with pytest.raises(CheckError, match=words):
        run_check(check, replace(weights, spec=entry))


def test_weights_whose_samples_change_are_found(weights: Example, monkeypatch: pytest.MonkeyPatch) -> None:
    from ganzoo_mlp.networks import Generator as Perceptron

    forward = Perceptron.forward
    monkeypatch.setattr(Perceptron, "forward", lambda net, z: forward(net, z - z.mean(0)))
    with pytest.raises(CheckError, match="when its batch holds other samples"):
        run_check(of_weights.samples_follow_from_the_seed, weights)


@pytest.mark.slow
def test_published_numbers_are_measured_again_only_if_that_is_asked_for(
    weights: Example, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CheckSkippedError, match="--evaluate"):
        run_check(of_weights.published_numbers_are_reproduced, weights)
    quick = [{**metric, "value": 9.0} for metric in weights.spec.metrics if metric["name"] == "curve-rmse"]
    entry = replace(weights.spec, metrics=tuple(quick))
    with pytest.raises(CheckError, match=r"curve-rmse is 0\.\d+, not 9 ±"):
        run_check(of_weights.published_numbers_are_reproduced, replace(weights, spec=entry, evaluate=True))


def test_every_check_has_a_test_above() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    for checks in CHECKS.values():
        for check in checks:
            assert source.count(f".{check.__name__}") > 0, check.__name__
            assert check.__doc__


def test_check_all_raises_the_first_failure() -> None:
    with pytest.raises(CheckError, match="summary"):
        check_all(metric(size, summary=""))
