"""Plain data <-> frozen dataclasses: only known keys, exact types, values within their bounds."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticInvalidForJsonSchema

from ganzoo.errors import SettingsError, shortened
from ganzoo.specs import ArchitectureSpec

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

SETTINGS_HINT = "`ganzoo show RECIPE` lists every setting and its value."

Data = TypeVar("Data")


def plain(value: Any) -> Any:
    """Turn dataclasses and mappings into dictionaries and tuples into lists, recursively."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    return value


def parse_json(content: bytes) -> Any:
    """Read JSON of somebody else: UTF-8 alone, and no name twice. Raises ValueError, RecursionError."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        table = dict(pairs)
        if len(table) != len(pairs):
            raise ValueError("a name occurs twice")
        return table

    return json.loads(content.decode("utf-8"), object_pairs_hook=unique)


def validated(kind: type[Data], document: Mapping[str, Any], source: str) -> Data:
    """Build a dataclass from plain data of a file or a user; errors start with `source`.

    Raises SettingsError.
    """
    try:
        result = TypeAdapter(kind).validate_json(json.dumps(plain(document), allow_nan=False), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        key = shortened(".".join(str(part) for part in first["loc"]).removeprefix("recipe."))
        if first["type"] == "value_error":  # of a dataclass whose fields contradict each other
            reason = ": ".join(part for part in (key, first["msg"].removeprefix("Value error, ")) if part)
            raise SettingsError(f"{source}: {shortened(reason)}.", hint="Change the value that it names.") from error
        missing = first["type"] == "missing"
        fault = "is missing" if missing else f"= {shortened(json.dumps(first['input'], default=str))} is not valid"
        raise SettingsError(f"{source}: {key} {fault}.", hint=f"{key} must be {_expected(kind, first)}.") from error
    except (TypeError, ValueError, RecursionError) as error:
        raise SettingsError(
            f"{source}: {shortened(error)}.", hint="Settings must be finite numbers, strings, lists or tables."
        ) from error
    stray = _stray_key(document, plain(result))
    if stray is not None:
        raise SettingsError(f"{source}: there is no setting {shortened(stray)!r}.", hint=SETTINGS_HINT)
    return result


_TYPES = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "object": "a table",
    "string": "a string",
}
_BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "greater than",
    "maximum": "at most",
    "exclusiveMaximum": "less than",
}


def _expected(kind: type[Any], error: ErrorDetails) -> str:
    """Say what a setting must be: "a whole number, at least 1 and at most 1000"."""
    try:
        schema = _schema_at(TypeAdapter(kind).json_schema(), error["loc"])
        if "enum" in schema:
            return " or ".join(json.dumps(value) for value in schema["enum"])
        if "minItems" in schema:
            fixed = schema["minItems"] == schema.get("maxItems")
            return f"a list of {'' if fixed else 'at least '}{schema['minItems']} values"
        bounds = " and ".join(f"{words} {schema[bound]:,}" for bound, words in _BOUNDS.items() if bound in schema)
        return _TYPES[schema["type"]] + (f", {bounds}" if bounds else "")
    except (LookupError, StopIteration, PydanticInvalidForJsonSchema):  # a union, or a type of a plugin's own
        return error["msg"].removeprefix("Input should be ")


def _schema_at(schema: Mapping[str, Any], location: Iterable[int | str]) -> Mapping[str, Any]:
    """Return the JSON schema of a nested value. Raises LookupError."""

    def resolved(part: Mapping[str, Any]) -> Mapping[str, Any]:
        if "anyOf" in part:  # a type or None
            part = next(choice for choice in part["anyOf"] if choice.get("type") != "null")
        return schema["$defs"][part["$ref"].rpartition("/")[2]] if "$ref" in part else part

    found = resolved(schema)
    for key in location:
        if isinstance(key, int):
            found = resolved(found["prefixItems"][key] if "prefixItems" in found else found["items"])
        else:
            found = resolved(found["properties"][key] if "properties" in found else found["additionalProperties"])
    return found


def _stray_key(given: Mapping[str, Any], understood: Mapping[str, Any], prefix: str = "") -> str | None:
    """Return the dotted key of a value that no field took: pydantic silently drops unknown keys of dataclasses."""
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
