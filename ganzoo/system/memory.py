"""Free memory of a device."""

from __future__ import annotations

import os
from pathlib import Path

import torch

_MEMINFO, _CGROUPS, _OWN_CGROUPS = Path("/proc/meminfo"), Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def free_memory(device: torch.device) -> int:
    """Return the free memory of a device in bytes; for any device but CUDA, that of the machine."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free
    # In a container /proc/meminfo still describes the whole machine; the limit is that of the control groups.
    return min([_free_on_machine(), *_free_in_cgroups()])


def _free_on_machine() -> int:
    """Return the available memory; on systems other than Linux, half of the total."""
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


def _free_in_cgroups() -> list[int]:
    """Return what each control group (version 1 or 2) of this process may still allocate."""
    try:
        lines = _OWN_CGROUPS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        # Version 2 has one line, `0::/path`. Version 1 has a line for each controller, `4:memory:/path`.
        if controllers == "":
            top, limit, usage = _CGROUPS, "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            top, limit, usage = _CGROUPS / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        # Limits of parent groups apply too. In a container the path may not exist; the top is then the own group.
        folder = top / path.lstrip("/")
        for place in (folder, *(parent for parent in folder.parents if parent.is_relative_to(top))):
            found += _free_in(place, limit, usage)
    return found


def _free_in(folder: Path, limit: str, usage: str) -> list[int]:
    """Return a group's limit minus its usage without the page cache, which is reclaimable; [] without a limit."""
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
