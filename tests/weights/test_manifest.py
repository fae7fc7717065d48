from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ganzoo.errors import ManifestError, UnknownNameError
from ganzoo.registry import datasets, recipes
from ganzoo.weights.layout import PREVIEW_NAME
from ganzoo.weights.manifest import WeightsEntry, Zoo, manifest_path, read_manifest
from ganzoo.weights.references import ZooReference
from tests.conftest import Ganzoo, InstallPlugin

ROOT = Path(__file__).parents[2]
MANIFEST = ROOT / "weights_manifest.json"
SCHEMA = json.loads((ROOT / "ganzoo" / "weights" / "weights_manifest.schema.json").read_text())
DOCUMENT = json.loads(MANIFEST.read_text())
ENTRIES = {f"{entry['name']}@{entry['version']}": entry for entry in DOCUMENT["entries"]}


def test_the_manifest_follows_its_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(DOCUMENT, SCHEMA)


def test_the_schema_and_the_reader_know_the_same_fields() -> None:
    fields = set(WeightsEntry.__dataclass_fields__) - {"owner"}
    assert fields == set(SCHEMA["$defs"]["entry"]["properties"])


@pytest.mark.parametrize("name", sorted(ENTRIES))
def test_every_entry_is_what_its_recipe_makes_and_its_training_record_says(name: str) -> None:
    entry = Zoo().find(ZooReference(*name.split("@")))
    folder = entry.bundled_folder()
    assert folder is not None
    assert {path.name for path in folder.iterdir()} == {file.path for file in entry.files} | {PREVIEW_NAME}
    training = json.loads((folder / "training.json").read_text())
    recipe = recipes.get(entry.recipe)
    plain = json.loads(json.dumps({"config": dict(recipe.config), "steps": recipe.steps, "loss": recipe.loss}))
    trained = training["settings"]["recipe"]
    assert {key: trained[key] for key in plain} == plain
    assert entry.config == plain["config"]
    left_out = ("settings", "requires")  # the recipe names the first; the entry has the second itself
    assert dict(entry.training) == {key: value for key, value in training.items() if key not in left_out}
    protocols = {protocol.name: protocol for protocol in datasets.get(entry.dataset).protocols}
    for metric in entry.metrics:
        assert metric["name"] in protocols[metric["protocol"]].metrics


def test_every_name_has_one_default_version() -> None:
    for name in {entry["name"] for entry in ENTRIES.values()}:
        assert [entry["default"] for entry in ENTRIES.values() if entry["name"] == name].count(True) == 1


def test_the_manifest_is_found_in_a_checkout() -> None:
    assert manifest_path("ganzoo") is not None


Edit = Callable[[dict[str, Any]], None]


def edited(tmp_path: Path, edit: Edit) -> Path:
    document = json.loads(MANIFEST.read_text())
    edit(document)
    path = tmp_path / "weights_manifest.json"
    path.write_text(json.dumps(document))
    return path


def set_file(key: str, value: object) -> Edit:
    return lambda document: document["entries"][0]["files"][0].__setitem__(key, value)


def set_entry(key: str, value: object) -> Edit:
    return lambda document: document["entries"][0].__setitem__(key, value)


@pytest.mark.parametrize(
    "edit",
    [
        set_file("path", "../../etc/passwd"),
        set_file("path", "/etc/passwd"),
        set_file("path", "a/../../b"),
        set_file("path", "..\\b"),
        set_file("path", ""),
        set_file("sha256", "abc"),
        set_file("sha256", "../" * 21 + "x"),
        set_file("size", -1),
        set_file("size", True),
        set_file("size", "10"),
        set_file("extra", 1),
        set_file("path", "pytorch_model.bin"),
        set_file("path", "model.safetensors"),
        set_entry("repo_id", "x/../../../../tmp/x"),
        set_entry("repo_id", "a/b\0"),
        set_entry("repo_id", "hf:a/b"),
        set_entry("repo_id", 5),
        set_entry("revision", "main"),
        set_entry("revision", "0" * 39 + "G"),
        set_entry("min_ganzoo", "1.0; rm"),
        set_entry("sample", {}),
        set_entry("sample", 3),
        set_entry("config", []),
        set_entry("default", "yes"),
        set_entry("recipe", None),
        set_entry("metrics", [3]),
        lambda document: document["entries"][0].__setitem__("name", "../x"),
        lambda document: document["entries"][0].__setitem__("extra", 1),
        lambda document: document["entries"][0].pop("files"),
        lambda document: document["entries"][0]["files"].pop(1),
        lambda document: document["entries"][0].__setitem__("parameters", {}),
        lambda document: document["entries"][0].__setitem__("bundled", 5),
        lambda document: document["entries"][0].__setitem__("bundled", "package:../outside"),
        lambda document: document["entries"][0].__setitem__("min_ganzoo", "abc"),
        lambda document: document["entries"][0]["metrics"][0].__setitem__("value", "good"),
        lambda document: document["entries"][0]["metrics"][0].__setitem__("value", float("nan")),
        lambda document: document.pop("entries"),
        lambda document: document.__setitem__("schema", 2),
        lambda document: document.__setitem__("entries", 3),
    ],
)
def test_a_manifest_that_breaks_a_rule_is_refused(tmp_path: Path, edit: Edit) -> None:
    path = edited(tmp_path, edit)
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    assert str(path) in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("content", ["", "[]", "null", "{", "[" * 100_000])
def test_a_file_that_is_no_manifest_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "weights_manifest.json"
    path.write_text(content)
    with pytest.raises(ManifestError):
        read_manifest(path)


def install_manifest(install: InstallPlugin, name: str, content: str) -> None:
    package = name.replace("-", "_")
    install(
        name,
        {"ganzoo.weights": {name: package}},
        {f"{package}/__init__.py": "raise SystemExit('imported')", f"{package}/weights_manifest.json": content},
    )


def renamed(name: str) -> str:
    document = json.loads(MANIFEST.read_text())
    document["entries"] = document["entries"][:1]
    document["entries"][0]["name"] = name
    return json.dumps(document)


def test_a_plugins_manifest_is_read_without_importing_it(install_plugin: InstallPlugin) -> None:
    install_manifest(install_plugin, "their-weights", renamed("theirs"))
    assert Zoo().find(ZooReference("theirs")).owner == "their-weights 1.0"


@pytest.mark.parametrize("value", ["not_installed.sub", "not_installed", "os.path", "ganzoo_mlp"])
def test_a_weights_entry_point_that_leads_nowhere_breaks_nothing(
    install_plugin: InstallPlugin, ganzoo: Ganzoo, value: str
) -> None:
    install_plugin("astray", {"ganzoo.weights": {"astray": value}}, {})
    result = ganzoo("list")
    assert result.returncode == 0
    assert "quadratic-mlp@v1" in result.stdout
    assert "astray 1.0" in result.stderr
    missed = ganzoo("show", "theirs")
    assert "astray 1.0" in missed.stderr


def test_a_broken_manifest_hides_nothing_else(install_plugin: InstallPlugin, ganzoo: Ganzoo) -> None:
    install_manifest(install_plugin, "broken-weights", "{")
    result = ganzoo("list")
    assert result.returncode == 0
    assert "quadratic-mlp@v1" in result.stdout
    assert "Error: broken-weights 1.0: " in result.stderr  # whose it is, before where it is


def test_a_broken_entry_is_reported_and_hides_only_itself(install_plugin: InstallPlugin, ganzoo: Ganzoo) -> None:
    document = json.loads(renamed("theirs"))
    broken = {**document["entries"][0], "name": "broken", "revision": "../" * 100_000}
    document["entries"] = [broken, *document["entries"], 5]
    install_manifest(install_plugin, "half-broken", json.dumps(document))
    result = ganzoo("list")
    assert result.returncode == 0
    assert "theirs@v1" in result.stdout
    assert "quadratic-mlp@v1" in result.stdout
    assert "entry 1 ('broken')" in result.stderr
    assert "1 more" in result.stderr
    assert len(result.stderr) < 1000


def test_weights_that_two_packages_claim_are_refused_with_both_named(install_plugin: InstallPlugin) -> None:
    install_manifest(install_plugin, "first-weights", renamed("theirs"))
    install_manifest(install_plugin, "second-weights", renamed("theirs"))
    with pytest.raises(ManifestError, match=r"theirs are registered by first-weights 1\.0 and second-weights 1\.0"):
        Zoo().find(ZooReference("theirs"))


@pytest.mark.parametrize("version", ["v1", "v9"])
def test_nobody_can_take_a_first_party_name_away(install_plugin: InstallPlugin, ganzoo: Ganzoo, version: str) -> None:
    document = json.loads(renamed("quadratic-mlp"))
    document["entries"][0] |= {"version": version, "default": True}
    install_manifest(install_plugin, "a-usurper", json.dumps(document))
    found = Zoo().find(ZooReference("quadratic-mlp"))
    assert (found.version, found.owner.split()[0]) == ("v1", "ganzoo")
    listing = ganzoo("list")
    assert listing.stdout.count("quadratic-mlp@") == 1
    assert f"a-usurper 1.0 lists the weights quadratic-mlp@{version}, a name that is reserved" in listing.stderr


def test_weights_that_are_not_bundled_yet_say_how_to_bundle_them(install_plugin: InstallPlugin, ganzoo: Ganzoo) -> None:
    install_plugin("early", {"ganzoo.weights": {"early": "early"}}, {"early/__init__.py": ""})
    result = ganzoo("list")
    assert result.returncode == 0
    assert "ganzoo zoo bundle" in result.stderr


@pytest.mark.parametrize(
    ("reference", "guess"),
    [(ZooReference("quadratc-mlp"), "'quadratic-mlp'"), (ZooReference("quadratic-mlp", "v9"), "'quadratic-mlp@v1'")],
)
def test_unknown_weights_say_the_nearest(reference: ZooReference, guess: str) -> None:
    with pytest.raises(UnknownNameError, match=f"Did you mean {guess}"):
        Zoo().find(reference)
