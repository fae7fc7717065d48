"""Seeds in, independent streams of random numbers out.

Torch's global generators, which dropout and networks with noise of their own read, are set only within
`ambient_randomness`, which restores the caller's states.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import secrets
from collections.abc import Callable, Iterator, Mapping
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
    """Draw latents [num, dim, *grid] on the source's device, of the distribution that the spec names."""
    import torch

    # Nothing here depends on values, so that a CUDA graph can capture it: no rejection of normal numbers, and no
    # nn.functional.one_hot, which looks at its input.
    if latent.distribution == "categorical":
        chosen = torch.randint(latent.dim, (num, 1, *latent.grid), generator=source, device=source.device)
        categories = torch.arange(latent.dim, device=source.device).view(-1, *[1] * len(latent.grid))
        return (chosen == categories).float()
    shape = (num, *latent.shape)
    if latent.distribution == "normal":
        return torch.randn(shape, generator=source, device=source.device)
    uniform = torch.rand(shape, generator=source, device=source.device).mul_(2).sub_(1)  # [0, 1) -> [-1, 1)
    if latent.distribution == "uniform":
        return uniform
    # The inverse of the normal distribution function, on the part of its values within the bounds. Rounding may put a
    # result just outside.
    bound = latent.truncation
    return uniform.mul_(math.erf(bound / math.sqrt(2))).erfinv_().mul_(math.sqrt(2)).clamp_(-bound, bound)


def sample_latents(latent: LatentSpec, num: int, seed: int) -> torch.Tensor:
    """Draw the latents [num, dim, *grid] of a seed, on the CPU: the same for every device and every larger num."""
    return next(latent_batches(latent, num, seed, num))


def latent_batches(latent: LatentSpec, num: int, seed: int, size: int) -> Iterator[torch.Tensor]:
    """Draw the latents of a sampling seed batch by batch, [size, dim, *grid] and the last one shorter, on the CPU.

    Together they are `sample_latents(latent, num, seed)`, whatever the size, and are never all in memory.
    """
    source = generator(seed, "sample")
    return _in_batches(lambda: draw_latents(latent, LATENT_BLOCK, source), num, size)


def noise_batches(
    shapes: Mapping[str, tuple[int, ...]], num: int, seed: int, size: int
) -> Iterator[dict[str, torch.Tensor]]:
    """Draw the noise of a sampling seed batch by batch, as latents are: name -> standard normal [size, *shape].

    Each name has a stream of its own. Without shapes it yields empty dictionaries.
    """
    import torch

    def drawn(name: str, shape: tuple[int, ...]) -> Iterator[torch.Tensor]:
        source = generator(seed, "noise", name)
        return _in_batches(lambda: torch.randn(LATENT_BLOCK, *shape, generator=source), num, size)

    streams = {name: drawn(name, shape) for name, shape in shapes.items()}
    for _ in range(0, num, size):
        yield {name: next(stream) for name, stream in streams.items()}


def _in_batches(draw_block: Callable[[], torch.Tensor], num: int, size: int) -> Iterator[torch.Tensor]:
    """Yield `num` rows, `size` at a time, from blocks of LATENT_BLOCK rows."""
    import torch

    # Whole blocks are drawn, and rows that a batch leaves over begin the next one. Drawing `size` rows at a time would
    # tie the numbers to the batch size: on a CPU, a short torch.randn is not the beginning of a longer one.
    parts: list[torch.Tensor] = []
    for start in range(0, num, size):
        wanted = min(size, num - start)
        missing = wanted - sum(map(len, parts))
        parts += [draw_block() for _ in range(-(-missing // LATENT_BLOCK))]
        drawn = torch.cat(parts)
        yield drawn[:wanted]
        parts = [drawn[wanted:]]


def interpolate_latents(latent: LatentSpec, start: torch.Tensor, end: torch.Tensor, share: float) -> torch.Tensor:
    """Return latents [num, dim, *grid] on the way from start (share 0) to end (share 1).

    Uniform and categorical latents go straight. Normal ones turn, and their length goes straight (White 2016,
    arXiv:1609.04468, section 2.1): the middle of two of them would be shorter than any that the generator has met.
    """
    import torch

    if latent.distribution in ("uniform", "categorical"):
        return torch.lerp(start, end, share)
    turned = _turned(start.flatten(1), end.flatten(1), share).view_as(start)
    if latent.distribution == "truncated_normal":  # a component that both have at the bound would pass beyond it
        return turned.clamp(-latent.truncation, latent.truncation)
    return turned


def _turned(start: torch.Tensor, end: torch.Tensor, share: float) -> torch.Tensor:
    """Return [num, dim], turned from start to end."""
    import torch

    straight = torch.lerp(start, end, share)
    start_length, end_length = start.norm(dim=1, keepdim=True), end.norm(dim=1, keepdim=True)
    start, end = start / start_length, end / end_length
    # Rounding can put the cosine just outside [-1, 1], where acos is NaN.
    angle = (start * end).sum(1, keepdim=True).clamp(-1, 1).acos()
    # sin((1 - t) a) / sin(a) p + sin(t a) / sin(a) q, on the unit sphere.
    turned = (((1 - share) * angle).sin() * start + (share * angle).sin() * end) / angle.sin()
    # Between parallel or opposite latents no turn is defined.
    return torch.where(angle.sin() > 1e-4, turned * torch.lerp(start_length, end_length, share), straight)


# --- torch's global generators: modules such as dropout cannot be given another one ---


@contextlib.contextmanager
def ambient_randomness(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's global generators of the CPU and of this device; restore the caller's states at the end."""
    before = ambient_state(device)
    _seed_ambient(seed, device)
    try:
        yield
    finally:
        set_ambient_state(before, device)


def seeded_ambient_state(seed: int, device: torch.device) -> dict[str, torch.Tensor]:
    """Return the states of newly seeded global generators of the CPU and of this device; all generators keep theirs."""
    with ambient_randomness(seed, device):
        return ambient_state(device)


def ambient_state(device: torch.device) -> dict[str, torch.Tensor]:
    """Return the states of the global generators of the CPU and of this device."""
    import torch

    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        state["mps"] = torch.mps.get_rng_state()
    return state


def set_ambient_state(state: Mapping[str, torch.Tensor], device: torch.device) -> None:
    """Set the global generators to states of `ambient_state`."""
    import torch

    torch.set_rng_state(state["cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda"], device)
    elif device.type == "mps":
        torch.mps.set_rng_state(state["mps"])


def _seed_ambient(seed: int, device: torch.device) -> None:
    import torch

    # Not torch.manual_seed, which would reseed the generators of all devices.
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)
