"""Functions given as `module:name`, imported when they are first called."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any


def deferred(path: str) -> Callable[..., Any]:
    """Return a function that imports `module:name` when it is called, and calls it.

    Specs refer to functions that need torch, but a plugin's `__init__` must not import it.
    """
    return partial(_call, path)  # unlike a lambda, it can be pickled


def _call(path: str, *arguments: Any) -> Any:
    module, _, name = path.partition(":")
    # From the second call on, import_module is a look-up in sys.modules.
    return getattr(import_module(module), name)(*arguments)
