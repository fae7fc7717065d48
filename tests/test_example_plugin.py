"""docs/example_plugin, from its source folder: a distribution of its own that ganzoo treats like any other."""

from __future__ import annotations

import json
import os
import runpy
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch

import ganzoo as library
from tests.conftest import Ganzoo, InstallPlugin
from tests.hub.conftest import server  # noqa: F401
from tests.hub.server import HubServer
from tests.test_architecture import imported_modules
from tests.test_public_api import is_public

FOLDER = Path(__file__).parent.parent / "docs" / "example_plugin"


@pytest.fixture(autouse=True)
def example(install_plugin: InstallPlugin, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin, installed in place: its folder is on the path, its entry points are those of its pyproject.toml."""
    project = tomllib.loads((FOLDER / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    install_plugin(project["name"], project["entry-points"], {}, version=project["version"])
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(FOLDER), os.environ["PYTHONPATH"]]))
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == "ganzoo_ring"]:
        del sys.modules[name]


def test_it_imports_what_plugins_may_import() -> None:
    modules = {name for path in FOLDER.rglob("*.py") for name in imported_modules(path)}
    assert "ganzoo.specs.SampleSpec" in modules
    assert [name for name in modules if name.split(".")[0] == "ganzoo" and not is_public(name)] == []


def test_it_is_listed_shown_trained_evaluated_pushed_and_pulled(
    ganzoo: Ganzoo,
    server: HubServer,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def run(*arguments: str | Path) -> str:
        result = ganzoo(*arguments)
        assert result.returncode == 0, result.stderr
        assert "Warning" not in result.stderr
        return result.stdout

    server.add_user("you", "hf_secret")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    (entry,) = (weights for weights in json.loads(run("list", "--json"))["weights"] if weights["recipe"] == "ring-gan")
    assert entry["reference"] == "ring-gan@v1"
    assert "ganzoo-ring" in run("plugins", "list")
    assert "RaLSGAN" in run("show", "relativistic-average")
    run("eval", "ring-gan", "--check")

    run("train", "ring-gan", "--seed", "0", "--steps", "20", "--out", "run")
    run("eval", "./run")
    run("sample", "./run", "--label", "NW", "--num", "5", "--seed", "0", "--out", tmp_path / "points.npy")
    assert np.load(tmp_path / "points.npy").shape == (5, 2)

    run("push", "ring-gan@v1", "you/ring", "--yes")
    run("pull", "hf:you/ring")
    assert torch.equal(
        library.load("hf:you/ring").sample(9, seed=0, labels=3), library.load("ring-gan").sample(9, seed=0, labels=3)
    )


def test_its_own_tests_pass() -> None:
    names = runpy.run_path(str(FOLDER / "tests" / "test_ring.py"))
    tests = [value for name, value in names.items() if name.startswith("test_") and not hasattr(value, "pytestmark")]
    assert len(tests) >= 4
    for test in tests:
        test()


@pytest.mark.slow
def test_it_keeps_its_contracts(ganzoo: Ganzoo) -> None:
    result = ganzoo("plugins", "check", "ganzoo-ring")
    assert result.returncode == 0, result.stderr
