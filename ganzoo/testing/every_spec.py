"""Checks of every spec: its fields, its registration, and what importing it loads."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import MISSING, fields
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

from ganzoo.errors import PluginError, UnknownNameError
from ganzoo.registry import registrations
from ganzoo.specs.registration import NAME, NAME_RULE
from ganzoo.testing.checks import Check, CheckError, CheckSkippedError, Example, expect, registry_of

HEAVY = ("torch", "numpy")
"""What listing and showing plugins must not load."""


def fields_have_valid_values(example: Example) -> None:
    """Its name follows the rule, its texts are single lines, and choices are among those that exist."""
    spec = example.spec
    expect(NAME.fullmatch(spec.name), f"name={spec.name!r} is not a valid name.", f"Use {NAME_RULE}.")
    # Types are evaluated one by one: those of torch are only imported for type checkers.
    for field in fields(spec):
        value, type_ = getattr(spec, field.name), str(field.type)
        if type_ == "str" and field.name not in ("source", "notes"):
            fits = isinstance(value, str) and value.strip() and len(value.splitlines()) == 1
            expect(fits, f"{field.name}={value!r} is not a line of text.", f"Describe it in {field.name}, on one line.")
        if type_.startswith("Literal"):
            choices = get_args(_evaluated(type_))
            expect(
                value in choices,
                f"{field.name}={value!r} is not one of {', '.join(map(repr, choices))}.",
                f"Set {field.name} to one of them.",
            )
        if type_.startswith("Callable[") and "None" not in type_.rpartition("]")[2]:
            expect(callable(value), f"{field.name}={value!r} is not callable.", f"Set {field.name} to a function.")


def _evaluated(type_: str) -> Any:
    holder = type("_", (), {"__annotations__": {"value": type_}})
    return get_type_hints(holder, {"Literal": Literal})["value"]


def it_is_registered(example: Example) -> None:
    """An installed distribution registers it under its own name."""
    registry, name = registry_of(example.spec), example.spec.name
    try:
        found = registry.get(name)
    except UnknownNameError as error:
        raise CheckError(
            f"no installed distribution registers the {registry.kind} {name!r}.",
            f'Add it to [project.entry-points."{registry.group}"] in pyproject.toml, and install the package again '
            "(pip install -e .).",
        ) from error
    except PluginError as error:
        raise CheckError(str(error), error.hint or "Change what it names.") from error
    expect(
        found == example.spec,
        f"the {registry.kind} {name!r} is registered, but as another object.",
        f"Let its entry point in {registry.group} name this object, or choose another name.",
    )


def importing_it_loads_no_torch(example: Example) -> None:
    """`ganzoo list` and `ganzoo show` stay fast: its module imports neither torch nor numpy."""
    registry, name = registry_of(example.spec), example.spec.name
    modules = [entry.value.partition(":")[0] for entry in registrations(registry.group) if entry.name == name]
    if not modules:
        raise CheckSkippedError(f"the {registry.kind} {name!r} is not registered")
    loaded = _loaded_by(modules[0], tuple(sys.path))
    expect(
        not loaded,
        f"importing {modules[0]!r} loads {' and '.join(loaded)}.",
        "Import them inside functions, or name functions by text: ganzoo.deferred.deferred('module:name').",
    )


@cache
def _loaded_by(module: str, path: tuple[str, ...]) -> tuple[str, ...]:
    """Import a module in a process of its own; return which of HEAVY that loads."""
    code = (
        "import importlib, json, sys; sys.path[:] = json.loads(sys.argv[1]); importlib.import_module(sys.argv[2]); "
        f"print('\\n' + json.dumps([name for name in {HEAVY} if name in sys.modules]))"
    )
    command = [sys.executable, "-c", code, json.dumps(path), module]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if result.returncode:
        raise CheckError(
            f"importing {module!r} alone fails: {result.stderr.strip().splitlines()[-1]}",
            "Let it import what it uses.",
        )
    return tuple(json.loads(result.stdout.splitlines()[-1]))


EVERY_SPEC: tuple[Check, ...] = (fields_have_valid_values, it_is_registered, importing_it_loads_no_torch)


def check_config(config: Any, owner: str, *, needs_defaults: bool) -> None:
    """Check a config's class: frozen, every field bounded, and with a default where that is asked for."""
    parameters = getattr(config, "__dataclass_params__", None)
    expect(
        isinstance(config, type) and parameters is not None and parameters.frozen,
        f"{owner} is {config!r}, not a frozen dataclass.",
        "Decorate it with @dataclass(frozen=True, kw_only=True).",
    )
    hints = get_type_hints(config, include_extras=True)
    for field in fields(config):
        gap = _unbounded(hints[field.name])
        expect(
            not gap,
            f"{config.__name__}.{field.name} has no bounds ({gap}), but configs may come from untrusted files.",
            "Bound it with annotated_types, such as Annotated[int, Interval(ge=1, le=4096)], "
            "Annotated[float, Interval(ge=0, le=1)], Annotated[tuple[Width, ...], Len(1, 16)], or use Literal.",
        )
        if needs_defaults:
            has_default = field.default is not MISSING or field.default_factory is not MISSING
            expect(has_default, f"{config.__name__}.{field.name} has no default.", "Give it one.")


def _unbounded(hint: Any, metadata: tuple[Any, ...] = ()) -> str:
    """Return what part of a type has no bounds; empty if all parts have."""
    if hasattr(hint, "__metadata__"):
        return _unbounded(hint.__origin__, (*metadata, *hint.__metadata__))
    lower = any(getattr(one, bound, None) is not None for one in metadata for bound in ("ge", "gt", "min_length"))
    upper = any(getattr(one, bound, None) is not None for one in metadata for bound in ("le", "lt", "max_length"))
    if hint is int and not (lower and upper):
        return "an int needs a lower and an upper one"
    if hint is float and not (lower or upper):
        return "a float needs at least one"
    if hint is str and not upper:
        return "a str needs Len or Literal"
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return ""
    is_sequence = origin in (list, set, frozenset, dict, Mapping) or (origin is tuple and Ellipsis in arguments)
    if is_sequence and not upper:
        return f"{hint} needs Len"
    gaps = (_unbounded(argument) for argument in arguments if argument not in (Ellipsis, type(None)))
    return next((gap for gap in gaps if gap), "")
