"""What every registered spec has in common: its name follows one rule, and its `api_version` is read first."""

from __future__ import annotations

import functools
import re
from typing import Any, TypeVar

API_VERSION = 1
"""The newest version of these contracts that this ganzoo supports."""

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
"""Names of specs, splits and weights: lower-case letters, digits and . _ -, at most 64 characters. They become names of
files, and parts of commands and references."""
NAME_RULE = "1 to 64 lower-case letters, digits, '.', '_' and '-', of which the first is a letter or a digit"

Spec = TypeVar("Spec")


class NewerApiError(TypeError):
    """A spec that was written for a newer version of these contracts."""

    def __init__(self, api_version: int) -> None:
        super().__init__(f"it needs plugin API {api_version}, but this ganzoo has {API_VERSION}")
        self.api_version = api_version


def registered(spec: type[Spec]) -> type[Spec]:
    """Check `api_version` before the other fields of a spec.

    A spec for a newer API may have fields that this version does not know. Without this check, it would fail with a
    TypeError about such a field, which does not say that ganzoo has to be updated.
    """
    cls: Any = spec
    init = cls.__init__

    @functools.wraps(init)
    def checked(self: Spec, *arguments: Any, **fields: Any) -> None:
        api_version = fields.get("api_version", 1)
        if type(api_version) is not int:
            raise TypeError(f"api_version is {api_version!r}, not an integer")
        if api_version > API_VERSION:
            raise NewerApiError(api_version)
        init(self, *arguments, **fields)

    cls.__init__ = checked
    return spec
