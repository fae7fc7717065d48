"""What plugins may use: it is listed, it exists, its reference is current, and incompatible changes are found."""

from __future__ import annotations

import importlib
import importlib.util
import re
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

import ganzoo
from ganzoo import specs
from tests.test_architecture import FOR_PLUGINS, imported_modules

ROOT = Path(__file__).parent.parent
PLUGINS_MD = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")


def load(path: str) -> ModuleType:
    """Import a script that is in no package."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def listed() -> dict[str, set[str]]:
    """Module -> names, from the table of docs/plugins.md."""
    section = PLUGINS_MD.partition("## What a plugin may import")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(ganzoo[\w.]*)` \| (.*) \|", section, re.MULTILINE)
    return {module: set(re.findall(r"`(\w+)`", names)) for module, names in rows}


def is_public(name: str) -> bool:
    """Whether a plugin may import a module of ganzoo, or a name of it."""
    module, _, leaf = name.rpartition(".")
    names = set(specs.__all__) if module == "ganzoo.specs" else listed().get(module, set())
    return name in listed() or leaf in names


def public_names(module: ModuleType) -> set[str]:
    """`__all__`, or the functions and classes that a module defines."""
    own = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    }
    return set(getattr(module, "__all__", own))


@pytest.mark.parametrize("name", ["deferred", "distances", "losses", "metrics", "optimizers", "spectral", "testing"])
def test_every_helper_for_plugins_is_listed(name: str) -> None:
    module = importlib.import_module(f"ganzoo.{name}")
    assert public_names(module) <= listed()[f"ganzoo.{name}"] <= set(vars(module))


def test_the_list_is_that_of_the_tests_and_of_the_comparison_with_the_last_release() -> None:
    modules = {name.partition(".")[2] for name in listed()} - {""}
    assert modules == FOR_PLUGINS | {"testing"}  # which is for their tests
    assert modules == set(load("tools/api.py").PUBLIC_MODULES)


def test_first_party_plugins_import_listed_names_only() -> None:
    found = {name for path in (ROOT / "plugins").rglob("*.py") for name in imported_modules(path)}
    from_ganzoo = {name for name in found if name.split(".")[0] == "ganzoo"}
    assert "ganzoo.specs.Recipe" in from_ganzoo
    assert [name for name in sorted(from_ganzoo) if not is_public(name)] == []


def test_the_names_of_the_front_door_and_of_the_errors_exist() -> None:
    assert listed()["ganzoo"] == set(ganzoo.__all__) - {"__version__"}
    errors = importlib.import_module("ganzoo.errors")
    assert listed()["ganzoo.errors"] <= public_names(errors)


def test_every_group_of_entry_points_is_documented() -> None:
    from ganzoo.registry import GROUPS

    table = PLUGINS_MD.partition("| entry-point group")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `(ganzoo\.\w+)`", table, re.MULTILINE)) == set(GROUPS)


def test_the_reference_is_what_the_script_writes() -> None:
    make = load("docs/reference/make.py")
    page = make.page()
    assert (ROOT / "docs/reference/specs.md").read_text(encoding="utf-8") == page, "run docs/reference/make.py"
    assert set(re.findall(r"^### (\w+)$", page, re.MULTILINE)) == set(specs.__all__)
    assert not re.search(r": $", page, re.MULTILINE), "a field or method without a docstring"


def test_an_incompatible_change_since_the_last_tag_is_found(tmp_path: Path) -> None:
    api = load("tools/api.py")

    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
        subprocess.run(["git", "-C", str(tmp_path), *identity, *arguments], check=True, capture_output=True)

    def write(public: str, private: str) -> None:
        files = {
            "__init__.py": 'from ganzoo.training import train\n__all__ = ["train"]\n',
            "specs.py": f"def spec({public}): ...\n",
            "training.py": f"def train({public}): ...\ndef helper({private}): ...\n",
        }
        for name, text in files.items():
            (tmp_path / "ganzoo" / name).write_text(text)

    (tmp_path / "ganzoo").mkdir()
    git("init")
    assert api.last_tag(tmp_path) is None
    write("first, second=None", "one")
    git("add", ".")
    git("commit", "-m", "first")
    git("tag", "v1.0")
    assert api.last_tag(tmp_path) == "v1.0"
    write("first, second=None, third=None", "other")  # a new optional parameter breaks nobody, nor does a private one
    assert list(api.breakages(tmp_path, "v1.0")) == []
    write("first", "one")
    found = list(api.breakages(tmp_path, "v1.0"))
    assert [line.partition(":")[0] for line in sorted(found)] == ["ganzoo.specs.spec", "ganzoo.training.train"]
