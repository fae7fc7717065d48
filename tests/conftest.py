"""Shared fixtures: an empty store, real digits, and plugins that are really installed (a module and a dist-info)."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from urllib.request import install_opener

import pytest

from ganzoo import registry
from ganzoo.cli import main
from ganzoo.cli.output import out

# Both are read when torch and huggingface_hub are imported, and reach the processes that tests start. One thread each,
# because the workers of pytest-xdist share the cores.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"

DIGITS = Path(__file__).parent / "data" / "mnist"
PHOTOGRAPHS = Path(__file__).parent / "data" / "cifar10"

TINY_MLP = {
    "generator_hidden": [8],
    "discriminator_hidden": [8],
}
"""An architecture config that trains in milliseconds."""

CONSTANT_RATES = {f"optimizers.{net}.learning_rate": 2e-4 for net in ("generator", "discriminator")}
"""Settings with which a run can become longer: it has no schedule that ends with it."""


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Run tests that are named one by one in this process: a worker takes seconds to start."""
    return 0 if all("::" in argument for argument in config.args) else None


def pytest_configure(config: pytest.Config) -> None:
    """Hide GPUs unless the tests that need one are asked for: `auto` is the CPU, whose results the others know."""
    if "gpu" not in config.option.markexpr.replace("not gpu", ""):
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # read when torch looks for devices


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests that need a CUDA device are skipped where there is none."""
    if item.get_closest_marker("gpu") is not None:
        import torch

        if not torch.cuda.is_available():
            pytest.skip("no CUDA device is visible; where there is one: pytest -m gpu")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store of the test's own, and none of the user's settings."""
    for name in [name for name in os.environ if name.startswith("GANZOO_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GANZOO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "home"


@pytest.fixture
def digits() -> Path:
    """A folder with 256 training and 128 test digits as four .gz files."""
    return DIGITS


@pytest.fixture
def photographs() -> Path:
    """A folder with five batches of 8 training images and one of 16 test images, in CIFAR-10's binary version."""
    return PHOTOGRAPHS


InstallPlugin = Callable[..., Path]


@pytest.fixture
def install_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InstallPlugin:
    """Install a distribution: its modules and a dist-info, in a folder on sys.path (and on PYTHONPATH)."""
    site = tmp_path / "site"
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]

    def install(
        name: str,
        entry_points: Mapping[str, Mapping[str, str]],
        modules: Mapping[str, str],
        *,
        version: str = "1.0",
    ) -> Path:
        info = site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        lines = []
        for group, entries in entry_points.items():
            lines += [f"[{group}]", *(f"{key} = {value}" for key, value in entries.items())]
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
        for path, content in modules.items():
            file = site / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
        monkeypatch.syspath_prepend(str(site))
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), *others]))
        registry.package_folder.cache_clear()
        return site

    yield install
    registry.package_folder.cache_clear()
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(site)):
            del sys.modules[name]


Ganzoo = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def cwd(tmp_path: Path) -> Path:
    """The empty folder in which `ganzoo` and `ganzoo_process` run."""
    folder = tmp_path / "cwd"
    folder.mkdir()
    return folder


@pytest.fixture
def ganzoo(cwd: Path) -> Ganzoo:
    """Run a command in this process, without a terminal; keyword arguments are environment variables."""

    def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        assert "PYTHONPATH" not in environment, "Python reads it at its start: use ganzoo_process"
        command, code = ["ganzoo", *map(str, arguments)], 0
        stdout, stderr = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(stdout), redirect_stderr(stderr):
            patch.chdir(cwd)
            patch.setattr(sys, "argv", command)
            patch.setattr(sys, "stdin", io.StringIO())
            patch.setattr(os, "_exit", sys.exit)  # main ends so where the Hub's client left threads behind
            for name in ("quiet", "silent"):
                patch.setattr(out, name, False)
            for name, value in {"COLUMNS": "200", **environment}.items():
                patch.setenv(name, value)
            try:
                main()
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else int(end.code is not None)
            finally:
                install_opener(None)  # urllib keeps the proxies of the environment it was first used in
        return subprocess.CompletedProcess(command, code, stdout.getvalue(), stderr.getvalue())

    return run


@pytest.fixture
def ganzoo_process(cwd: Path) -> Ganzoo:
    """Run a command in a process of its own: for what depends on the interpreter's start, its path or its end."""

    def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "ganzoo", *map(str, arguments)],
            cwd=cwd,
            env={**os.environ, "COLUMNS": "200", **environment},
            capture_output=True,
            text=True,
            timeout=250,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    return run


def assert_two_lines(result: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """The program failed as it should: the exit code, one line what, one line how to fix it, nothing on stdout."""
    lines = [line for line in result.stderr.splitlines() if line.startswith(("Error:", "Hint:"))]
    assert result.returncode == code, result.stderr
    assert [line.split(":")[0] for line in lines] == ["Error", "Hint"], result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    for word in words:
        assert word in "\n".join(lines), lines


def set_options(settings: Mapping[str, object]) -> list[str]:
    """Write settings as --set options."""
    return [part for key, value in settings.items() for part in ("--set", f"{key}={json.dumps(value)}")]
