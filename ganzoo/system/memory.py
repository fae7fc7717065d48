"""How much memory a device has to spare."""

from __future__ import annotations

import os
from pathlib import Path

import torch

_MEMINFO, _CGROUPS, _OWN_CGROUPS = Path("/proc/meminfo"), Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def free_memory(device: torch.device) -> int:
    """Return the bytes that may still be taken on a device; for all but CUDA, those of the machine."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free
    limits = [_machine(), *_groups()]
    return min(limits)


def _machine() -> int:
    """Return what the machine has available; where Linux does not say, half of what it has in all."""
    try:
        for line in _MEMINFO.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (AttributeError, OSError, ValueError):
        return 4 << 30


def _groups() -> list[int]:
    """Return what each control group that this process is in may still take: version 2, then version 1."""
    try:
        lines = _OWN_CGROUPS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            top, limit, usage = _CGROUPS, "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            top, limit, usage = _CGROUPS / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        # A group is bound by those around it; in a container its own path may not be visible, and the top is its own.
        folder = top / path.lstrip("/")
        for place in (folder, *(parent for parent in folder.parents if parent.is_relative_to(top))):
            found += _left(place, limit, usage)
    return found


def _left(folder: Path, limit: str, usage: str) -> list[int]:
    """Return a group's limit less what it uses beyond its files' pages, which give way; nothing without a limit."""
    try:
        allowed = int((folder / limit).read_text(encoding="ascii"))
        used = int((folder / usage).read_text(encoding="ascii"))
        statistics = dict(line.split() for line in (folder / "memory.stat").read_text(encoding="ascii").splitlines())
    except (OSError, ValueError):  # no such group, or "max"
        return []
    names = (
        ("total_inactive_file", "total_active_file")
        if "total_cache" in statistics
        else ("inactive_file", "active_file")
    )
    cached = sum(int(statistics.get(name, 0)) for name in names)
    return [max(0, allowed - used + cached)]
