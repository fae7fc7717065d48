from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ganzoo import registry
from ganzoo.errors import DuplicateNameError, PluginError, UnknownNameError
from ganzoo.specs import ArchitectureSpec
from tests.conftest import Ganzoo, InstallPlugin

ARCHITECTURES = "ganzoo.architectures"

STRIPES = """
from dataclasses import dataclass
from ganzoo.specs import ArchitectureSpec

@dataclass(frozen=True, kw_only=True)
class Config:
    width: int = 1

STRIPES = ArchitectureSpec(
    name="stripes", summary="s", paper="p", license="MIT", config=Config,
    build_generator=lambda *_: None, build_discriminator=lambda *_: None{extra},
)
"""


def install_stripes(install: InstallPlugin, distribution: str = "ganzoo-stripes", extra: str = "") -> None:
    module = distribution.replace("-", "_")
    install(
        distribution, {ARCHITECTURES: {"stripes": f"{module}:STRIPES"}}, {f"{module}.py": STRIPES.format(extra=extra)}
    )


def test_an_installed_plugin_is_listed_and_loaded(install_plugin: InstallPlugin) -> None:
    install_stripes(install_plugin)
    assert "stripes" in registry.architectures.names()
    assert isinstance(registry.architectures.get("stripes"), ArchitectureSpec)


def test_listing_imports_no_plugin(install_plugin: InstallPlugin, ganzoo: Ganzoo) -> None:
    marker = "raise SystemExit('imported')"
    install_plugin("loud", {ARCHITECTURES: {"loud": "loud_plugin:X"}}, {"loud_plugin.py": marker})
    result = ganzoo("list")
    assert result.returncode == 0
    assert "loud" in result.stdout
    assert "imported" not in result.stdout + result.stderr


def test_an_unknown_name_says_the_nearest_and_what_is_installed() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'mnist-mlp'") as caught:
        registry.recipes.get("mnist-mpl")
    assert "quadratic-mlp" in caught.value.hint


@pytest.mark.parametrize(
    "source", ["import no_such_module", "1 / 0", "raise SystemExit(3)", "this is not python"], ids=str
)
def test_a_broken_plugin_names_its_distribution_and_breaks_nothing_else(
    install_plugin: InstallPlugin, source: str
) -> None:
    install_plugin("bad-plugin", {ARCHITECTURES: {"bad": "bad_plugin:X"}}, {"bad_plugin.py": source}, version="2.5")
    with pytest.raises(PluginError, match=r"bad-plugin 2\.5 failed to load architecture 'bad'"):
        registry.architectures.get("bad")
    assert registry.architectures.get("mlp").name == "mlp"
    assert "bad" in registry.architectures.names()


def test_a_broken_plugin_leaves_the_program_working(install_plugin: InstallPlugin, ganzoo: Ganzoo) -> None:
    install_plugin("bad-plugin", {"ganzoo.recipes": {"bad": "bad_plugin:X"}}, {"bad_plugin.py": "1/0"})
    for arguments in (["--help"], ["list"], ["show", "mnist-mlp"], ["plugins", "list"]):
        assert ganzoo(*arguments).returncode == 0
    result = ganzoo("train", "bad")
    assert result.returncode == 1
    assert "bad-plugin 1.0 failed to load recipe 'bad': ZeroDivisionError" in result.stderr


def test_two_owners_of_one_name_are_both_named_and_neither_is_picked(
    install_plugin: InstallPlugin, ganzoo: Ganzoo
) -> None:
    install_stripes(install_plugin, "first-stripes")
    install_stripes(install_plugin, "second-stripes")
    with pytest.raises(DuplicateNameError, match=r"first-stripes 1\.0 and second-stripes 1\.0"):
        registry.architectures.get("stripes")
    listing = ganzoo("list")
    assert listing.returncode == 0
    assert "first-stripes 1.0 and second-stripes 1.0" in listing.stdout


def test_an_allow_list_settles_two_owners(install_plugin: InstallPlugin, monkeypatch: pytest.MonkeyPatch) -> None:
    install_stripes(install_plugin, "first-stripes")
    install_stripes(install_plugin, "second-stripes")
    monkeypatch.setenv("GANZOO_PLUGINS", "Second_Stripes")
    assert registry.architectures.get("stripes").name == "stripes"
    assert "mlp" in registry.architectures.names()


def test_plugins_can_be_switched_off_but_not_the_first_party_ones(
    install_plugin: InstallPlugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_stripes(install_plugin)
    monkeypatch.setenv("GANZOO_PLUGINS", "off")
    assert "stripes" not in registry.architectures.names()
    assert "mlp" in registry.architectures.names()


def test_a_spec_from_a_newer_api_is_refused_with_a_sentence(install_plugin: InstallPlugin) -> None:
    install_stripes(install_plugin, extra=", api_version=99")
    with pytest.raises(PluginError, match="for plugin API 99, but this ganzoo has 1") as caught:
        registry.architectures.get("stripes")
    assert "Update ganzoo" in caught.value.hint


def test_something_else_than_a_spec_is_refused(install_plugin: InstallPlugin) -> None:
    install_plugin("odd", {ARCHITECTURES: {"odd": "odd_plugin:X"}}, {"odd_plugin.py": "X = 3"})
    with pytest.raises(PluginError, match="registers a int as architecture 'odd', not ArchitectureSpec"):
        registry.architectures.get("odd")


def test_a_spec_under_another_name_is_refused(install_plugin: InstallPlugin) -> None:
    install_plugin("alias", {ARCHITECTURES: {"lines": "alias:STRIPES"}}, {"alias.py": STRIPES.format(extra="")})
    with pytest.raises(PluginError, match="'stripes' under the name 'lines'"):
        registry.architectures.get("lines")


def test_importing_first_party_plugins_loads_no_torch() -> None:
    code = (
        "import sys, ganzoo_mlp, ganzoo_mnist, ganzoo_quadratic; sys.exit(bool({'torch', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


NUM_MANY = 200


@pytest.fixture
def many(tmp_path: Path) -> dict[str, str]:
    """An environment in which 200 distributions are installed whose modules say when they are imported."""
    site = tmp_path / "many"
    for index in range(NUM_MANY):
        name = f"many_{index:03d}"
        info = site / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(
            f"[{ARCHITECTURES}]\n{name} = {name}:STRIPES\n[ganzoo.recipes]\n{name}-gan = {name}:RECIPE\n"
        )
        (site / f"{name}.py").write_text(STRIPES.format(extra="").replace('"stripes"', f'"{name}"'))
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), *others])}


def printed(code: str, *arguments: str, environment: Mapping[str, str]) -> Any:
    """Run Python and return the document that it prints last, on stderr."""
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stderr.splitlines()[-1])


RUN = """
import json, sys
from ganzoo.cli import main
try: main()
except SystemExit as end: assert not end.code, end.code
"""
LIGHT = [["--version"], ["--help"], ["list"], ["show", "mnist-mlp"], ["plugins", "list"]]


@pytest.mark.parametrize("arguments", LIGHT, ids=" ".join)
def test_two_hundred_plugins_add_no_module_to_a_light_command(arguments: list[str], many: dict[str, str]) -> None:
    code = RUN + "print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    without = printed(code, *arguments, environment=os.environ)
    assert printed(code, *arguments, environment=many) == without


READS = """
import collections, importlib.metadata
reads, read_text = collections.Counter(), importlib.metadata.PathDistribution.read_text
def counted(self, name):
    reads[f"{self._path}/{name}"] += 1
    return read_text(self, name)
importlib.metadata.PathDistribution.read_text = counted
"""


@pytest.mark.parametrize(
    ("arguments", "most"),
    [(["--version"], 0), (["--help"], 0), (["show", "mnist-mlp"], 1), (["list"], 2), (["plugins", "list"], 2)],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_two_hundred_plugins_have_their_metadata_read_once(
    arguments: list[str], most: int, many: dict[str, str]
) -> None:
    reads = printed(READS + RUN + "print(json.dumps(reads), file=sys.stderr)", *arguments, environment=many)
    plugins = {file: times for file, times in reads.items() if "many_" in file}
    assert set(plugins.values()) <= {1}
    assert len(plugins) == most * NUM_MANY  # the entry points of each, and its METADATA where its version is shown
    assert max(reads.values(), default=0) <= 1


def test_one_of_two_hundred_plugins_is_imported_alone(many: dict[str, str]) -> None:
    code = (
        "import json, sys\nfrom ganzoo import registry\n"
        "assert registry.architectures.get('many_123').name == 'many_123'\n"
        "print(json.dumps([name for name in sys.modules if name.startswith('many_')]), file=sys.stderr)"
    )
    assert printed(code, environment=many) == ["many_123"]


def test_a_plugin_that_is_installed_while_the_program_runs_is_seen(install_plugin: InstallPlugin) -> None:
    install_stripes(install_plugin)
    assert "spots" not in registry.architectures.names()
    site = install_plugin("ganzoo-spots", {ARCHITECTURES: {"spots": "spots:X"}}, {})
    assert {"stripes", "spots"} <= set(registry.architectures.names())
    shutil.rmtree(site / "ganzoo_spots-1.0.dist-info")
    assert "spots" not in registry.architectures.names()
