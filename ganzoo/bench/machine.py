"""Names of processors and GPUs, and peak memory."""

from __future__ import annotations

import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def cpu_name() -> str:
    """Return the name of the processor, or its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def device_name(device: torch.device) -> str:
    """Return the name of a device."""
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_name()


def peak_memory(device: torch.device) -> int | None:
    """Return peak memory in bytes: of tensors on a GPU, else of this process; None if the system does not report it."""
    import torch

    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else peak_resident_set()


def peak_resident_set() -> int | None:
    """Return the peak resident set of this process in bytes; None if the system does not report it."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return _maxrss()
    # Not getrusage: on Linux it starts from the peak of the parent process.
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)


def _maxrss() -> int | None:
    if sys.platform == "win32":
        return None
    # ru_maxrss counts bytes on macOS and KiB elsewhere; Windows does not have the module.
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
