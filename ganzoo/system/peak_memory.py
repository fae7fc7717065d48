"""Peak memory of this process and of GPUs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


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
