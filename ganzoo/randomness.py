"""Seeds in, independent streams of random numbers out. Nothing here reads or writes the global generators."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from ganzoo.specs import LatentSpec

LATENT_BLOCK = 64
"""Rows of latents drawn at a time; a prefix of a longer draw is then the same, whatever its length."""


def random_seed() -> int:
    """Return a fresh seed below 2**31, short enough to type again."""
    return secrets.randbelow(1 << 31)


def derive_seed(seed: int, *path: str | int) -> int:
    """Return the seed of a named stream; different paths are independent."""
    # Hashed, not counted: if streams took seed, seed + 1, …, the second stream of run 0 would be the first of run 1.
    text = "/".join(str(part) for part in (seed, *path))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1  # 63 bits: never negative as an int64


def generator(seed: int, *path: str | int, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a generator for a named stream of a seed."""
    import torch

    return torch.Generator(device).manual_seed(derive_seed(seed, *path))


def draw_latents(latent: LatentSpec, num: int, source: torch.Generator) -> torch.Tensor:
    """Draw latents [num, dim] on the source's device, of the distribution that the spec names."""
    import torch

    if latent.distribution == "uniform":
        return torch.rand(num, latent.dim, generator=source, device=source.device).mul_(2).sub_(1)  # [0, 1) -> [-1, 1)
    return torch.randn(num, latent.dim, generator=source, device=source.device)


def sample_latents(latent: LatentSpec, num: int, seed: int) -> torch.Tensor:
    """Draw the latents [num, dim] of a sampling seed, on the CPU: the same for every device and every larger num."""
    return next(latent_batches(latent, num, seed, num))


def latent_batches(latent: LatentSpec, num: int, seed: int, size: int) -> Iterator[torch.Tensor]:
    """Draw the latents of a sampling seed batch by batch, [size, dim] each and the last one shorter, on the CPU.

    Together they are `sample_latents(latent, num, seed)`, whatever the size, and are never all in memory.
    """
    import torch

    # Whole blocks are drawn, and rows that a batch leaves over begin the next one. Drawing `size` rows at a time would
    # tie the numbers to the batch size: on a CPU, a short torch.randn is not the beginning of a longer one.
    source = generator(seed, "sample")
    drawn = torch.empty(0, latent.dim)
    for start in range(0, num, size):
        wanted = min(size, num - start)
        num_blocks = -(-(wanted - len(drawn)) // LATENT_BLOCK)
        drawn = torch.cat([drawn, *(draw_latents(latent, LATENT_BLOCK, source) for _ in range(num_blocks))])
        yield drawn[:wanted]
        drawn = drawn[wanted:]


def interpolate_latents(latent: LatentSpec, start: torch.Tensor, end: torch.Tensor, share: float) -> torch.Tensor:
    """Return latents [num, dim] on the way from start (share 0) to end (share 1).

    Uniform latents go straight. Normal ones turn, and their length goes straight (White 2016, arXiv:1609.04468,
    section 2.1): the middle of two of them would be shorter than any that the generator has met.
    """
    import torch

    straight = torch.lerp(start, end, share)
    if latent.distribution == "uniform":
        return straight
    start_length, end_length = start.norm(dim=1, keepdim=True), end.norm(dim=1, keepdim=True)
    start, end = start / start_length, end / end_length
    # Rounding can put the cosine just outside [-1, 1], where acos is NaN.
    angle = (start * end).sum(1, keepdim=True).clamp(-1, 1).acos()
    # sin((1 - t) a) / sin(a) p + sin(t a) / sin(a) q, on the unit sphere.
    turned = (((1 - share) * angle).sin() * start + (share * angle).sin() * end) / angle.sin()
    # Between parallel or opposite latents no turn is defined.
    return torch.where(angle.sin() > 1e-4, turned * torch.lerp(start_length, end_length, share), straight)
