"""Pairs of networks, built from one validated config."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
    """(config, latent, sample) -> module; module(z [batch, dim]) -> [batch, *sample.shape].
    When `sample.classes` is given: module(z, labels), labels int64 [batch]."""
    build_discriminator: Callable[[Any, SampleSpec], torch.nn.Module]
    """(config, sample) -> module; module(samples [batch, *sample.shape] (, labels)) -> raw logits [batch]."""
    conditional: bool = False
    """Whether the builders understand `sample.classes`."""
    batch_independent: bool = False
    """Whether the discriminator's logit of a sample depends on that sample alone (no batch statistics), so that real
    and fake samples may be concatenated into one pass."""
    api_version: int = 1
    """Version of these contracts that the plugin was written for."""
