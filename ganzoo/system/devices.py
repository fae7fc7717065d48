"""The devices of this machine: finding them by name, and what they support."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ganzoo.errors import DeviceError

if TYPE_CHECKING:
    import torch


def find_device(name: str | torch.device = "auto") -> torch.device:
    """Return the device with this name, or this device; `auto` is cuda if there is one, else mps, else cpu.

    Raises DeviceError rather than falling back to another device.
    """
    import torch

    name = str(name)
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if name == "auto":
        return torch.device("cuda" if cuda else "mps" if mps else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise DeviceError(f"unknown device {name!r}.", hint="Use auto, cpu, cuda, cuda:N or mps.") from None
    # torch.device accepts `cuda:7` on any machine; only the first tensor on it would fail.
    present = {"cpu": "cpu:0"} | ({"mps": "mps:0"} if mps else {})
    present |= {f"cuda:{index}": f"cuda:{index}" for index in range(torch.cuda.device_count() if cuda else 0)}
    if f"{device.type}:{device.index or 0}" not in present.values():
        raise DeviceError(
            f"this machine has no device {name}.",
            hint=f"Available: {', '.join(present)}; or use --device auto.",
        )
    return device


@contextlib.contextmanager
def cpu_threads(number: int | None) -> Iterator[None]:
    """Let torch's operations on a CPU use this many threads, and afterwards as many as before; None changes nothing."""
    if number is None:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def synchronize(device: torch.device) -> None:
    """Wait until the device has finished all queued work, so that a clock can be read."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def supports_bf16(device: torch.device) -> bool:
    """Whether the device has bfloat16 matrix instructions; others emulate them, which is slower than float32."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)  # Ampere and later
    # torch has no public function for this.
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return device.type == "cpu" and any(getattr(torch.cpu, probe, lambda: False)() for probe in probes)
