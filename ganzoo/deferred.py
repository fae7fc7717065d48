"""Functions named by text, so that a spec can point to code that is imported only when it is called."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any


def deferred(place: str) -> Callable[..., Any]:
    """Return a function that imports `module:name` when it is called, and calls that.

    A plugin's `__init__` is to load no torch, but its specs name functions that need it.
    """
    return partial(_call, place)


def _call(place: str, *arguments: Any) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)(*arguments)
