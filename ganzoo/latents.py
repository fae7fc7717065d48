"""What is done with latents that were drawn or found: checked, truncated, and moved from one to another."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ganzoo.errors import UsageError
from ganzoo.randomness import interpolate_latents

if TYPE_CHECKING:
    import torch
    from numpy.typing import ArrayLike

    from ganzoo.specs import LatentSpec


def checked_latents(latent: LatentSpec, given: torch.Tensor | ArrayLike) -> torch.Tensor:
    """Return latents of any array type as float32 [num, dim, *grid], gradients included. Raises UsageError."""
    import torch

    hint = "gan.latents(num, seed=0) draws latents of the right shape."
    try:
        latents = torch.as_tensor(given)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UsageError(f"latents must be an array of numbers, not {type(given).__name__}.", hint=hint) from error
    if latents.shape[1:] != latent.shape or not len(latents) or latents.is_complex() or latents.dtype == torch.bool:
        expected = ", ".join(map(str, ("num", *latent.shape)))
        kind = str(latents.dtype).removeprefix("torch.")
        raise UsageError(f"latents must be numbers [{expected}], not {kind} {list(latents.shape)}.", hint=hint)
    return latents.float()


def truncate_latents(latent: LatentSpec, latents: torch.Tensor, bound: float) -> torch.Tensor:
    """Move latents [num, dim, *grid] into [-bound, bound]: more typical samples, of less variety.

    The truncation trick (Brock et al. 2019, arXiv:1809.11096, section 3.1) draws components beyond the bound again.
    Here each component goes to the same quantile of the truncated distribution instead. The law is the same, but a seed
    keeps its samples: they change continuously with the bound, and not at all when it is large.

    Raises UsageError for a bound that is not a positive number, and for categorical latents.
    """
    if isinstance(bound, bool) or not isinstance(bound, int | float) or not 0 < bound < math.inf:
        raise UsageError(
            f"truncation is {bound!r}.", hint="Pass a positive number: the largest absolute value of a component."
        )
    if latent.distribution == "categorical":
        raise UsageError("categorical latents cannot be truncated.", hint="Leave the truncation out.")
    if latent.distribution == "uniform":
        return latents * min(bound, 1.0)
    before = latent.truncation if latent.distribution == "truncated_normal" else math.inf
    if bound >= before:
        return latents
    # In float64: erf of a component of 4 differs from 1 by 1e-8, which float32 would lose.
    share = math.erf(bound / math.sqrt(2)) / math.erf(before / math.sqrt(2))
    moved = (latents.double() / math.sqrt(2)).erf().mul(share).erfinv() * math.sqrt(2)
    return moved.to(latents.dtype).clamp(-bound, bound)


def loop_latents(latent: LatentSpec, keys: Sequence[torch.Tensor], frames: int) -> Iterator[torch.Tensor]:
    """Yield latents on a loop through keys, each [num, dim, *grid]; the step after the last frame is the first again.

    Raises UsageError for fewer than two keys, or fewer frames than keys.
    """
    if len(keys) < 2 or frames < len(keys):
        raise UsageError(
            f"cannot go through {len(keys)} keys in {frames} frames.",
            hint="Ask for at least 2 keys, and as many frames as keys.",
        )
    for frame in range(frames):
        # Frame t lies at t * keys / frames on the loop: the integer part is the key it comes from, the rest its share
        # of the way to the next one. The remainder by keys closes the loop.
        key, share = divmod(frame * len(keys) / frames, 1)
        yield interpolate_latents(latent, keys[int(key)], keys[(int(key) + 1) % len(keys)], share)
