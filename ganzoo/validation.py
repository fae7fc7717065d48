"""Plain data <-> frozen dataclasses: only known keys, exact types, values within their bounds."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticInvalidForJsonSchema

from ganzoo.errors import SettingsError, shortened
from ganzoo.specs import ArchitectureSpec
from ganzoo.specs.schedules import Schedule

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

SETTINGS_HINT = "`ganzoo show RECIPE --all` lists every setting and its value."


def hint_to_show(name: str) -> str:
    """Return where the settings of a plugin are listed."""
    return f"`ganzoo show {name} --all` lists its settings."


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


@functools.lru_cache(maxsize=64)  # building one takes tens of milliseconds, and a training validates a dozen times
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def validated(kind: type[Data], document: Mapping[str, Any], source: str, hint: str = SETTINGS_HINT) -> Data:
    """Build a dataclass from plain data of a file or a user; errors start with `source`.

    `hint` says where the keys are listed, for one that does not exist.

    Raises SettingsError.
    """
    try:
        adapter = _adapter(cast(Any, kind))  # a class is hashable, which mypy does not see of dataclasses
        result: Data = adapter.validate_json(json.dumps(plain(document), allow_nan=False), strict=True)
    except ValidationError as error:
        errors = error.errors()
        first = _relevant(kind, errors, document)
        path = _key(first, document)
        key = shortened(".".join(path).removeprefix("recipe."))
        if first["type"] == "value_error":  # of a dataclass whose fields contradict each other
            reason = ": ".join(part for part in (key, first["msg"].removeprefix("Value error, ")) if part)
            raise SettingsError(f"{source}: {shortened(reason)}.", hint="Change the value that it names.") from error
        missing = first["type"] == "missing"
        fault = "is missing" if missing else f"= {shortened(json.dumps(first['input'], default=str))} is not valid"
        expected = _expected(kind, first, [other for other in errors if _key(other, document) == path])
        raise SettingsError(f"{source}: {key} {fault}.", hint=f"{key} must be {expected}.") from error
    except (TypeError, ValueError, RecursionError) as error:
        raise SettingsError(
            f"{source}: {shortened(error)}.", hint="Settings must be finite numbers, strings, lists or tables."
        ) from error
    stray = _stray_key(document, plain(result))
    if stray is not None:
        close = difflib.get_close_matches(stray, _dotted_keys(plain(result)), n=1)
        guess = f" Did you mean {close[0].removeprefix('recipe.')!r}?" if close else ""
        stray = shortened(stray.removeprefix("recipe."))
        raise SettingsError(f"{source}: there is no setting {stray!r}.{guess}", hint=hint)
    return result


def _relevant(kind: type[Any], errors: list[ErrorDetails], document: Mapping[str, Any]) -> ErrorDetails:
    """Return the error to report: where a value may be of several types, each of them reports what it misses."""
    # What is of another kind usually misses other fields, too.
    others = [error["loc"][:-1] for error in errors if error["type"] == "literal_error" and error["loc"][-1] == "kind"]

    def relevance(error: ErrorDetails) -> tuple[bool, bool, int, bool]:
        table_for_number = error["type"] in ("float_type", "dataclass_type") and isinstance(error["input"], dict)
        fits = not any(error["loc"][: len(other)] == other for other in others) and _knows(kind, error)
        return not table_for_number, fits, len(_key(error, document)), error["type"] != "missing"

    return max(errors, key=relevance)  # the first of equal ones


def _knows(kind: type[Any], error: ErrorDetails) -> bool:
    """Whether the type that misses a key has all the keys that were given."""
    if error["type"] != "missing" or not isinstance(error["input"], dict):
        return True
    try:
        found = _schema_at(TypeAdapter(kind).json_schema(), error["loc"][:-1])
    except (LookupError, ValueError, PydanticInvalidForJsonSchema):  # as in _expected
        return True
    return error["input"].keys() <= found.get("properties", {}).keys()


def _key(error: ErrorDetails, document: Any) -> list[str]:
    """Return the path of an error in the document, without the names of types that pydantic puts between."""
    path: list[str] = []
    for part in error["loc"]:
        missing = error["type"] == "missing" and part is error["loc"][-1]
        inside = isinstance(document, Mapping) and part in document
        inside |= isinstance(document, list | tuple) and isinstance(part, int) and part < len(document)
        if inside or missing:
            path.append(str(part))
        if inside:
            document = document[part]
    return path


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


def _expected(kind: type[Any], first: ErrorDetails, errors: list[ErrorDetails]) -> str:
    """Say what a setting must be: "a whole number, at least 1 and at most 1000".

    `errors` are all of the setting, one for each type that its value may have; those like the first are joined.
    """
    expected = dict.fromkeys(_expected_type(kind, error) for error in errors if error["type"] == first["type"])
    tables = [error["ctx"]["class_name"] for error in errors if error["type"] == "dataclass_type"]
    return " or ".join(expected) + (", or a schedule" if Schedule.__name__ in tables else "")


def _expected_type(kind: type[Any], error: ErrorDetails) -> str:
    """Say what one of the types of a setting must be."""
    try:
        schema = _schema_at(TypeAdapter(kind).json_schema(), error["loc"])
        if "enum" in schema:
            return " or ".join(json.dumps(value) for value in schema["enum"])
        if "const" in schema:
            return json.dumps(schema["const"])
        if "minItems" in schema:
            fixed = schema["minItems"] == schema.get("maxItems")
            return f"a list of {'' if fixed else 'at least '}{schema['minItems']} values"
        if schema.get("items") == {"type": "string"}:
            return 'a list, such as ["a", "b"]'
        bounds = " and ".join(
            f"{words} {_number(schema[bound])}" for bound, words in _BOUNDS.items() if bound in schema
        )
        return _TYPES[schema["type"]] + (f", {bounds}" if bounds else "")
    except (LookupError, ValueError, PydanticInvalidForJsonSchema):  # a union, or a type of a plugin's own
        return error["msg"].removeprefix("Input should be ")


def _number(bound: float) -> str:
    # pydantic 2.9 writes the bounds of floats as 0.0, and later ones as 0.
    return f"{int(bound) if bound == int(bound) else bound:,}"


def _schema_at(schema: Mapping[str, Any], location: Iterable[int | str]) -> Mapping[str, Any]:
    """Return the JSON schema of a nested value. Raises LookupError."""

    def resolved(part: Mapping[str, Any]) -> Mapping[str, Any]:
        return schema["$defs"][part["$ref"].rpartition("/")[2]] if "$ref" in part else part

    def chosen(part: Mapping[str, Any], name: int | str | None = None) -> Mapping[str, Any]:
        """Return the type with this name where there is a choice, or else the only one that is not None or a table."""
        if "anyOf" not in part:
            return part
        choices = [resolved(choice) for choice in part["anyOf"]]
        named = [choice for choice in choices if choice.get("title", "").split("[")[0] == name]
        values = [choice for choice in choices if choice.get("type") not in ("null", "object")]
        (only,) = named or values or choices[:1]  # raises ValueError where there are several
        return only

    found = resolved(schema)
    for key in location:
        if "anyOf" in found and (found := chosen(found, key)).get("title", "").split("[")[0] == key:
            continue  # pydantic names the type between two keys
        if isinstance(key, int):
            found = resolved(found["prefixItems"][key] if "prefixItems" in found else found["items"])
        elif key in found.get("properties", {}):
            found = resolved(found["properties"][key])
        elif "additionalProperties" in found:
            found = resolved(found["additionalProperties"])
        elif "type" not in found:
            raise LookupError(key)
    return chosen(found)


def _dotted_keys(table: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in table.items():
        if isinstance(value, Mapping) and value:
            yield from _dotted_keys(value, f"{prefix}{key}.")
        else:
            yield prefix + key


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
    return validated(spec.config, values, f"{source}: config of {spec.name!r}", hint_to_show(spec.name))
