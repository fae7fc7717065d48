"""Packages that only some installations have: the extras of `pip install 'ganzoo[NAME]'`."""

from __future__ import annotations

import importlib
from typing import Any

from ganzoo.errors import UsageError, shortened


def import_extra(module: str, extra: str) -> Any:
    """Import a package of an extra. Raises UsageError if it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UsageError(
            f"this needs {module}, which cannot be imported: {shortened(error)}.",
            hint=f"pip install 'ganzoo[{extra}]'",
        ) from error
