"""Plain data <-> frozen dataclasses: known keys only, exact types, bounds held."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from ganzoo.errors import SettingsError
from ganzoo.specs import ArchitectureSpec

SETTINGS_HINT = "`ganzoo show RECIPE` lists every setting and its value."

Data = TypeVar("Data")


def plain(value: Any) -> Any:
    """Turn dataclasses and mappings into dictionaries, tuples into lists, all the way down."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    return value


def validated(kind: type[Data], document: Mapping[str, Any], source: str) -> Data:
    """Build a dataclass from plain data that came from a file or a user; `source` is named in errors.

    Raises SettingsError.
    """
    try:
        result = TypeAdapter(kind).validate_json(json.dumps(plain(document), allow_nan=False), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]).removeprefix("recipe.")
        message = f"{source}: {key} = {json.dumps(first['input'], default=str)}: {first['msg'].lower()}."
        raise SettingsError(message, hint="Give a value of that type and range.") from error
    except (TypeError, ValueError) as error:
        raise SettingsError(
            f"{source}: {error}.", hint="Settings are finite numbers, texts, lists and tables."
        ) from error
    stray = _stray_key(document, plain(result))
    if stray is not None:
        raise SettingsError(f"{source}: there is no setting {stray!r}.", hint=SETTINGS_HINT)
    return result


def _stray_key(given: Mapping[str, Any], understood: Mapping[str, Any], prefix: str = "") -> str | None:
    """Return a dotted key that no field took; pydantic drops those of plain dataclasses silently."""
    for key, value in given.items():
        if key not in understood:
            return prefix + key
        inner = understood[key]
        if isinstance(value, Mapping) and isinstance(inner, Mapping):
            stray = _stray_key(value, inner, f"{prefix}{key}.")
            if stray is not None:
                return stray
    return None


def architecture_config(spec: ArchitectureSpec, values: Mapping[str, Any], source: str) -> Any:
    """Build an architecture's config from plain data. Raises SettingsError."""
    return validated(spec.config, values, f"{source}: config of {spec.name!r}")
