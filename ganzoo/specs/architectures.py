"""Pairs of networks, built from one validated config."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ganzoo.specs.registration import registered
from ganzoo.specs.samples import LatentSpec, SampleSpec

if TYPE_CHECKING:
    import torch


@registered
@dataclass(frozen=True, kw_only=True)
class ArchitectureSpec:
    """A generator and a discriminator, both built from one validated config."""

    name: str
    """As registered: the entry point's name."""
    summary: str
    """One line for `ganzoo show`."""
    paper: str
    """Where the networks come from: authors, year, arXiv number; or the published code."""
    license: str
    """SPDX identifier of the implementation."""
    config: type[Any]
    """A frozen dataclass. Bound every field (`annotated_types`): configs may come from untrusted files. Give fields
    that only the discriminator reads a default: generators are imported without their discriminator."""
    build_generator: Callable[[Any, LatentSpec, SampleSpec], torch.nn.Module]
    """(config, latent, sample) -> module; module(z [batch, dim, *grid]) -> [batch, *sample.shape].
    When `sample.classes` is given: module(z, labels), labels int64 [batch]. When `sample.text` is given: module(z,
    texts), texts int64 [batch, max_length] as `TextSpec.encode` gives them. With `noise`: module(…, noise={name: tensor
    [batch, *shape]})."""
    build_discriminator: Callable[[Any, SampleSpec], torch.nn.Module] | None
    """(config, sample) -> module; module(samples [batch, *sample.shape] (, labels or texts)) -> raw logits [batch].
    None: its generators can be imported and sampled, but not trained."""
    conditions: tuple[Literal["classes", "text"], ...] = ()
    """What the networks can be conditioned on: which of `sample.classes` and `sample.text` the builders understand. A
    model has one condition, or none; builders see only that one. Others may be added."""
    unconditional: bool = True
    """Whether the networks can be built without a condition; if not, recipes with `conditional=false` are refused."""
    latent_grid: bool = False
    """Whether the generator takes latents with a grid, [batch, dim, *grid]."""
    noise: Callable[[Any, SampleSpec], Mapping[str, tuple[int, ...]]] | None = None
    """(config, sample) -> name -> shape of the standard normal noise of one sample, for a generator that takes noise
    beside z, as StyleGAN does in each layer (Karras et al., arXiv:1812.04948, section 2); None: no noise. The generator
    gets it as the keyword argument `noise`: name -> float32 [batch, *shape]. When sampling it follows from the seed, so
    a sample has the same noise alone, in any batch and on every device. A generator may also call `torch.randn`; then
    the noise of a sample depends on its batch and on the device."""
    sampling_options: type[Any] | None = None
    """A frozen dataclass of options that may be chosen when sampling (`ganzoo sample --set psi=0.7`), each with bounds
    and a default; None: there are none. The generator gets all of them as keyword arguments when sampling. In training
    it gets none, and its own defaults apply."""
    batch_independent: bool = False
    """Whether the discriminator's logit of a sample depends on that sample alone (no batch statistics), so that real
    and fake samples may be concatenated into one pass."""
    api_version: int = 1
    """Version of these contracts that the plugin was written for."""
