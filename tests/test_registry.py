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
    result = ganzoo("plugins", "list")
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
    listing = ganzoo("list", "--all")
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


def test_an_entry_point_without_a_value_is_refused(install_plugin: InstallPlugin) -> None:
    install_plugin("hollow", {ARCHITECTURES: {"hollow": ""}}, {})
    with pytest.raises(PluginError, match=r"hollow 1\.0 registers architecture 'hollow' as '', not as 'module:attrib"):
        registry.architectures.get("hollow")


SWARM = """
from ganzoo.specs import OptimizerSpec
X = OptimizerSpec(name="swarm", summary="s", paper="p", config={config}, build=print)
"""


@pytest.mark.parametrize("config", ["dict", "None", "{}"])
def test_an_optimizer_without_a_dataclass_is_refused(install_plugin: InstallPlugin, config: str) -> None:
    install_plugin("swarm", {"ganzoo.optimizers": {"swarm": "swarm:X"}}, {"swarm.py": SWARM.format(config=config)})
    with pytest.raises(PluginError, match=r"whose config is .*, not a frozen dataclass"):
        registry.optimizers.get("swarm")


def test_list_is_short_unless_more_is_asked_for(ganzoo: Ganzoo) -> None:
    listed = ganzoo("list")
    assert "\nmnist-mlp@v1 " in listed.stdout
    assert "\nhinge " not in listed.stdout
    assert "More: ganzoo list datasets|metrics|plugins" in listed.stderr
    for arguments in (["list", "--all"], ["list", "hing*"], ["list", "losses"]):
        asked = ganzoo(*arguments)
        assert "\nhinge " in asked.stdout
        assert "More:" not in asked.stderr


def test_show_names_the_plugin_and_writes_values_as_settings(install_plugin: InstallPlugin, ganzoo: Ganzoo) -> None:
    install_stripes(install_plugin)
    assert "architecture stripes (ganzoo-stripes 1.0)" in ganzoo("show", "stripes").stdout
    rows = ganzoo("show", "quadratic-mlp", "--all").stdout.splitlines()
    assert {"conditional  false", "weight_clip  null", "latent.grid  []", "regularizers  {}"} <= set(rows)


def test_a_spec_under_another_name_is_refused(install_plugin: InstallPlugin) -> None:
    install_plugin("alias", {ARCHITECTURES: {"lines": "alias:STRIPES"}}, {"alias.py": STRIPES.format(extra="")})
    with pytest.raises(PluginError, match="'stripes' under the name 'lines'"):
        registry.architectures.get("lines")


def test_importing_first_party_plugins_loads_no_torch() -> None:
    code = (
        "import sys, ganzoo_mlp, ganzoo_mnist, ganzoo_quadratic; sys.exit(bool({'torch', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


RECIPES = "ganzoo.recipes"


@pytest.mark.parametrize("name", ["../evil", "-rf", "my gan", "name@v1", "x" * 65, "Upper", "[bold]b[/bold]"])
def test_a_bad_name_is_hidden_and_reported(install_plugin: InstallPlugin, ganzoo: Ganzoo, name: str) -> None:
    install_plugin("bad-names", {ARCHITECTURES: {name: "bad_names:X", "good": "bad_names:X"}}, {"bad_names.py": "1/0"})
    assert name not in registry.architectures.names()
    assert "good" in registry.architectures.names()
    result = ganzoo("list")
    assert result.returncode == 0
    assert "bad-names 1.0 registers architecture" in result.stderr
    assert "which is not a valid name" in result.stderr
    assert name not in result.stdout
    (plugin,) = [one for one in plugins_list(ganzoo) if one["name"] == "bad-names"]
    assert plugin["status"] == "broken"
    with pytest.raises(UnknownNameError):
        registry.architectures.get(name)


def plugins_list(ganzoo: Ganzoo, *arguments: str) -> list[dict[str, Any]]:
    result = ganzoo("plugins", "list", "--json", *arguments)
    assert result.returncode == 0
    return list(json.loads(result.stdout)["plugins"])


def test_a_first_party_name_cannot_be_taken_away(install_plugin: InstallPlugin, ganzoo: Ganzoo) -> None:
    install_plugin("a-usurper", {RECIPES: {"mnist-mlp": "a_usurper:X"}}, {"a_usurper.py": "1/0"})
    assert registry.recipes.get("mnist-mlp").architecture == "mlp"
    result = ganzoo("list", "mnist-mlp")
    assert result.returncode == 0
    assert "a-usurper 1.0 registers recipe 'mnist-mlp', a name that is reserved for ganzoo" in result.stderr
    assert "a-usurper" not in result.stdout
    (plugin,) = [one for one in plugins_list(ganzoo) if one["name"] == "a-usurper"]
    assert plugin["status"] == "broken"


NEWER = """
from ganzoo.specs import Recipe
X = Recipe(name="x", lazy_every=16{extra})
"""


def test_a_newer_api_is_named_before_an_unknown_field(install_plugin: InstallPlugin) -> None:
    install_plugin("newer", {RECIPES: {"x": "newer:X"}}, {"newer.py": NEWER.format(extra=", api_version=2")})
    with pytest.raises(PluginError, match=r"newer 1\.0 wrote recipe 'x' for plugin API 2, but") as caught:
        registry.recipes.get("x")
    assert caught.value.hint == "Update ganzoo: pip install --upgrade ganzoo"


@pytest.mark.parametrize(
    "source", [NEWER.format(extra=""), "from ganzoo.specs import NoSuchSpec"], ids=["field", "name"]
)
def test_an_unknown_field_or_spec_suggests_an_update_of_ganzoo(install_plugin: InstallPlugin, source: str) -> None:
    install_plugin("newer", {RECIPES: {"x": "newer:X"}}, {"newer.py": source})
    with pytest.raises(PluginError, match=r"newer 1\.0 failed to load recipe 'x'") as caught:
        registry.recipes.get("x")
    assert "Update ganzoo" in caught.value.hint


def test_an_api_version_that_is_not_a_number_is_the_plugins_fault(install_plugin: InstallPlugin) -> None:
    install_stripes(install_plugin, extra=", api_version='2'")
    with pytest.raises(PluginError, match=r"ganzoo-stripes 1\.0 failed .* api_version is '2', not an integer"):
        registry.architectures.get("stripes")


def test_a_config_that_is_not_a_dataclass_is_refused(install_plugin: InstallPlugin) -> None:
    source = STRIPES.format(extra="").replace("@dataclass(frozen=True, kw_only=True)", "")
    install_plugin("plain", {ARCHITECTURES: {"stripes": "plain:STRIPES"}}, {"plain.py": source})
    with pytest.raises(PluginError, match="not a frozen dataclass"):
        registry.architectures.get("stripes")


def test_what_a_plugin_prints_at_import_goes_to_stderr(install_plugin: InstallPlugin, ganzoo: Ganzoo) -> None:
    source = "print('hello from a plugin')" + STRIPES.format(extra="")
    install_plugin("loud", {ARCHITECTURES: {"stripes": "loud:STRIPES"}}, {"loud.py": source})
    result = ganzoo("show", "stripes", "--json")
    assert json.loads(result.stdout)["architecture"]["name"] == "stripes"
    assert "hello from a plugin" in result.stderr


def test_an_interrupt_during_an_import_names_the_plugin(install_plugin: InstallPlugin, ganzoo: Ganzoo) -> None:
    install_plugin("stuck", {ARCHITECTURES: {"x": "stuck:X"}}, {"stuck.py": "raise KeyboardInterrupt"})
    result = ganzoo("show", "x")
    assert result.returncode == 130
    assert "Interrupted while stuck 1.0 was imported for architecture 'x'" in result.stderr


def test_a_distribution_without_a_name_is_reported(install_plugin: InstallPlugin) -> None:
    site = install_plugin("nameless", {ARCHITECTURES: {"x": "nameless:X"}}, {"nameless.py": "1/0"})
    (site / "nameless-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\n")
    with pytest.raises(PluginError, match="a distribution without a name 0 failed to load"):
        registry.architectures.get("x")


def test_plugins_list_shows_what_is_broken_only_when_asked_to_check(
    install_plugin: InstallPlugin, ganzoo: Ganzoo
) -> None:
    install_stripes(install_plugin)
    install_plugin("bad-plugin", {ARCHITECTURES: {"bad": "bad_plugin:X"}}, {"bad_plugin.py": "1 / 0"})
    install_plugin("early", {"ganzoo.weights": {"early": "early"}}, {"early/__init__.py": ""})
    names = ("bad-plugin", "early", "ganzoo", "ganzoo-stripes")
    statuses = {one["name"]: one["status"] for one in plugins_list(ganzoo)}
    assert [statuses[name] for name in names] == ["not checked"] * 4
    assert "bad_plugin" not in sys.modules
    checked = {one["name"]: one for one in plugins_list(ganzoo, "--check")}
    assert [checked[name]["status"] for name in names] == ["broken", "broken", "ok", "ok"]
    (bad,) = checked["bad-plugin"]["registers"]
    assert bad["problem"] == "bad-plugin 1.0 failed to load architecture 'bad': ZeroDivisionError: division by zero"
    shown = ganzoo("plugins", "list", "--check")
    assert "bad-plugin  1.0  broken  architecture bad\n" in shown.stdout
    assert bad["problem"] in shown.stderr


PROTOCOL = """
from ganzoo.specs import EvaluationProtocol
X = EvaluationProtocol(name="curve-check-v1", metrics=("curve-w1",), num_samples=64, seeds=(0,){extra})
"""


def test_a_protocol_can_be_added_to_the_dataset_of_another_plugin(
    install_plugin: InstallPlugin, ganzoo: Ganzoo
) -> None:
    source = PROTOCOL.format(extra=", dataset='quadratic'")
    install_plugin("judges", {"ganzoo.protocols": {"curve-check-v1": "judges:X"}}, {"judges.py": source})
    listing = json.loads(ganzoo("protocols", "curve-*", "--json").stdout)["protocols"]
    assert [(one["dataset"], one["name"]) for one in listing] == [("quadratic", "curve-check-v1")]
    assert "curve-check-v1" in ganzoo("list", "--all").stdout
    result = ganzoo("eval", "quadratic-mlp", "--protocol", "curve-check-v1", "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["protocol"]["name"] == "curve-check-v1"
    other = ganzoo("eval", "mnist-mlp", "--protocol", "curve-check-v1")
    assert "is for models of 'quadratic', not of 'mnist'" in other.stderr
    unknown = ganzoo("eval", "quadratic-mlp", "--protocol", "curve-chek-v1")
    assert "Did you mean 'curve-check-v1'" in unknown.stderr


def test_a_registered_protocol_names_its_dataset(install_plugin: InstallPlugin) -> None:
    source = PROTOCOL.format(extra="")
    install_plugin("judges", {"ganzoo.protocols": {"curve-check-v1": "judges:X"}}, {"judges.py": source})
    with pytest.raises(PluginError, match=r"judges 1\.0 registers protocol .* does not name the dataset"):
        registry.protocols.get("curve-check-v1")


def test_a_datasets_own_protocol_comes_before_a_registered_one(install_plugin: InstallPlugin) -> None:
    from ganzoo.evaluation.measurement import find_protocol

    quadratic = registry.datasets.get("quadratic")
    own = quadratic.protocols[0]
    source = PROTOCOL.format(extra=", dataset='quadratic'").replace("curve-check-v1", own.name)
    install_plugin("judges", {"ganzoo.protocols": {own.name: "judges:X"}}, {"judges.py": source})
    assert find_protocol(quadratic, own.name) is own


NUM_MANY = 200


@pytest.fixture
def many(tmp_path: Path) -> dict[str, str]:
    """An environment in which 200 distributions are installed, ten of which raise when they are imported."""
    site = tmp_path / "many"
    for index in range(NUM_MANY):
        name = f"many_{index:03d}"
        info = site / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(
            f"[{ARCHITECTURES}]\n{name} = {name}:STRIPES\n[ganzoo.recipes]\n{name}-gan = {name}:RECIPE\n"
        )
        source = "1 / 0" if index < 10 else STRIPES.format(extra="").replace('"stripes"', f'"{name}"')
        (site / f"{name}.py").write_text(source)
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
LIGHT = [["--version"], ["--help"], ["show", "mnist-mlp"], ["plugins", "list"]]


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
