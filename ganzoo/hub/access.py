"""How to get at the Hub: as whom, into which store, and whether at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ganzoo.weights.store import Store

Progress = Callable[[str, int, int], None]
"""(path, bytes so far, bytes in all): never goes backwards for a path."""


@dataclass(frozen=True, kw_only=True)
class Access:
    """What every fetch needs to know."""

    store: Store = field(default_factory=Store)
    """Where verified files go; default: GANZOO_HOME."""
    token: str | bool | None = None
    """A token; None takes the one of HF_TOKEN or `hf auth login`, False takes none."""
    offline: bool = False
    """Whether to use the store alone; HF_HUB_OFFLINE forbids requests in any case."""
    progress: Progress | None = None
    """Called while bytes come."""
