"""Calls of plugin code: an error in it names the plugin, its version, and what was called.

The first batch of every training goes through here too (`ganzoo.training.first_batch`), so that a net or dataset that
breaks its contract is named before anything is written.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from traceback import walk_tb
from typing import Any

from ganzoo.errors import GanzooError, PluginError, shortened
from ganzoo.registry import GROUPS, Origin, Registry, origin, registrations

_TRACEBACK = "with the traceback that GANZOO_DEBUG=1 prints"


@contextmanager
def guarded(registry: Registry[Any], name: str, function: str, hint: str = "") -> Iterator[None]:
    """Turn an exception of a plugin's code into a PluginError, and send what it prints to stderr.

    Errors of ganzoo, which say themselves what is wrong, pass through, as do those of the machine: no memory, no disk.

    Args:
        registry: the kind of spec that the code belongs to.
        name: the spec's name.
        function: what is called, such as `build_generator`.
        hint: how to fix it, if that is known.
    """
    with redirect_stdout(sys.stderr), blamed(registry, name, function, hint):
        yield


@contextmanager
def blamed(registry: Registry[Any], name: str, function: str, hint: str = "") -> Iterator[None]:
    """As `guarded`, for code that also surrounds ganzoo's own: what is printed stays where it is."""
    try:
        yield
    except (GanzooError, MemoryError, OSError):
        raise
    except Exception as error:
        owner = _owner(registry, name)
        is_first_party = owner is not None and owner.is_first_party
        # Torch's class for a full GPU is not a MemoryError. If a first-party import fails, the installation is broken.
        if type(error).__name__ == "OutOfMemoryError" or (is_first_party and isinstance(error, ImportError)):
            raise
        what = f"{function} of {name!r} raised {type(error).__name__}: {shortened(error).rstrip('.')}."
        raise plugin_error(registry, name, what, hint) from error


def plugin_error(registry: Registry[Any], name: str, what: str, hint: str = "") -> PluginError:
    """Return an error of the plugin that registers a name: distribution, version, and `what`."""
    owner = _owner(registry, name)
    if owner is None:  # a spec that was passed as an object
        prefix, owner = f"{registry.kind} {name!r}", Origin("", "")
    else:
        prefix = str(owner)
    return PluginError(
        f"{prefix}: {what}",
        distribution=owner.distribution,
        version=owner.version,
        hint=hint or report_to(owner),
    )


def report_to(owner: Origin) -> str:
    """Return the hint to report an error of a plugin's code."""
    if owner.is_first_party:
        return f"This is a bug in ganzoo. Please report it {_TRACEBACK}."
    author = f"the author of {owner.distribution}" if owner.distribution else "its author"
    return f"Report it to {author}, {_TRACEBACK}."


def described(value: object) -> str:
    """Return dtype and shape of a tensor or array, such as `float32 [8, 14]`; of anything else its type."""
    dtype, shape = getattr(value, "dtype", None), getattr(value, "shape", None)
    if dtype is None or shape is None:
        return type(value).__name__
    return f"{str(dtype).removeprefix('torch.')} {list(shape)}"


def _owner(registry: Registry[Any], name: str) -> Origin | None:
    """Return who registers a name; None for a spec that was passed as an object and is not registered."""
    return next(iter(registry.owners(name)), None)


def third_party_origin(error: BaseException) -> Origin | None:
    """Return the plugin in whose code an exception was raised; None if it was ganzoo's or a first-party plugin's.

    For what no guard surrounds, such as the steps after the first one.
    """
    owners = {
        entry.value.partition(":")[0].partition(".")[0]: origin(entry)
        for group in GROUPS
        for entry in registrations(group)
    }
    frames = [frame.f_globals.get("__name__", "").partition(".")[0] for frame, _ in walk_tb(error.__traceback__)]
    # From the inside out, past the frames of libraries: the first one of a plugin or of ganzoo made the call.
    for package in reversed(frames):
        if package == "ganzoo":
            return None
        if package in owners:
            return None if owners[package].is_first_party else owners[package]
    return None
