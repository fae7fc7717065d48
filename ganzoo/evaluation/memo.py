"""Results that several metrics share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Cache:
    """Results by name, each computed when first asked for."""

    def __init__(self) -> None:
        self._known: dict[str, Any] = {}

    def __call__(self, name: str, compute: Callable[[], Any]) -> Any:
        """Return what `compute` returns, or returned when this name was asked for before."""
        if name not in self._known:
            self._known[name] = compute()
        return self._known[name]
