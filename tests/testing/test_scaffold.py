"""`ganzoo plugins new` writes packages that pass their own tests."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from ganzoo.scaffold import KINDS
from tests.conftest import Ganzoo, InstallPlugin, assert_two_lines


def test_a_package_of_each_kind_is_written_with_the_parts_of_that_kind(ganzoo: Ganzoo, cwd: Path) -> None:
    for kind in KINDS:
        result = ganzoo("plugins", "new", f"ganzoo-{kind}-of-mine", "--kind", kind, "--json")
        assert result.returncode == 0, result.stderr
        document = json.loads(result.stdout)
        folder = cwd / document["path"]
        assert sorted(document["files"]) == sorted(
            str(path.relative_to(cwd)) for path in folder.rglob("*") if path.is_file()
        )
        project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        groups = {group.removeprefix("ganzoo.")[:-1] for group in project["entry-points"]}
        assert groups == set(KINDS[kind])
        assert {".github/workflows/test.yml", "README.md", "tests/test_contracts.py"} <= {
            str(path.relative_to(folder)) for path in folder.rglob("*")
        }
        for path in folder.rglob("*"):
            text = path.read_text() if path.is_file() else ""
            assert "$" not in text.replace("$ ", "").replace("${{", ""), path


@pytest.mark.slow
def test_a_package_of_each_kind_passes_its_own_tests_as_an_installed_distribution(
    ganzoo: Ganzoo, cwd: Path, install_plugin: InstallPlugin
) -> None:
    for kind in KINDS:
        ganzoo("plugins", "new", f"ganzoo-{kind}-of-mine", "--kind", kind, "--out", kind)
        project = tomllib.loads((cwd / kind / "pyproject.toml").read_text())["project"]
        files = {str(path.relative_to(cwd / kind)): path.read_text() for path in (cwd / kind).glob("ganzoo_*/*")}
        install_plugin(project["name"], project["entry-points"], files, version=project["version"])
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "--import-mode=importlib",
    ]
    result = subprocess.run([*command, *KINDS], capture_output=True, text=True, check=False, cwd=cwd)
    assert result.returncode == 0, result.stdout[-3000:]
    assert "failed" not in result.stdout
    assert "skipped" not in result.stdout
    listed = ganzoo("plugins", "list", "--check", "--json")
    plugins = {one["name"]: one for one in json.loads(listed.stdout)["plugins"]}
    for kind, parts in KINDS.items():
        plugin = plugins[f"ganzoo-{kind}-of-mine"]
        assert plugin["status"] == "ok"
        assert {one["kind"] for one in plugin["registers"]} == set(parts)


@pytest.mark.parametrize("name", ["Ganzoo-Rings", "rings_", "1rings", "ganzoo--rings", "../rings", "", "a" * 41])
def test_a_name_that_is_not_one_of_a_distribution_is_refused(ganzoo: Ganzoo, cwd: Path, name: str) -> None:
    assert_two_lines(ganzoo("plugins", "new", name), 2, "is not a name for a plugin", "ganzoo-rings")
    assert list(cwd.iterdir()) == []


@pytest.mark.parametrize("name", ["torch", "ganzoo", "ganzoo-mnist", "class", "json"])
def test_a_name_whose_package_would_hide_another_is_refused(ganzoo: Ganzoo, cwd: Path, name: str) -> None:
    assert_two_lines(ganzoo("plugins", "new", name), 2, "would hide another module")
    assert list(cwd.iterdir()) == []


def test_names_that_are_registered_already_are_refused(
    ganzoo: Ganzoo, cwd: Path, install_plugin: InstallPlugin
) -> None:
    install_plugin("other", {"ganzoo.datasets": {"rings-points": "other:POINTS"}}, {})
    assert_two_lines(ganzoo("plugins", "new", "ganzoo-rings"), 2, "'rings-points' is registered already")
    assert list(cwd.iterdir()) == []


def test_a_folder_with_files_is_refused_and_left_as_it_is(ganzoo: Ganzoo, cwd: Path) -> None:
    (cwd / "mine").mkdir()
    assert ganzoo("plugins", "new", "ganzoo-rings", "--kind", "metric", "--out", "mine").returncode == 0
    before = sorted(path.name for path in (cwd / "mine").iterdir())
    assert_two_lines(ganzoo("plugins", "new", "ganzoo-rings", "--out", "mine"), 2, "not an empty folder")
    assert sorted(path.name for path in (cwd / "mine").iterdir()) == before
