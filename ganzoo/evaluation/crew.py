"""Several ranks that measure one model: the first leads, the others do their share of what takes long."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from torch import Tensor

from ganzoo.evaluation.extractors import Extractors
from ganzoo.model import GAN
from ganzoo.randomness import sample_latents
from ganzoo.ranks import Ranks

BLOCK = 1024
"""Samples of a share come in whole blocks, so that the generator sees the same batches as in one process."""


def sample(gan: GAN, num: int, seed: int, ranks: Ranks) -> Tensor:
    """Return what `gan.sample` returns, on the CPU. Only the first rank calls it, while the others `assist`."""
    if ranks.world == 1:
        return gan.sample(num, seed=seed).cpu()
    ranks.told({"task": "sample", "num": num, "seed": seed})
    samples = _sample_share(gan, num, seed, ranks)
    assert samples is not None
    return samples


def _sample_share(gan: GAN, num: int, seed: int, ranks: Ranks) -> Tensor | None:
    shares = ranks.shares(num, BLOCK)
    own = shares[ranks.rank]
    latents, labels = sample_latents(gan.config.latent, num, seed)[own], gan.labels(num)

    def generate() -> Tensor | None:
        return gan.generate(latents, None if labels is None else labels[own]).cpu() if len(latents) else None

    return ranks.gather(ranks.together(generate), shares)


@contextlib.contextmanager
def leading(ranks: Ranks) -> Iterator[None]:
    """Let the other ranks go at the end."""
    try:
        yield
    finally:
        ranks.told(None)


def assist(gan: GAN, extractors: Extractors, ranks: Ranks) -> None:
    """Do this rank's share of all that the first one asks for, until it lets go. Raises what failed meanwhile."""
    failure: Exception | None = None
    while (request := ranks.told()) is not None:
        try:
            _fulfil(request, gan, extractors, ranks)
        except Exception as error:  # the first rank hears of it, and lets go
            failure = failure or error
    if failure is not None:
        raise failure


def _fulfil(request: dict[str, Any], gan: GAN, extractors: Extractors, ranks: Ranks) -> None:
    num = request["num"]
    if request["task"] == "sample":
        _sample_share(gan, num, request["seed"], ranks)
        return
    extractors.extract_share(request["extractor"], None, ranks.shares(num, request["block"]))
