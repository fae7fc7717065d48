"""The nets of an architecture that its checks run on: which config, latents and samples, and how they are called."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from ganzoo.data.settings import dataset_of
from ganzoo.errors import PluginError
from ganzoo.randomness import ambient_randomness, noise_batches, sample_latents
from ganzoo.registry import origin, recipes, registrations
from ganzoo.sampling import SampleInputs, generate
from ganzoo.specs import ArchitectureSpec, LatentSpec, Recipe, SampleSpec, TextSpec
from ganzoo.testing.checks import CheckError, Example, blamed
from ganzoo.validation import architecture_config
from ganzoo.weights.building import build

BATCH = 4
CPU = torch.device("cpu")
SAMPLES = (
    SampleSpec(kind="image", shape=(3, 32, 32)),
    SampleSpec(kind="image", shape=(1, 32, 32)),
    SampleSpec(kind="curve", shape=(16,)),
    SampleSpec(kind="curve", shape=(2, 16)),
    SampleSpec(kind="tensor", shape=(16,)),
    SampleSpec(kind="tensor", shape=(1, 16, 16, 16)),
)
"""Tried in turn for an architecture that no recipe uses."""
CLASSES = ("first", "second", "third")
TEXT = TextSpec(alphabet="ab", max_length=3, examples=("ab", "b", "baa"))


@dataclass(frozen=True)
class Nets:
    """Both nets of an architecture, for one kind of condition or none."""

    spec: ArchitectureSpec
    config: Any
    latent: LatentSpec
    sample: SampleSpec

    @property
    def condition(self) -> str:
        """Such as ` with classes`; empty without a condition."""
        return " with classes" if self.sample.classes else " with texts" if self.sample.text else ""

    def build_generator(self) -> nn.Module:
        """Call the spec's builder. Raises CheckError for its exceptions, and for what is not a module."""
        return self._built("generator", lambda: self.spec.build_generator(self.config, self.latent, self.sample))

    def build_discriminator(self) -> nn.Module:
        """Do the same for the discriminator, which must not be None."""
        builder = self.spec.build_discriminator
        assert builder is not None
        return self._built("discriminator", lambda: builder(self.config, self.sample))

    def _built(self, role: str, builder: Callable[[], object]) -> nn.Module:
        with blamed(f"build_{role}{self.condition}"):
            module = builder()
        what = f"build_{role} returned {type(module).__name__}, not a torch.nn.Module."
        if not isinstance(module, nn.Module):
            raise CheckError(what, "Return the module.")
        return module

    @property
    def builders(self) -> dict[str, Callable[[], nn.Module]]:
        """Role -> builder; without a discriminator for architectures that have none."""
        both = {"generator": self.build_generator, "discriminator": self.build_discriminator}
        return both if self.spec.build_discriminator is not None else {"generator": self.build_generator}

    def inputs(self, num: int = BATCH) -> SampleInputs:
        """Return the first inputs of seed 0: latents, conditions in turn, and the noise that is declared."""
        shapes = {} if self.spec.noise is None else dict(self.spec.noise(self.config, self.sample))
        return SampleInputs(
            sample_latents(self.latent, num, 0), self.conditions(num), next(noise_batches(shapes, num, 0, num))
        )

    def conditions(self, num: int) -> Tensor | None:
        """Return labels or texts in turn; None without a condition."""
        if self.sample.classes is not None:
            return torch.arange(num) % len(self.sample.classes)
        if self.sample.text is not None:
            examples = self.sample.text.examples
            return torch.tensor([self.sample.text.encode(examples[index % len(examples)]) for index in range(num)])
        return None

    def fakes(self, generator: nn.Module, inputs: SampleInputs, **options: Any) -> Tensor:
        """Run the generator. Raises CheckError for its exceptions and for what is not a tensor."""
        with blamed(f"the generator{self.condition}"), ambient_randomness(0, CPU):
            found: object = generate(generator, *inputs, options)
        if not isinstance(found, Tensor):
            raise CheckError(f"the generator returned {type(found).__name__}, not a tensor.", "Return the samples.")
        return found

    def logits(self, discriminator: nn.Module, samples: Tensor, condition: Tensor | None = None) -> Tensor:
        """Run the discriminator, with conditions in turn unless others are given; raises as `fakes`."""
        condition = self.conditions(len(samples)) if condition is None else condition
        with blamed(f"the discriminator{self.condition}"), ambient_randomness(0, CPU):
            found: object = discriminator(samples) if condition is None else discriminator(samples, condition)
        if not isinstance(found, Tensor):
            raise CheckError(f"the discriminator returned {type(found).__name__}, not a tensor.", "Return the logits.")
        return found

    def real(self, num: int = BATCH) -> Tensor:
        """Return random samples in [-1, 1]."""
        return torch.rand(num, *self.sample.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


def nets(example: Example) -> list[Nets]:
    """Return the nets that are checked: without a condition if it can do without, then with each that it declares."""
    spec: ArchitectureSpec = example.spec
    recipe = _recipe_of(spec) if None in (example.config, example.sample, example.latent) else None
    values = example.config if example.config is not None else recipe.config if recipe is not None else {}
    config = architecture_config(spec, values, "example")
    latent = example.latent or (recipe.latent if recipe is not None else LatentSpec(dim=8))
    candidates = [example.sample] if example.sample is not None else [dataset_of(recipe).sample] if recipe else SAMPLES
    kinds = (*([None] if spec.unconditional else []), *spec.conditions)
    tried = [_with_condition(sample, kinds[0]) for sample in candidates if sample is not None]
    shape = _first_that_works(spec, config, latent, tried).shape
    given = next(sample for sample in candidates if sample is not None and sample.shape == shape)
    return [Nets(spec, config, latent, _with_condition(given, kind)) for kind in kinds]


def _with_condition(sample: SampleSpec, kind: str | None) -> SampleSpec:
    """Return samples with one condition or none: builders see only that of the model."""
    return replace(
        sample,
        classes=(sample.classes or CLASSES) if kind == "classes" else None,
        text=(sample.text or TEXT) if kind == "text" else None,
    )


def _first_that_works(spec: ArchitectureSpec, config: Any, latent: LatentSpec, samples: list[SampleSpec]) -> SampleSpec:
    """Return the first kind of samples that the generator makes; a single one is not tried, but left to the checks."""
    if len(samples) == 1:
        return samples[0]
    first = None
    for sample in samples:
        one = Nets(spec, config, latent, sample)
        try:
            if one.fakes(build(one.build_generator, 0), one.inputs(2)).shape[1:] == sample.shape:
                return sample
        except CheckError as error:
            first = first or error
    raise CheckError(
        f"its generator makes none of the samples that were tried{'.' if first is None else f': {first.what}'}",
        "Register a recipe that uses the architecture, or pass Example(spec, sample=SampleSpec(...)).",
    )


def _recipe_of(spec: ArchitectureSpec) -> Recipe | None:
    """Return a registered recipe that uses an architecture, one of the same distribution first; None without any."""
    owners = [str(origin(entry)) for entry in registrations("ganzoo.architectures") if entry.name == spec.name]
    for name, found in sorted(recipes.origins().items(), key=lambda item: str(item[1][0]) not in owners):
        if len(found) > 1:
            continue
        with contextlib.suppress(PluginError):
            recipe = recipes.get(name)
            if recipe.architecture == spec.name:
                return recipe
    return None
