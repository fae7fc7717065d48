"""Whether the samples of a model follow from the seed; checked before weights are published."""

from __future__ import annotations

import logging

import torch

from ganzoo.guard import plugin_error
from ganzoo.model import GAN
from ganzoo.registry import architectures

NUM = 8
TOLERANCE = 1e-3
"""Largest difference between a sample alone and in a batch, relative to the largest value: the size of a batch changes
the rounding of matrix products and convolutions, by far less."""

_log = logging.getLogger("ganzoo")


def warn_if_unstable(gan: GAN) -> None:
    """Warn of a generator whose samples depend on more than the seed, the label and the latents of each."""
    fault, samples = "", gan.sample(NUM, seed=0)
    if not torch.equal(samples, gan.sample(NUM, seed=0)):
        fault = "returns other samples when it is given the same latents again"
    elif (samples[:1] - gan.sample(1, seed=0)).abs().amax() > TOLERANCE * samples.abs().amax():
        fault = "returns another sample when its batch holds other samples"
    if fault:
        name = gan.config.architecture
        problem = plugin_error(architectures, name, f"the generator of {name!r} {fault}.")
        _log.warning("Warning: %s Its published samples and metrics may not be reproduced.", problem)
