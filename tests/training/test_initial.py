"""Trainings that begin with other weights, and parameters that are not trained."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import ganzoo
from ganzoo.config import Layer
from ganzoo.errors import GanzooError, ResumeError, SettingsError
from ganzoo.training import Training
from ganzoo.training.initial import described
from ganzoo.weights.tensors import deserialize
from tests.training.test_training import outcome

TINY: dict[str, Any] = {
    "seed": 1,
    "steps": 12,
    "batch_size": 8,
    "ema_decay": 0.9,
    "log_every": 3,
    "sample_every": 6,
    "checkpoint_every": 4,
}


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with both nets."""
    folder = tmp_path_factory.mktemp("old") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANZOO_HOME", str(folder.parent / "home"))
        return ganzoo.train("quadratic-mlp", out=folder, settings=TINY).path


def start(out: Path, initial: Path | str, **values: Any) -> Training:
    settings = {**TINY, "seed": 2, "initial_weights": str(initial), **values}
    return Training.start("quadratic-mlp", out, [Layer("test", settings)])


def tensors(run: Path, name: str = "model") -> dict[str, Tensor]:
    path = run / f"{name}.safetensors"
    return deserialize(path.read_bytes(), path)[0]


def test_both_nets_and_the_average_begin_with_the_weights(old: Path, tmp_path: Path) -> None:
    training = start(tmp_path / "run", old)
    nets = training.state.networks
    assert nets.generator_ema is not None
    for net, name in ((nets.generator, "model"), (nets.generator_ema, "model"), (nets.discriminator, "discriminator")):
        torch.testing.assert_close(dict(net.state_dict()), tensors(old, name), rtol=0, atol=0)
    list(training)
    record = json.loads((tmp_path / "run" / "training.json").read_text())
    assert record["initial"]["reference"] == record["settings"]["initial_weights"] == str(old.resolve())
    assert record["initial"]["discriminator"] == {"num": 4, "of": 4, "new": []}
    assert "with the whole generator and the whole discriminator" in described(record["initial"])


def test_a_new_discriminator_has_the_weights_of_the_seed(old: Path, tmp_path: Path) -> None:
    new = start(tmp_path / "new", old, initial_discriminator="new").state.networks.discriminator.state_dict()
    settings = {**TINY, "seed": 2}
    plain = Training.start("quadratic-mlp", tmp_path / "plain", [Layer("test", settings)]).state.networks
    torch.testing.assert_close(dict(new), dict(plain.discriminator.state_dict()), rtol=0, atol=0)


def test_what_fits_is_taken_and_the_rest_is_named(old: Path, tmp_path: Path) -> None:
    training = start(tmp_path / "run", old, **{"latent.dim": 7})
    assert training.run.initial is not None
    assert training.run.initial["generator"] == {"num": 3, "of": 4, "new": ["layers.0.weight"]}
    assert "3 of 4 tensors of the generator (new: layers.0.weight)" in described(training.run.initial)
    own = training.state.networks.generator.state_dict()
    assert torch.equal(own["layers.2.weight"], tensors(old)["layers.2.weight"])
    assert own["layers.0.weight"].shape[1] == 7


@pytest.mark.parametrize(
    ("initial", "values", "message"),
    [
        ("old", {"config.generator_hidden": [5]}, "no weight of .* fits the generator: layers.0.weight has the shape"),
        ("old", {"config.discriminator_hidden": [5], "initial_discriminator": "keep"}, "fits the discriminator"),
        ("mnist-dcgan", {}, "has the architecture 'dcgan', and quadratic-mlp has 'mlp'"),
        ("quadratic-mlp", {"initial_discriminator": "keep"}, "has no discriminator to keep"),
        ("nothing", {}, "no weights named 'nothing'"),
        ("./nothing", {}, "does not exist"),
        ("old", {"freeze": ["generatr.*"]}, "no parameter matches 'generatr"),
        ("old", {"freeze": ["generator.*"]}, "leaves nothing of the generator to train"),
        ("old", {"rollbacks": -1}, "rollbacks = -1 is not valid"),
    ],
)
def test_what_cannot_begin_leaves_no_folder(
    old: Path, tmp_path: Path, initial: str, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(GanzooError, match=message):
        start(tmp_path / "run", old if initial == "old" else initial, **values)
    assert not (tmp_path / "run").exists()


def test_a_discriminator_without_weights_to_keep_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="needs initial_weights"):
        Training.start("quadratic-mlp", tmp_path / "run", [Layer("test", {"initial_discriminator": "new"})])


def test_a_stopped_run_resumed_equals_the_uninterrupted_one_without_the_old_weights(old: Path, tmp_path: Path) -> None:
    source = shutil.copytree(old, tmp_path / "source")
    frozen = {"freeze": ["discriminator.layers.0.*"]}
    whole = start(tmp_path / "whole", source, **frozen)
    list(whole)
    stopped = start(tmp_path / "stopped", source, **frozen)
    stopped.should_stop = lambda: stopped.state.step == 7
    list(stopped)
    shutil.rmtree(source)
    ganzoo.resume(stopped.run.path)
    assert outcome(stopped.run.path) == outcome(whole.run.path)


def test_a_run_killed_before_its_first_checkpoint_begins_with_the_same_weights_again(old: Path, tmp_path: Path) -> None:
    source = shutil.copytree(old, tmp_path / "source")
    whole = start(tmp_path / "whole", source)
    list(whole)
    killed = start(tmp_path / "killed", source)
    next(iter(killed))
    killed.run.unlock()
    ganzoo.resume(killed.run.path)
    assert outcome(killed.run.path) == outcome(whole.run.path)


def test_weights_that_changed_since_are_refused(old: Path, tmp_path: Path) -> None:
    source = shutil.copytree(old, tmp_path / "source")
    killed = start(tmp_path / "killed", source)
    killed.run.unlock()
    shutil.rmtree(source)
    ganzoo.train("quadratic-mlp", out=source, settings={**TINY, "seed": 5})
    with pytest.raises(ResumeError, match="began with other weights"):
        Training.resume(killed.run.path)


def test_frozen_parameters_stay_and_the_others_change(old: Path, tmp_path: Path) -> None:
    run = start(tmp_path / "run", old, freeze=["discriminator.layers.0.*", "generator.*.bias"])
    list(run)
    for name, frozen in (("discriminator", "layers.0"), ("model", "bias")):
        before, after = tensors(old, name), tensors(run.run.path, name)
        kept = {key for key in before if torch.equal(before[key], after[key])}
        assert kept == {key for key in before if frozen in key}
    with pytest.raises(ResumeError, match="freeze"):
        Training.resume(run.run.path, [Layer("test", {"freeze": []})])
