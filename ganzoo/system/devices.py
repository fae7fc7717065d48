"""The devices that this machine has, by name, and what they can do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ganzoo.errors import DeviceError

if TYPE_CHECKING:
    import torch


def find_device(name: str = "auto") -> torch.device:
    """Return the device of that name; `auto` takes cuda, else mps, else cpu. Raises DeviceError, never falls back."""
    import torch

    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if name == "auto":
        return torch.device("cuda" if cuda else "mps" if mps else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise DeviceError(f"{name!r} is no device.", hint="Write auto, cpu, cuda, cuda:N or mps.") from None
    present = ["cpu"] + ["mps"] * mps
    present += [f"cuda:{index}" for index in range(torch.cuda.device_count() if cuda else 0)]
    wanted = "cuda:0" if name == "cuda" else name
    if wanted not in present:
        raise DeviceError(f"this machine has no {name}.", hint=f"It has {', '.join(present)}; --device auto chooses.")
    return device


def synchronize(device: torch.device) -> None:
    """Wait for what the device was asked to do, so that a clock is read at the right moment."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def supports_bf16(device: torch.device) -> bool:
    """Whether the device has instructions for products of bfloat16, so that they are faster than those of float32."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    # Private, and so far the only place where torch tells.
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return device.type == "cpu" and any(getattr(torch.cpu, probe, lambda: False)() for probe in probes)
