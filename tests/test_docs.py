"""The README does what it says: its commands run, its code runs, its plugin works."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Ganzoo, InstallPlugin
from tests.test_pages import write_pictures

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands() -> list[list[str]]:
    """Every ganzoo command of the README, as printed."""
    lines = [line.removeprefix("$ ") for block in blocks("console") for line in block.splitlines()]
    parts = [part.strip() for line in lines for part in line.split("&&")]
    return [shlex.split(part, comments=True)[1:] for part in parts if part.startswith("ganzoo ")]


NETWORKS = """
from math import prod
from torch import nn

class Generator(nn.Sequential):
    def __init__(self, config, latent, sample):
        super().__init__(
            nn.Linear(latent.dim, config.width), nn.ReLU(), nn.Linear(config.width, prod(sample.shape)), nn.Tanh(),
            nn.Unflatten(1, sample.shape),
        )

class Discriminator(nn.Sequential):
    def __init__(self, config, sample):
        super().__init__(
            nn.Flatten(), nn.Linear(prod(sample.shape), config.width), nn.ReLU(),
            nn.Linear(config.width, 1), nn.Flatten(0),
        )
"""


def install_readme_plugin(install: InstallPlugin) -> None:
    (source,) = (block for block in blocks("python") if "MY_GAN" in block)
    (toml,) = blocks("toml")
    name, value = re.findall(r'^([\w-]+) = "(.*)"$', toml, re.MULTILINE)[0]
    install(
        "my-gan",
        {"ganzoo.architectures": {name: value}},
        {"my_gan/__init__.py": source, "my_gan/networks.py": NETWORKS},
    )


@pytest.mark.slow
def test_the_readmes_commands_run_as_printed(
    ganzoo: Ganzoo,
    digits: Path,
    photographs: Path,
    home: Path,
    cwd: Path,
    install_plugin: InstallPlugin,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(home))  # Inception weights in the user's cache would take minutes
    install_readme_plugin(install_plugin)
    write_pictures(cwd, photographs)
    shutil.copytree(digits, home / "datasets" / "mnist" / "files")  # what the download would have put there
    assert len(commands()) >= 10
    elsewhere = [command for command in commands() if "you/my-gan" in " ".join(command) or command[0] == "import"]
    assert len(elsewhere) == 3  # they need the Hub or a file: tests/publishing and test_importing.py run them
    for command in commands():
        if command in elsewhere:
            continue
        if command[0] == "train":
            result = ganzoo(*command, GANZOO_STEPS="5")
        else:
            result = ganzoo(*("500" if word == "50000" else word for word in command))
        assert result.returncode == 0, (command, result.stderr)


@pytest.mark.slow
def test_the_readmes_python_runs(tmp_path: Path) -> None:
    code = "\n".join(block for block in blocks("python") if "MY_GAN" not in block)
    assert "ganzoo.load" in code
    assert "ganzoo.train" in code
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


FIRST_PLUGIN = (ROOT / "docs" / "first-plugin.md").read_text(encoding="utf-8")


def first_plugin_files() -> dict[str, str]:
    """Path -> text of each block that begins with the path."""
    found = re.findall(r"```(?:toml|python)\n# (\S+)\n(.*?)```", FIRST_PLUGIN, re.DOTALL)
    return dict(found)


def install_first_plugin(install: InstallPlugin) -> Path:
    files = first_plugin_files()
    project = tomllib.loads(files.pop("pyproject.toml"))["project"]
    return install(project["name"], project["entry-points"], files, version=project["version"])


@pytest.mark.slow
def test_the_first_plugin_works_as_printed(
    ganzoo: Ganzoo, install_plugin: InstallPlugin, cwd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_first_plugin(install_plugin)
    lines = [
        line for block in re.findall(r"```console\n(.*?)```", FIRST_PLUGIN, re.DOTALL) for line in block.splitlines()
    ]
    assert len(lines) == 7
    for line in lines:
        command = shlex.split(line.removeprefix("$ "))
        if command[0] == "ganzoo":
            result = ganzoo(*command[1:], GANZOO_STEPS="5" if command[1] == "train" else "")
            assert result.returncode == 0, (line, result.stderr)
        else:
            assert command == ["pip", "install", "-e", "."]  # what `install_first_plugin` did
    monkeypatch.chdir(cwd)
    (code,) = re.findall(r"```python\n(import ganzoo\n.*?)```", FIRST_PLUGIN, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["points"].shape == (1000, 2)


def test_the_first_plugins_mistake_gets_the_message_that_is_printed(
    ganzoo: Ganzoo, install_plugin: InstallPlugin
) -> None:
    folder = install_first_plugin(install_plugin) / "ganzoo_circle"
    networks = (folder / "networks.py").read_text()
    assert "nn.Flatten(0)," in networks
    (folder / "networks.py").write_text(networks.replace("nn.Flatten(0),", ""))
    (message,) = re.findall(r"^Error: .*", FIRST_PLUGIN, re.MULTILINE)
    assert message in ganzoo("train", "circle-gan", "--seed", "0", "--out", "run").stderr


@pytest.mark.slow
def test_the_first_plugin_learns_the_circle(install_plugin: InstallPlugin, tmp_path: Path) -> None:
    import torch

    import ganzoo as library

    install_first_plugin(install_plugin)
    run = library.train("circle-gan", out=tmp_path / "run", settings={"seed": 0})
    points = library.load(run.path).sample(2000, seed=0)
    quadrants = torch.bincount((points > 0).long() @ torch.tensor([1, 2]), minlength=4)
    assert float((points.norm(dim=1) - 1).abs().median()) < 0.1
    assert int(quadrants.min()) > 250


REQUIRED = 'name="faces", summary="", homepage="", license="", splits={"train": 1},'
"""What the block with the settings of a dataset leaves out."""


def test_every_python_block_about_plugins_runs() -> None:
    text = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    found = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(found) >= 6
    names: dict[str, Any] = {}
    exec("from dataclasses import dataclass\nfrom typing import Annotated\nfrom annotated_types import Interval", names)
    exec("from ganzoo.deferred import deferred\nfrom ganzoo.specs import *", names)
    for block in found:
        exec(block.replace("    ...,", f"    {REQUIRED}"), names)
    assert names["FACES"].sample(names["FacesConfig"](grey=True)).shape == (1, 64, 64)
    assert names["FACES_FD"].name == "fd-faces"


def test_every_option_that_the_readme_names_exists(ganzoo: Ganzoo) -> None:
    pages = [ganzoo(name, "--help").stdout for name in ("train", "sample", "eval", "animate", "push", "import")]
    for option in set(re.findall(r"--[a-z][a-z-]+", README)):
        assert any(option in page for page in pages), option


@pytest.mark.parametrize(
    "path",
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target
