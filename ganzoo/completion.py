"""What TAB completes: commands, options, and the names of models, recipes, datasets, classes, settings and runs.

The shells run `ganzoo WORDS...` with the variable _GANZOO_COMPLETE, and read one completion on each line: the word, a
tab, and what it is. Nothing printed means: complete a file. Every TAB starts a process, so this module imports neither
the command line nor torch; which options there are is kept in `completion.json` in the store (`ganzoo.cli.completion`
makes it, once for each version).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from ganzoo.version import __version__

VARIABLE = "_GANZOO_COMPLETE"

Tree = Mapping[str, Any]
"""What `ganzoo.cli.completion.command_tree` returns."""

Completion = tuple[str, str]
"""A word, and what it is."""


def main(words: Sequence[str], make_tree: Callable[[], Tree]) -> None:
    """Print the completions of the last word. Prints nothing where something is wrong: an error would fill the line."""
    try:
        found = dict.fromkeys(complete(words, cached_tree(make_tree)))
        lines = [f"{word}\t{about}" for word, about in found if word.isprintable()]
    except Exception:
        if os.environ.get("GANZOO_DEBUG") == "1":
            raise
        return
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def complete(words: Sequence[str], tree: Tree) -> Iterator[Completion]:
    """Yield what the last word may become, after the others; the first is the first one behind `ganzoo`."""
    *before, incomplete = words or [""]
    path, option = "", None
    given: list[str] = []
    commands = tree["commands"]
    for word in before:
        inner = f"{path} {word}".strip()
        if option is not None:
            option = None
        elif word.startswith("-"):
            option = _option(commands[path], word)
        elif not given and inner in commands:
            path = inner
        else:
            given.append(word)
    command = commands[path]
    if option is not None:
        yield from _values(option, given, path, incomplete, tree)
    elif incomplete.startswith("--") and "=" in incomplete:
        name, _, start = incomplete.partition("=")
        for found in [one for one in command["options"] if name in one["names"]]:
            yield from ((f"{name}={word}", about) for word, about in _values(found, given, path, start, tree))
    elif incomplete.startswith("-"):
        for found in command["options"]:
            long = (name for name in found["names"] if name.startswith("--"))
            yield from _starting(incomplete, ((name, found["help"]) for name in long))
    else:
        if not given:
            length = len(path) + 1 if path else 0
            nested = [(name[length:], one["help"]) for name, one in commands.items() if _is_inside(name, path)]
            yield from _starting(incomplete, [(name, about) for name, about in nested if name])
        arguments = command["arguments"]
        if arguments and (len(given) < len(arguments) or arguments[-1]["many"]):
            yield from _values(arguments[min(len(given), len(arguments) - 1)], given, path, incomplete, tree)


def _is_inside(name: str, path: str) -> bool:
    """Whether a command is directly inside another one ("" is the program)."""
    return name != path and (name.rpartition(" ")[0] == path)


def _option(command: Mapping[str, Any], word: str) -> Mapping[str, Any] | None:
    """Return the option that takes its value from the next word; None for a flag, and where the value is in it."""
    found = next((one for one in command["options"] if word in one["names"]), None)
    return found if found is not None and found["takes_value"] else None


def _values(parameter: Mapping[str, Any], given: list[str], path: str, start: str, tree: Tree) -> Iterator[Completion]:
    """Yield the values of an option or argument."""
    if parameter["choices"]:
        yield from _starting(start, ((word, "") for word in parameter["choices"]))
    elif parameter["values"]:
        yield from _starting(start, VALUES[parameter["values"]](_Request(given, path, start, tree)))


def _starting(start: str, found: Iterable[Completion]) -> Iterator[Completion]:
    return ((word, about) for word, about in found if word.startswith(start))


# --- the tree of commands ---


def cached_tree(make: Callable[[], Tree]) -> Tree:
    """Return the tree of commands and options; it is made again when the program has changed."""
    folder = Path(__file__).parent
    newest = max(path.stat().st_mtime_ns for path in [*(folder / "cli").glob("*.py"), folder / "config.py"])
    stamp, path = f"{__version__} {folder} {newest}", _home() / "completion.json"
    try:
        tree: Tree = json.loads(path.read_bytes())
        if tree["stamp"] == stamp:
            return tree
    except (OSError, ValueError, TypeError, KeyError):
        pass
    tree = {"stamp": stamp, **make()}
    try:
        from ganzoo.system.files import write_atomically

        write_atomically(path, json.dumps(tree).encode())
    except OSError:  # a store that cannot be written: the tree is made at each TAB
        pass
    return tree


def _home() -> Path:
    """Return the store, as `ganzoo.weights.store.home` does, without importing what weights need."""
    if chosen := os.environ.get("GANZOO_HOME"):
        return Path(chosen).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("ganzoo")


# --- names ---


@dataclass(frozen=True)
class _Request:
    """What is on the line so far."""

    given: list[str]
    """Arguments before the word, without options."""
    command: str
    start: str
    """What the word begins with."""
    tree: Tree


def _registered(group: str) -> list[str]:
    """Return the names of a group as `ganzoo.registry` does; its import takes longer than all the rest of a TAB."""
    # Once it is imported, it has the installed names already.
    if "ganzoo.registry" in sys.modules or os.environ.get("GANZOO_PLUGINS", "").strip():
        from ganzoo.registry import registrations

        return sorted({entry.name for entry in registrations(f"ganzoo.{group}")})
    return sorted({entry.name for entry in entry_points(group=f"ganzoo.{group}")})


def _entries() -> Iterator[dict[str, Any]]:
    """Yield the entries of all weights manifests, unchecked: only names and classes are read from them."""
    from importlib.util import find_spec

    for package in {entry.value.partition(":")[0] for entry in entry_points(group="ganzoo.weights")}:
        found = find_spec(package) if package.isidentifier() else None
        for folder in (found.submodule_search_locations or ()) if found is not None else ():
            for path in (Path(folder, "weights_manifest.json"), Path(folder).parent / "weights_manifest.json"):
                if path.is_file():
                    yield from json.loads(path.read_bytes())["entries"]
                    break


def _models(_: _Request) -> Iterator[Completion]:
    return ((entry["name"], f"model of {entry['dataset']}") for entry in _entries())


def _references(request: _Request) -> Iterator[Completion]:
    yield from _models(request)
    for path in sorted((_home() / "hub").glob("*.json")):
        owner, _, name = path.stem.partition("--")
        yield f"hf:{owner}/{name}", "pulled from the Hub"
    yield from _runs(request)


def _runs(request: _Request) -> Iterator[Completion]:
    """Yield the runs and weights folders in the current folder and in ./runs, or below the folder that was typed."""
    base, slash, _ = request.start.rpartition("/")
    typed = base + slash
    folders = [""] if typed and typed != "./" else ["", "runs/"]
    for folder in folders:
        for path in sorted(Path(typed + folder or ".").expanduser().glob("*")):
            kind = "run" if (path / "run.json").is_file() else "weights" if (path / "config.json").is_file() else ""
            text = f"{typed}{folder}{path.name}"
            if kind:
                # A reference without a separator is a name, not a folder.
                yield text if "/" in text or request.command in ("resume", "animate") else f"./{text}", kind


def _recipes(_: _Request) -> Iterator[Completion]:
    return ((name, "recipe") for name in _registered("recipes"))


def _datasets(_: _Request) -> Iterator[Completion]:
    return ((name, "dataset") for name in _registered("datasets"))


def _architectures(_: _Request) -> Iterator[Completion]:
    return ((name, "architecture") for name in _registered("architectures"))


def _loggers(_: _Request) -> Iterator[Completion]:
    return ((name, "logger") for name in _registered("loggers"))


def _kinds(_: _Request) -> Iterator[Completion]:
    return ((name, "") for name in ("models", "recipes", "datasets", "architectures", "metrics", "plugins"))


def _everything(request: _Request) -> Iterator[Completion]:
    yield from _references(request)
    for group in ("recipes", "datasets", "architectures", "metrics", "losses", "optimizers"):
        yield from ((name, group) for name in _registered(group))


def _devices(_: _Request) -> Iterator[Completion]:
    """Yield the names of devices, as far as they can be seen without torch."""
    yield from (("auto", "cuda, else mps, else cpu"), ("cpu", ""))
    yield from ((f"cuda:{index}", "") for index, _ in enumerate(Path("/proc/driver/nvidia/gpus").glob("*")))
    if sys.platform == "darwin":
        yield "mps", "Apple's GPU"


def _classes(request: _Request) -> Iterator[Completion]:
    """Yield the classes of the model on the line."""
    name = request.given[0] if request.given else ""
    model = name.partition("@")[0]
    samples = [entry["sample"] for entry in _entries() if entry["name"] == model][:1]
    config = Path(name).expanduser() / "config.json"
    if not samples and config.is_file():
        samples = [json.loads(config.read_bytes())["sample"]]
    for sample in samples:
        yield from ((str(label), "class") for label in sample.get("classes") or ())


def _protocols(request: _Request) -> Iterator[Completion]:
    """Yield the protocols for the model on the line; without one, those of all datasets."""
    from ganzoo.registry import datasets, protocols

    model = request.given[0].partition("@")[0] if request.given else None
    chosen = {entry["dataset"] for entry in _entries() if entry["name"] == model}
    for name in chosen or datasets.names():
        yield from ((one.name, f"for {name}") for one in datasets.get(name).protocols)
    yield from ((name, "added protocol") for name in protocols.names())


def _settings(request: _Request) -> Iterator[Completion]:
    """Yield the settings of the recipe or dataset on the line, then the values of the one that was typed."""
    from ganzoo.registry import datasets, recipes

    name = request.given[0] if request.given else ""
    values: dict[str, Any] = {}
    if request.command.startswith("data "):
        config = datasets.get(name).config
        values = {} if config is None else _flat(asdict(config()))
    elif name in recipes.names():
        recipe = asdict(recipes.get(name))
        described = request.tree["descriptions"]
        values = _flat({key: value for key, value in recipe.items() if key not in described})
        values |= {key: None for key in request.tree["settings"] if key not in recipe}
    key, equals, _ = request.start.partition("=")
    if not equals:
        yield from ((f"{one}=", "" if value is None else f"now {_text(value)}") for one, value in values.items())
        return
    group = "optimizers" if key.startswith("optimizers.") and key.endswith(".kind") else _NAMED_BY.get(key)
    choices = _registered(group) if group else request.tree["settings"].get(key) or []
    if isinstance(values.get(key), bool):
        choices = ["true", "false"]
    if not choices and values.get(key) is not None:
        choices = [_text(values[key])]
    yield from ((f"{key}={choice}", "") for choice in choices)


_NAMED_BY = {"loss": "losses", "dataset": "datasets", "architecture": "architectures"}
"""Settings whose value is a registered name."""


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        value = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
        if isinstance(value, Mapping) and value:
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


VALUES: Mapping[str, Callable[[_Request], Iterator[Completion]]] = {
    "architectures": _architectures,
    "classes": _classes,
    "datasets": _datasets,
    "devices": _devices,
    "everything": _everything,
    "kinds": _kinds,
    "loggers": _loggers,
    "models": _models,
    "protocols": _protocols,
    "recipes": _recipes,
    "references": _references,
    "runs": _runs,
    "settings": _settings,
}
"""Kind of value -> what it may be."""
