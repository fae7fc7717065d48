"""The structure that docs/architecture.md describes: imports point one way, and light commands stay light."""

from __future__ import annotations

import ast
import dataclasses
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from ganzoo import specs
from tests.conftest import Ganzoo

ROOT = Path(__file__).parent.parent
CORE = ROOT / "ganzoo"
PLUGINS = ROOT / "plugins"

ROOMS = [
    # what everything else speaks of
    "version",
    "errors",
    "units",
    "system",
    "specs",
    "deferred",
    "validation",
    "registry",
    "requirements",
    "guard",
    "checkout",
    "config",
    "targets",
    # arithmetic on tensors
    "losses",
    "spectral",
    "optimizers",
    "distances",
    "metrics",
    "randomness",
    "distributed",
    "sampling",
    "conditions",
    "latents",
    # weights, and where they come from
    "weights",
    "hub",
    "model",
    "walks",
    "sources",
    # what is done with them
    "data",
    "cache",
    "rendering",
    "evaluation",
    "projection",
    "training",
    "publishing",
    "release",
    "exporting",
    "testing",
    "scaffold",
    "bench",
    "completion",
    "cli",
    "__main__",
]
"""Modules and folders of the core in order: each imports only those before it."""

FOR_PLUGINS = {"specs", "deferred", "errors", "losses", "spectral", "optimizers", "distances", "metrics"}


def imported_modules(path: Path) -> set[str]:
    """Every module that a file imports, inside its functions too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(CORE.rglob("*.py"))
    if path != CORE / "__init__.py"  # the front door is open to all
}


def core_modules(path: Path) -> set[str]:
    """The modules of the core that a file imports, or imports names from."""
    names = imported_modules(path)
    return {name if name in MODULES else name.rpartition(".")[0] for name in names} & MODULES.keys()


def room(module: str) -> str:
    return module.split(".")[1]


def core_rooms(path: Path) -> set[str]:
    return {room(module) for module in core_modules(path)}


def test_every_room_has_its_place() -> None:
    assert {room(module) for module in MODULES} == set(ROOMS)


@pytest.mark.parametrize("module", MODULES)
def test_a_room_imports_only_rooms_before_it_and_never_a_plugin(module: str) -> None:
    later = set(ROOMS[ROOMS.index(room(module)) + 1 :])
    assert not core_rooms(MODULES[module]) & later
    assert not any(name.startswith("ganzoo_") for name in imported_modules(MODULES[module]))


@pytest.mark.parametrize("name", [name for name in ROOMS if (CORE / name).is_dir()])
def test_the_files_of_a_room_form_no_circle(name: str) -> None:
    inside = {module: core_modules(path) - {module} for module, path in MODULES.items() if room(module) == name}
    TopologicalSorter(inside).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize("path", sorted(PLUGINS.rglob("*.py")), ids=lambda path: str(path.relative_to(PLUGINS)))
def test_a_plugin_imports_the_contracts_and_nothing_else_of_the_core(path: Path) -> None:
    assert core_rooms(path) <= FOR_PLUGINS
    others = {name.split(".")[0] for name in imported_modules(path) if name.startswith("ganzoo_")}
    assert others <= {path.relative_to(PLUGINS).parts[0]}


def test_the_core_names_no_plugin() -> None:
    for path in CORE.rglob("*.py"):
        assert not any(folder.name in path.read_text(encoding="utf-8") for folder in PLUGINS.iterdir()), path


HEAVY = ("torch", "torchvision", "numpy", "huggingface_hub", "PIL")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["list"],
        ["list", "--json"],
        ["show", "mnist-mlp"],
        ["plugins", "list"],
        ["train", "--help"],
    ],
    ids=" ".join,
)
def test_light_commands_load_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    code = (
        "import sys; sys.argv[1:] = " + repr(arguments) + "\n"
        "from ganzoo.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stderr.strip().splitlines()[-1] == "[]"


def test_sampling_loads_no_torchvision(ganzoo: Ganzoo, tmp_path: Path) -> None:
    from tests.test_model import make_gan

    make_gan().save(tmp_path / "gan")
    code = (
        "import sys, ganzoo.cli; sys.argv[1:] = ['sample', sys.argv[1], '--out', sys.argv[2], '--seed', '0']\n"
        "try: ganzoo.cli.main()\n"
        "except SystemExit as end: assert not end.code\n"
        "sys.exit('torchvision' in sys.modules or 'huggingface_hub' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "gan"), str(tmp_path / "x.png")]
    assert subprocess.run(command, check=False).returncode == 0


def test_importing_ganzoo_loads_no_torch() -> None:
    code = "import sys, ganzoo; assert ganzoo.list_models('*') is not None; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_everything_in_all_is_there() -> None:
    import ganzoo

    for name in ganzoo.__all__:
        assert getattr(ganzoo, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = ganzoo.nonsense


def documented_fields(source: str) -> dict[str, set[str]]:
    """Fields of each class that are followed by a string."""
    found: dict[str, set[str]] = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef):
            pairs = zip(node.body, node.body[1:], strict=False)
            found[node.name] = {
                statement.target.id
                for statement, after in pairs
                if isinstance(statement, ast.AnnAssign)
                and isinstance(statement.target, ast.Name)
                and isinstance(after, ast.Expr)
                and isinstance(after.value, ast.Constant)
            }
    return found


def test_every_field_of_every_spec_is_documented_frozen_and_keyword_only() -> None:
    files = sorted((CORE / "specs").glob("*.py"))
    documented = documented_fields("\n".join(path.read_text(encoding="utf-8") for path in files))
    for name, spec in vars(specs).items():
        if isinstance(spec, type) and dataclasses.is_dataclass(spec) and spec.__module__.startswith(specs.__name__):
            fields = dataclasses.fields(spec)
            assert {field.name for field in fields} == documented[name]
            assert all(field.kw_only for field in fields)
            assert spec.__dataclass_params__.frozen  # type: ignore[attr-defined]
