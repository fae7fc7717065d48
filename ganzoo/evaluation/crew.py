"""Several ranks that measure one model: the first leads, the others do their share of what takes long."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from torch import Tensor

from ganzoo.distributed.processes import Processes
from ganzoo.evaluation.extractors import Extractors
from ganzoo.model import GAN
from ganzoo.randomness import sample_latents

BLOCK = 1024
"""Samples of a share come in whole blocks, so that the generator sees the same batches as in one process."""


def sample(gan: GAN, num: int, seed: int, processes: Processes) -> Tensor:
    """Return what `gan.sample` returns, on the CPU. Only the first rank calls it, while the others `assist`."""
    if processes.world_size == 1:
        return gan.sample(num, seed=seed).cpu()
    processes.broadcast({"task": "sample", "num": num, "seed": seed})
    samples = _sample_share(gan, num, seed, processes)
    assert samples is not None
    return samples


def _sample_share(gan: GAN, num: int, seed: int, processes: Processes) -> Tensor | None:
    shares = processes.shards(num, BLOCK)
    own = shares[processes.rank]
    latents, labels = sample_latents(gan.config.latent, num, seed)[own], gan.labels(num)

    def generate() -> Tensor | None:
        return gan.generate(latents, None if labels is None else labels[own]).cpu() if len(latents) else None

    return processes.gather(processes.run_on_all(generate), shares)


@contextlib.contextmanager
def leading(processes: Processes) -> Iterator[None]:
    """Let the other ranks go at the end."""
    try:
        yield
    finally:
        processes.broadcast(None)


def assist(gan: GAN, extractors: Extractors, processes: Processes) -> None:
    """Do this rank's share of all that the first one asks for, until it lets go. Raises what failed meanwhile."""
    failure: Exception | None = None
    while (request := processes.broadcast()) is not None:
        try:
            _fulfil(request, gan, extractors, processes)
        except Exception as error:  # the first rank hears of it, and lets go
            failure = failure or error
    if failure is not None:
        raise failure


def _fulfil(request: dict[str, Any], gan: GAN, extractors: Extractors, processes: Processes) -> None:
    num = request["num"]
    if request["task"] == "sample":
        _sample_share(gan, num, request["seed"], processes)
        return
    extractors.extract_share(request["extractor"], None, processes.shards(num, request["block"]))
