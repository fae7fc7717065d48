"""New plugins: `ganzoo plugins new` writes a package that passes its own tests, to be changed step by step.

The files are made from `templates/`, where `$package` and the like are replaced. A part that only some kinds of plugin
have is a template of its own.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from string import Template

from ganzoo.errors import StoreError, UsageError, hint_for
from ganzoo.registry import REGISTRIES
from ganzoo.system.files import contents, whole_folder, write_atomically
from ganzoo.version import __version__

_TEMPLATES = Path(__file__).parent / "templates"
_DISTRIBUTION = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_MAX_LENGTH = 40
_LINE = 88
"""Longest line of an import in a new plugin: that of ruff's and black's defaults."""

KINDS: Mapping[str, tuple[str, ...]] = {
    "architecture": ("architecture", "recipe"),
    "dataset": ("dataset",),
    "metric": ("metric", "protocol"),
    "full": ("architecture", "dataset", "metric", "recipe"),
}
"""Kind of plugin -> the specs that it registers."""

_GROUPS = {
    "architecture": ("ganzoo.architectures", "net", "NET"),
    "dataset": ("ganzoo.datasets", "points", "POINTS"),
    "metric": ("ganzoo.metrics", "distance", "DISTANCE"),
    "protocol": ("ganzoo.protocols", "v1", "PROTOCOL"),
    "recipe": ("ganzoo.recipes", "gan", "GAN"),
}
"""Kind of spec -> its entry-point group, the end of its name, and the object."""
_MODULES = {"architecture": "networks", "dataset": "data", "metric": "metrics"}
"""Kind of spec -> the module with its code, which may import torch."""
_SUMMARIES = {
    "architecture": "an architecture, and a recipe that trains it",
    "dataset": "a dataset",
    "metric": "a metric, and a protocol that uses it",
    "full": "an architecture, a dataset, a metric, and a recipe",
}


def write_plugin(name: str, kind: str, folder: Path) -> list[Path]:
    """Write a new plugin, and return its files.

    Args:
        name: of the distribution, such as `ganzoo-rings`: lower-case words joined by hyphens.
        kind: one of KINDS.
        folder: new or empty.

    Raises UsageError for another kind, for a name that is not valid or taken, and for a folder that is not empty;
    StoreError when it cannot be written.
    """
    if kind not in KINDS:
        raise UsageError(f"{kind!r} is not a kind of plugin.", hint=f"Choose one of {', '.join(KINDS)}.")
    package, short = _names(name)
    registered = {f"{short}-{_GROUPS[part][1]}" for part in KINDS[kind]}
    taken = sorted(registered & {spec for registry in REGISTRIES for spec in registry.names()})
    if taken:
        raise UsageError(f"the name {taken[0]!r} is registered already.", hint="Choose another name for the plugin.")
    if folder.exists() and not (folder.is_dir() and not contents(folder)):
        raise UsageError(f"{folder} is not an empty folder.", hint="Choose another one with --out.")
    files = _files(kind, {"distribution": name, "package": package, "name": short, "summary": _SUMMARIES[kind]})
    try:
        with whole_folder(folder) as partial:
            for path, text in files.items():
                (partial / path).parent.mkdir(parents=True, exist_ok=True)
                write_atomically(partial / path, text.encode())
    except OSError as error:
        raise StoreError(f"cannot write to {folder}: {error.strerror}.", hint=hint_for(error)) from error
    return [folder / path for path in files]


def _names(name: str) -> tuple[str, str]:
    """Return the package of a distribution, and how the names of its specs begin. Raises UsageError."""
    if _DISTRIBUTION.fullmatch(name) is None or len(name) > _MAX_LENGTH:
        raise UsageError(
            f"{name!r} is not a name for a plugin.",
            hint=f"Use lower-case words joined by hyphens, such as ganzoo-rings; at most {_MAX_LENGTH} characters.",
        )
    package, short = name.replace("-", "_"), name.removeprefix("ganzoo-")
    if keyword.iskeyword(package) or find_spec(package) is not None:
        raise UsageError(
            f"the package {package!r} would hide another module of that name.",
            hint=f"Choose another name, such as ganzoo-my-{short}.",
        )
    return package, short


def _files(kind: str, values: Mapping[str, str]) -> dict[str, str]:
    """Return the text of each file by its path."""
    parts, package = KINDS[kind], values["package"]
    points = []
    for part in parts:
        group, end, constant = _GROUPS[part]
        points.append(f'[project.entry-points."{group}"]\n{values["name"]}-{end} = "{package}:{constant}"\n')
    # The recipe of an architecture alone trains on ganzoo's curves, and the protocol of a metric alone measures them.
    dataset = f"{values['name']}-points" if "dataset" in parts else "quadratic"
    protocols = _read("package/protocols.txt", values) if "metric" in parts else ""
    values = {
        **values,
        "version": __version__,
        "entry_points": "\n".join(points),
        "dataset": dataset,
        "protocols": protocols,
        "dim": "2" if "dataset" in parts else "5",
        "imports": _imports(parts),
        "contents": "".join(_read(f"README/{part}.txt", values) for part in parts).rstrip("\n"),
        "try_it": _read("README/try.txt", values) if "recipe" in parts else "",
    }
    specs = [_read(f"package/{part}.txt", values) for part in parts]
    gap = "\n\n" if specs[0].startswith("@") else "\n"  # as import sorters want it before a class, and before a value
    files = {
        "pyproject.toml": _read("pyproject.txt", values),
        "README.md": _read("README/README.txt", values),
        ".gitignore": "__pycache__/\n*.egg-info/\n.pytest_cache/\nbuild/\ndist/\nruns/\n",
        ".github/workflows/test.yml": _read("workflow.txt", values),
        f"{package}/__init__.py": _read("package/head.txt", values) + gap + "\n\n".join(specs),
        f"{package}/py.typed": "",
        "tests/test_contracts.py": _read("tests/contracts.txt", values),
    }
    for part in parts:
        if part in _MODULES:
            files[f"{package}/{_MODULES[part]}.py"] = _read(f"package/{_MODULES[part]}.txt", values)
            files[f"tests/test_{_MODULES[part]}.py"] = _read(f"tests/{_MODULES[part]}.txt", values)
    return files


_IMPORTED = {
    "architecture": ("ArchitectureSpec",),
    "dataset": ("DatasetSpec", "SampleSpec"),
    "metric": ("MetricSpec",),
    "protocol": ("EvaluationProtocol",),
    "recipe": ("Adam", "LatentSpec", "Optimizers", "Recipe"),
}


def _imports(parts: tuple[str, ...]) -> str:
    """Return the import statements of the package's `__init__`."""
    names = {name for part in parts for name in _IMPORTED[part]}
    if {"dataset", "metric"} <= set(parts):
        names.add("EvaluationProtocol")
    lines = ["from __future__ import annotations\n"]
    if {"architecture", "dataset"} & set(parts):  # those with a config
        lines += ["from dataclasses import dataclass", "from typing import Annotated\n"]
        lines.append(f"from annotated_types import Interval{', Len' if 'architecture' in parts else ''}\n")
    lines.append("from ganzoo.deferred import deferred")
    on_one_line = f"from ganzoo.specs import {', '.join(sorted(names))}"
    if len(on_one_line) <= _LINE:
        return "\n".join([*lines, on_one_line])
    return "\n".join([*lines, "from ganzoo.specs import (", *(f"    {name}," for name in sorted(names)), ")"])


def _read(path: str, values: Mapping[str, str]) -> str:
    return Template((_TEMPLATES / path).read_text(encoding="utf-8")).substitute(values)
