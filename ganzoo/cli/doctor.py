"""`ganzoo doctor` and `ganzoo env`: what is installed here, and whether it works."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ganzoo.cli.options import Json
from ganzoo.cli.output import out
from ganzoo.errors import GanzooError, first_sentence, hint_for, shortened
from ganzoo.units import human_size
from ganzoo.version import __version__

if TYPE_CHECKING:
    from packaging.requirements import Requirement

MIN_FREE_BYTES = 2_000_000_000
"""Less free disk space is worth a note: MNIST's packed copy and a run of a small recipe need about as much."""

MAX_VERIFIED_BYTES = 5_000_000_000
"""A larger store is not hashed by `doctor`, which should take seconds."""

HARMLESS = ("GANZOO_PLUGINS", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "HF_HUB_OFFLINE", "HF_HUB_DISABLE_XET")
"""Variables whose value is shown; of others that concern ganzoo, only that they are set."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    state: Literal["ok", "note", "broken"]
    found: str
    hint: str = ""
    """What to do, where it is not ok."""


def doctor(
    offline: Annotated[bool, typer.Option("--offline", help="Do not connect to the Hub.")] = False,
    json: Json = False,
) -> None:
    """Check versions, devices, disk, store, plugins and the Hub; exit 1 if anything is broken."""
    checks = [*_system(), *_software(), *_store(), *_plugins(), *_settings(), *_extras(), *_hub(offline)]
    if json:
        out.json({"checks": [asdict(check) for check in checks]})
    else:
        out.table("", ["check", "state", "found"], [(check.name, check.state, check.found) for check in checks])
    _conclude(checks, json)


def env(json: Json = False) -> None:
    """Print versions and devices as Markdown, for an issue; no paths of yours, no tokens, no addresses."""
    checks = [*_system(), *_software(), *_plugins(), *_settings(), *_extras()]
    if json:
        out.json({"checks": [asdict(check) for check in checks]})
    else:
        out.line("| what | found |\n|---|---|")
        for check in checks:
            found = check.found.replace("|", "\\|")
            out.line(f"| {check.name} | {found}{' (broken)' if check.state == 'broken' else ''} |")
    if any(check.state == "broken" for check in checks):
        raise typer.Exit(1)


def _conclude(checks: list[Check], json: bool) -> None:
    """Say what to do about what is not ok. Raises Exit if something is broken."""
    broken = [check for check in checks if check.state == "broken"]
    if not json:
        for check in checks:
            if check.state == "broken":
                out.problem(f"{check.name}: {check.found}", check.hint)
            elif check.state == "note" and check.hint:
                out.talk(f"{check.name}: {check.hint}")
        if not broken:
            out.talk("Everything works.")
    if broken:
        raise typer.Exit(1)


# --- what is checked ---


def _system() -> Iterator[Check]:
    from ganzoo.system.workers import num_cores

    yield Check("ganzoo", "ok", __version__)
    yield Check("Python", "ok", f"{platform.python_version()} ({platform.python_implementation()})")
    yield Check("system", "ok", f"{platform.system()} {platform.release()} {platform.machine()}, {num_cores()} cores")


def _software() -> Iterator[Check]:
    """Check torch, what it can compute on, and the versions of the other packages that ganzoo needs."""
    try:
        import torch
    except Exception as error:  # a broken build raises OSError, among others
        yield Check("torch", "broken", _anonymous(first_sentence(error)), "pip install torch")
    else:
        yield Check("torch", "ok", f"{torch.__version__}, {torch.get_num_threads()} threads")
        yield Check("devices", "ok", ", ".join(_devices()))
    for requirement in _requirements():
        if requirement.marker is None and requirement.name != "torch":
            yield _package(requirement)


def _devices() -> Iterator[str]:
    import torch

    yield "cpu"
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            memory = torch.cuda.get_device_properties(index).total_memory
            yield f"cuda:{index} ({torch.cuda.get_device_name(index)}, {human_size(memory)})"
    if torch.backends.mps.is_available():
        yield "mps"


def _requirements() -> list[Requirement]:
    """Return what the installed distribution requires; nothing for a checkout that was never installed."""
    from packaging.requirements import Requirement

    try:
        return [Requirement(text) for text in requires("ganzoo") or ()]
    except PackageNotFoundError:
        return []


def _package(requirement: Requirement) -> Check:
    hint = f"pip install '{requirement.name}{requirement.specifier}'"
    try:
        found = version(requirement.name)
    except PackageNotFoundError:
        return Check(requirement.name, "broken", "not installed", hint)
    if not requirement.specifier.contains(found, prereleases=True):
        return Check(requirement.name, "broken", f"{found}; ganzoo needs {requirement.specifier}", hint)
    return Check(requirement.name, "ok", found)


def _extras() -> Iterator[Check]:
    """Check which optional packages are installed. Some absent is normal."""
    extras: dict[str, list[Requirement]] = {}
    for requirement in _requirements():
        for name in sorted(_extra_names()):
            if requirement.marker is not None and requirement.marker.evaluate({"extra": name}):
                extras.setdefault(name, []).append(requirement)
    for name, requirements in sorted(extras.items()):
        absent = [one.name for one in requirements if _package(one).state == "broken"]
        if absent:
            yield Check(f"extra {name}", "note", f"not installed: pip install 'ganzoo[{name}]'")
        else:
            yield Check(f"extra {name}", "ok", ", ".join(f"{one.name} {version(one.name)}" for one in requirements))


def _extra_names() -> set[str]:
    """Return the extras for users."""
    from importlib.metadata import metadata

    return set(metadata("ganzoo").get_all("Provides-Extra") or ()) - {"dev"}


def _store() -> Iterator[Check]:
    """Check that the store can be written, that the disk has room, and that nothing in the store is damaged."""
    from ganzoo.cache.contents import contents
    from ganzoo.cache.verification import verify_store
    from ganzoo.system.files import write_atomically
    from ganzoo.weights.store import home

    try:
        root = home()
        probe = root / ".doctor"
        write_atomically(probe, b"")
        probe.unlink(missing_ok=True)
        free = shutil.disk_usage(root).free
        state: Literal["ok", "note"] = "ok" if free > MIN_FREE_BYTES else "note"
        yield Check("disk", state, f"{human_size(free)} free", "" if state == "ok" else "ganzoo cache prune")
        size = contents().size
        found = f"{root}, {human_size(size)}"
        if size > MAX_VERIFIED_BYTES:
            yield Check("store", "note", found, "It is too large to be verified here: ganzoo cache verify")
            return
        damages = list(verify_store())
    except OSError as error:
        problem = f"cannot be written: {error.strerror or error}"
        yield Check("store", "broken", problem, f"{hint_for(error)} GANZOO_HOME sets where the store is.")
    except GanzooError as error:
        yield Check("store", "broken", str(error), error.hint)
    else:
        for damage in damages:
            yield Check("store", "broken", f"{damage.name}: {damage.problem}", "ganzoo cache verify --repair")
        if not damages:
            yield Check("store", "ok", f"{found}, every checksum is right")


def _plugins() -> Iterator[Check]:
    """Check that all plugins can be imported."""
    from ganzoo.cli.plugins import installed_plugins

    for plugin in installed_plugins(check=True):
        faults = [one for one in plugin.registers if one.problem]
        found = f"{plugin.version}, registers {len(plugin.registers)} names"
        if faults:
            yield Check(f"plugin {plugin.name}", "broken", _anonymous(str(faults[0].problem)), faults[0].hint)
        else:
            yield Check(f"plugin {plugin.name}", "ok", found)


def _settings() -> Iterator[Check]:
    """Check the user's config file, and say which variables are set."""
    from ganzoo.config import user_layer

    try:
        user = user_layer()
        if user.values:
            yield Check("config file", "ok", ", ".join(sorted(user.values)))
    except GanzooError as error:
        yield Check("config file", "broken", _anonymous(str(error)), error.hint)
    names = [name for name in os.environ if name.startswith(("GANZOO_", "HF_")) or name.lower().endswith("_proxy")]
    names = sorted({*names, *(name for name in HARMLESS if name in os.environ)})
    if names:
        shown = [f"{name}={os.environ[name]}" if name in HARMLESS else name for name in names]
        yield Check("variables", "ok", shortened(", ".join(shown), 400))


def _hub(offline: bool) -> Iterator[Check]:
    """Connect to the Hub. Without it, everything but pulling and publishing works, so this is never broken."""
    try:
        from ganzoo.hub.client import check_reachable
        from ganzoo.hub.endpoint import is_offline

        if offline or is_offline():
            yield Check("Hub", "ok", "not asked")
            return
        check_reachable()
    except GanzooError as error:
        yield Check("Hub", "note", str(error), f"{error.hint} What is bundled or in the store works without the Hub.")
    else:
        yield Check("Hub", "ok", "reachable")


def _anonymous(text: str) -> str:
    """Return a text without the name of the user's folder."""
    return text.replace(str(Path.home()), "~")
