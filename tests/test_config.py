from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from ganzoo.config import (
    Layer,
    TrainingSettings,
    assignments_layer,
    differences,
    environment_layer,
    file_layer,
    resolve,
    settings_from_json,
    user_layer,
)
from ganzoo.errors import SettingsError
from ganzoo.registry import recipes


def resolved(*layers: Layer) -> Any:
    return resolve(recipes.get("mnist-mlp"), layers, seed=7)


def test_without_layers_the_recipe_holds() -> None:
    settings = resolved()
    assert settings.recipe == recipes.get("mnist-mlp")
    assert settings.seed == 7


def test_the_last_layer_wins() -> None:
    settings = resolved(Layer("file", {"steps": 5, "batch_size": 8}), Layer("flags", {"steps": 6}))
    assert (settings.recipe.steps, settings.recipe.batch_size) == (6, 8)


def test_every_level_can_be_set() -> None:
    settings = resolved(
        assignments_layer(
            [
                "optimizers.generator.learning_rate=0.001",
                "config.generator_hidden=[4, 5]",
                "config.negative_slope=0.1",
                "regularizers.r1=10",
                "checkpoint_every=3",
                "ema_decay=null",
                "loss=hinge",
            ]
        )
    )
    assert settings.recipe.optimizers.generator.learning_rate == 0.001
    assert list(settings.recipe.config["generator_hidden"]) == [4, 5]
    assert settings.recipe.regularizers == {"r1": 10}
    assert settings.checkpoint_every == 3
    assert settings.recipe.ema_decay is None
    assert settings.recipe.loss == "hinge"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("stepps", 5, "no setting 'stepps'. Did you mean 'steps'"),
        ("optimizers.generator.lr", 1e-3, "no setting"),
        ("optimizers.discriminator.lr", 1e-3, "Did you mean 'optimizers.discriminator.learning_rate'"),
        ("lr", 1e-3, "Did you mean 'optimizers.generator.learning_rate'"),
        ("latent_dim", 64, "Did you mean 'latent.dim'"),
        ("epochs", 10, "Did you mean 'steps'"),
        ("optimizers.generatr.learning_rate", 1e-3, "Did you mean 'optimizers.generator.learning_rate'"),
        ("steps", 0, "steps = 0"),
        ("steps", "many", 'steps = "many"'),
        ("steps", 1.5, "steps = 1.5"),
        ("batch_size", True, "batch_size = true"),
        ("optimizers", 3, "is a table"),
        ("precision", "fp8", "precision"),
        ("seed", -1, "seed"),
        ("name", "other", "cannot be set"),
        ("recipe", {}, "no setting"),
        ("discriminator_steps", 2, "share_fakes needs"),
        ("ema_decay", 2.0, "ema_decay"),
    ],
)
def test_a_wrong_setting_is_named_with_its_layer(key: str, value: object, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        resolved(Layer("--set", {key: value}))
    assert message in str(caught.value)
    assert caught.value.hint


def test_resolved_settings_survive_json() -> None:
    def plain(settings: TrainingSettings) -> object:
        return json.loads(json.dumps(settings.to_json()))

    settings = resolved(Layer("--set", {"steps": 9, "regularizers.r1": 0.5}))
    assert plain(settings_from_json(plain(settings), "run.json")) == plain(settings)


def test_a_file_of_settings_is_flattened(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text("steps = 10\n[optimizers.generator]\nlearning_rate = 0.5\n")
    settings = resolved(file_layer(path))
    assert settings.recipe.steps == 10
    assert settings.recipe.optimizers.generator.learning_rate == 0.5


@pytest.mark.parametrize("content", [b"steps == 3", b"\xff\xfe", b"a = " + b"[" * 100_000])
def test_a_file_that_is_no_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "run.toml"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match="is not valid TOML"):
        file_layer(path)


@pytest.mark.skipif(sys.platform == "win32", reason="no /dev")
def test_a_file_without_an_end_is_refused() -> None:
    with pytest.raises(SettingsError, match="has more than 1,048,576 bytes"):
        file_layer(Path("/dev/zero"))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot read"):
        file_layer(tmp_path / "none.toml")


def test_the_environment_sets_what_the_program_itself_does_not_use() -> None:
    layer = environment_layer(
        {"GANZOO_STEPS": "12", "GANZOO_HOME": "/x", "GANZOO_OPTIMIZERS__GENERATOR__LEARNING_RATE": "0.1", "PATH": "y"}
    )
    assert layer.values == {"steps": 12, "optimizers.generator.learning_rate": 0.1}


def test_variables_of_others_are_ignored_and_misspelled_settings_are_not() -> None:
    others = {
        "GANZOO_VERBOSE": "1",
        "GANZOO_INCEPTION_WEIGHTS": "file.pth",
        "GANZOO_MY__PLUGIN": "x",
        "GANZOO_DEEP": "[" * 100_000,
    }
    assert resolved(environment_layer(others)).to_json() == resolved().to_json()
    for name in ("GANZOO_BATCH_SIZ", "GANZOO_STEPZ"):
        with pytest.raises(SettingsError, match="Did you mean"):
            resolved(environment_layer({name: "12"}))


def test_the_users_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "config" / "ganzoo" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text("log_every = 17\n")
    assert resolved(user_layer()).log_every == 17


@pytest.mark.parametrize("text", ["steps", "=3", ""])
def test_an_assignment_needs_a_key_and_a_value(text: str) -> None:
    with pytest.raises(SettingsError, match="not of the form key=value"):
        assignments_layer([text])


def test_differences_name_the_dotted_keys() -> None:
    before, after = {"a": {"b": [1, 2], "c": 3}}, {"a": {"b": [1, 2], "c": 4}, "d": 5}
    assert differences(before, after) == {"a.c": (3, 4), "d": (None, 5)}


def test_layers_keep_their_tables() -> None:
    first = Layer("first", {"regularizers": {}})
    assert resolved(first, Layer("second", {"regularizers.r1": 1.0})).recipe.regularizers == {"r1": 1.0}
    assert first.values == {"regularizers": {}}
