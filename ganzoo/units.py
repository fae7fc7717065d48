"""Sizes and times as people read them."""

from __future__ import annotations


def human_size(num_bytes: int) -> str:
    """Return a number of bytes with a decimal unit, such as `1.1 MB`."""
    if num_bytes < 1000:
        return f"{num_bytes} B"
    size, units = num_bytes / 1000, ["kB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size, units = size / 1000, units[1:]
    return f"{size:.1f} {units[0]}"


def human_time(seconds: float) -> str:
    """Return a time in its one or two largest units, such as `5.8 s` or `2 h 5 min`; `unknown` for NaN and infinity."""
    if not 0 <= seconds < 1e9:  # records of runs may come from strangers
        return "unknown"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"
