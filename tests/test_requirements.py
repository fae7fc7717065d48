"""Whose code made a model: recorded wherever it is needed, and named where it is missing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import ganzoo as package
from ganzoo.errors import MissingPluginError, UsageError, WeightsFormatError
from ganzoo.publishing.push import prepare
from ganzoo.requirements import Requirement, naming_plugins
from ganzoo.training.run import Run
from ganzoo.weights.manifest import Zoo, read_manifest
from ganzoo.weights.model_config import parse_model_config
from ganzoo.weights.references import ZooReference
from tests.conftest import Ganzoo, InstallPlugin, assert_two_lines
from tests.strange import install_strange

SETTINGS = {"seed": 0, "device": "cpu"}
TRAINED_WITH = {
    "distribution": "ganzoo-strange",
    "version": "0.3.1",
    "provides": ["architecture strange-net", "dataset strange-points", "recipe strange-gan"],
}


@pytest.fixture
def run(install_plugin: InstallPlugin, tmp_path: Path) -> Path:
    install_strange(install_plugin)
    return package.train("strange-gan", out=tmp_path / "run", settings=SETTINGS).path


def requires_of(path: Path) -> Any:
    return json.loads(path.read_text())["requires"]


def test_a_run_and_its_weights_record_the_plugins(run: Path) -> None:
    for name in ("run.json", "training.json", "config.json"):
        assert requires_of(run / name) == [TRAINED_WITH]


def test_first_party_weights_are_written_as_before(tmp_path: Path) -> None:
    gan = package.load("quadratic-mlp")
    config = (gan.save(tmp_path / "gan") / "config.json").read_text()
    assert "requires" not in config


def test_a_bundle_and_its_card_record_the_plugins(run: Path, ganzoo: Ganzoo) -> None:
    folder = run.parent / "site" / "ganzoo_strange"
    done = ganzoo("zoo", "bundle", run, folder, "--version", "v1", "--license", "MIT")
    assert done.returncode == 0, done.stderr
    measured_with = sorted([*TRAINED_WITH["provides"], "metric strange-mean"])
    (written,) = read_manifest(folder / "weights_manifest.json")
    assert written.requires == (
        Requirement(distribution="ganzoo-strange", version="0.3.1", provides=tuple(measured_with)),
    )
    assert Zoo().find(ZooReference("strange-gan")).requires == written.requires
    card = prepare("strange-gan", "you/strange").files["README.md"].decode()
    assert '$ pip install "ganzoo-strange>=0.3.1"' in card
    assert "architecture strange-net" in card


def uninstall(run: Path) -> None:
    shutil.rmtree(run.parent / "site")


def test_weights_without_their_plugin_say_how_to_install_it(run: Path, ganzoo: Ganzoo) -> None:
    uninstall(run)
    result = ganzoo("sample", run, "--out", "x.npy")
    needed = "needs the plugin ganzoo-strange (0.3.1 when trained)"
    assert_two_lines(result, 1, needed, 'pip install "ganzoo-strange>=0.3.1"')


def test_a_run_without_its_plugin_says_how_to_install_it(run: Path, ganzoo: Ganzoo) -> None:
    uninstall(run)
    result = ganzoo("resume", run, "--steps", "4")
    assert result.returncode == 1
    assert "needs the plugin ganzoo-strange (0.3.1 when trained)" in result.stderr
    assert 'pip install "ganzoo-strange>=0.3.1"' in result.stderr


def test_a_dataset_without_its_plugin_says_how_to_install_it(run: Path, ganzoo: Ganzoo) -> None:
    site = run.parent / "site"
    points = next(site.glob("*.dist-info")) / "entry_points.txt"
    (site / "touched").touch()  # what is installed is read again when a folder on sys.path changes
    points.write_text("[ganzoo.architectures]\nstrange-net = ganzoo_strange:NET\n")
    result = ganzoo("eval", run)
    assert result.returncode == 1
    assert "ganzoo-strange (0.3.1 when trained), which has the dataset 'strange-points'" in result.stderr
    assert "ganzoo-strange 0.3.1 is installed, but does not have it; install 0.3.1." in result.stderr


def test_a_plugin_that_is_turned_off_is_not_to_be_installed(run: Path, ganzoo: Ganzoo) -> None:
    result = ganzoo("sample", run, "--out", "x.npy", GANZOO_PLUGINS="off")
    assert "needs the plugin ganzoo-strange" in result.stderr
    assert "GANZOO_PLUGINS leaves it out: unset it, or add ganzoo-strange." in result.stderr


@pytest.mark.parametrize(
    ("version", "command"),
    [
        ("0.3.1", 'pip install "strange>=0.3.1"'),
        ("2.0rc1+cu118", 'pip install "strange>=2.0rc1"'),
        ("0.4.dev3", 'pip install "strange>=0.4"'),
        ("unknown", 'pip install "strange"'),
    ],
)
def test_a_command_installs_this_version_or_a_newer_one(version: str, command: str) -> None:
    assert Requirement(distribution="strange", version=version, provides=()).install_command == command


HOSTILE = [
    {"distribution": '"; rm -rf ~ #'},
    {"distribution": "$(id)"},
    {"distribution": "-r/etc/passwd"},
    {"distribution": "x" * 200},
    {"distribution": "strange @ https://example.org/evil.whl"},
    {"version": '1"; id #'},
    {"version": "`id`"},
    {"provides": ["architecture ../evil"]},
    {"provides": ["\x1b]0;PWNED"]},
]


@pytest.mark.parametrize("changes", HOSTILE, ids=str)
def test_what_strangers_require_never_reaches_a_command_unchecked(changes: dict[str, Any]) -> None:
    document = json.loads(package.load("quadratic-mlp").config.to_bytes())
    document["requires"] = [{**TRAINED_WITH, **changes}]
    with pytest.raises(WeightsFormatError, match=r"requires\.0: .* is not "):
        parse_model_config(json.dumps(document).encode(), "config.json")
    with pytest.raises(ValueError, match="is not "):
        Requirement(**{**TRAINED_WITH, **changes})


def test_a_run_whose_requirements_are_damaged_is_refused(run: Path) -> None:
    document = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**document, "requires": [{"distribution": "$(id)"}]}))
    with pytest.raises(package.GanzooError, match=r"cannot read .*run\.json"):
        Run.open(run)


def test_an_unknown_name_that_no_plugin_had_stays_unknown() -> None:
    from ganzoo.registry import architectures

    other = Requirement(distribution="strange", version="1", provides=("architecture other",))
    with pytest.raises(UsageError, match="no architecture named 'style'") as caught, naming_plugins([other], "x"):
        architectures.get("style")
    assert not isinstance(caught.value, MissingPluginError)
