"""Names of devices -> devices that this machine really has."""

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
