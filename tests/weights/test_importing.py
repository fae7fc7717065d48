"""Other people's checkpoints."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import ganzoo
from ganzoo.errors import GanzooError, UsageError, WeightsFormatError
from ganzoo.registry import datasets, recipes
from ganzoo.sources import load, verify
from ganzoo.weights.building import build, generator_builder
from ganzoo.weights.importing import Imported, import_weights
from ganzoo.weights.model_config import ModelConfig, model_config
from tests.conftest import Ganzoo, assert_two_lines, set_options
from tests.test_model import make_gan

GAN = make_gan()
STATE = OrderedDict(GAN.generator.state_dict())
SAMPLES = GAN.sample(4, seed=0)


def as_gan(imported: Imported) -> ganzoo.GAN:
    return ganzoo.GAN(imported.generator, GAN.config)


def prefixed(prefix: str) -> OrderedDict[str, torch.Tensor]:
    return OrderedDict((prefix + name, tensor) for name, tensor in STATE.items())


@pytest.mark.parametrize(
    "content",
    [
        STATE,
        prefixed("module."),
        prefixed("_orig_mod."),
        {"netG": STATE, "netD": {"x": torch.zeros(1)}, "epoch": 3},
        {"state_dict": {"generator": prefixed("module.")}},
        {"gen": STATE, "disc": {"x": torch.zeros(1)}},
        {"generator_state_dict": STATE, "epoch": 3},
        {"g_model_state_dict": STATE},
        {"state_dict": {**prefixed("generator."), "discriminator.0.weight": torch.zeros(1)}},
        {"models": {"generator": STATE, "discriminator": {"x": torch.zeros(1)}}, "optimizers": [{"state": {0: {}}}]},
        [{"x": torch.zeros(1)}, STATE],
        OrderedDict((name.removeprefix("layers."), tensor) for name, tensor in STATE.items()),
        OrderedDict(reversed(prefixed("my.own.").items())),
        OrderedDict(
            (f"net.{index}.{name.split('.')[-1]}", tensor) for index, (name, tensor) in enumerate(STATE.items())
        ),
        OrderedDict((name, tensor.double()) for name, tensor in STATE.items()),
    ],
    ids=[
        "plain",
        "module",
        "compiled",
        "checkpoint",
        "nested",
        "gen",
        "long",
        "Keras",
        "Lightning",
        "models.generator",
        "list",
        "without a prefix of ours",
        "another order",
        "other names",
        "float64",
    ],
)
def test_the_usual_forms_are_understood(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "g.pth")
    imported = import_weights(tmp_path / "g.pth", GAN.config)
    assert torch.equal(as_gan(imported).sample(4, seed=0), SAMPLES)
    assert sorted(imported.mapping.values()) == sorted(STATE)


def test_safetensors_and_a_named_key_are_understood(tmp_path: Path) -> None:
    save_file(dict(STATE), tmp_path / "g.safetensors")
    assert torch.equal(as_gan(import_weights(tmp_path / "g.safetensors", GAN.config)).sample(4, seed=0), SAMPLES)
    torch.save({"nets": {"mine": STATE, "other": 1}}, tmp_path / "g.pth")
    with pytest.raises(UsageError, match="not hold a state dict") as caught:
        import_weights(tmp_path / "g.pth", GAN.config, "nets.other")
    assert "--key" in caught.value.hint
    assert import_weights(tmp_path / "g.pth", GAN.config, "nets.mine")
    with pytest.raises(UsageError, match=r"has no 'nets\.yours'"):
        import_weights(tmp_path / "g.pth", GAN.config, "nets.yours")


class Evil:
    """What a malicious pickle holds."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch owned",)


@pytest.mark.parametrize("content", [Evil(), {"state_dict": STATE, "hook": Evil()}], ids=["alone", "beside tensors"])
def test_no_code_in_a_file_is_run(tmp_path: Path, content: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(content, tmp_path / "evil.pth")
    with pytest.raises(WeightsFormatError, match="holds more than tensors"):
        import_weights(tmp_path / "evil.pth", GAN.config)
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04" + bytes(50), b"\x80\x04N."])
def test_files_of_something_else_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "g.pth").write_bytes(content)
    with pytest.raises((WeightsFormatError, UsageError)):
        import_weights(tmp_path / "g.pth", GAN.config)


def test_damaged_pickles_are_one_error(tmp_path: Path) -> None:
    torch.save(STATE, tmp_path / "g.pth", _use_new_zipfile_serialization=False)
    content = (tmp_path / "g.pth").read_bytes()
    chance = random.Random(0)
    for _ in range(300):
        damaged = bytearray(content)
        for _ in range(3):
            damaged[chance.randrange(len(content))] = chance.randrange(256)
        (tmp_path / "g.pth").write_bytes(damaged)
        with contextlib.suppress(GanzooError):  # anything else fails the test
            import_weights(tmp_path / "g.pth", GAN.config)


@pytest.mark.parametrize(
    "content",
    [{1: torch.zeros(3)}, {"a": torch.zeros(3), "module.a": torch.ones(3)}, {"a": torch.eye(3).to_sparse()}],
    ids=["integer names", "one name twice", "sparse"],
)
def test_odd_state_dicts_are_refused(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "g.pth")
    with pytest.raises(GanzooError):
        import_weights(tmp_path / "g.pth", GAN.config)


def test_several_nets_that_fit_are_named(tmp_path: Path) -> None:
    torch.save({"G": STATE, "G_ema": prefixed("module."), "D": {"x": torch.zeros(1)}}, tmp_path / "g.pth")
    with pytest.raises(UsageError, match="2 state dicts that fit") as caught:
        import_weights(tmp_path / "g.pth", GAN.config)
    assert caught.value.hint == "Choose one: --key G or --key G_ema --prefix module."
    assert import_weights(tmp_path / "g.pth", GAN.config, "G")
    assert import_weights(tmp_path / "g.pth", GAN.config, "G_ema", "module.")
    both = prefixed("a.") | prefixed("b.")
    torch.save(both, tmp_path / "g.pth")
    with pytest.raises(UsageError, match="2 state dicts that fit"):
        import_weights(tmp_path / "g.pth", GAN.config)
    assert set(import_weights(tmp_path / "g.pth", GAN.config, prefix="b.").mapping) == set(prefixed("b."))
    with pytest.raises(WeightsFormatError, match="none with that prefix"):
        import_weights(tmp_path / "g.pth", GAN.config, prefix="c.")


def test_other_nets_are_left_out_by_name(tmp_path: Path) -> None:
    torch.save({"state_dict": prefixed("generator.") | {"discriminator.w": torch.zeros(1)}}, tmp_path / "g.pth")
    assert import_weights(tmp_path / "g.pth", GAN.config).left_out == ("discriminator.w",)


def test_the_order_of_layers_decides_only_where_names_do_not(tmp_path: Path) -> None:
    config = replace(GAN.config, config={**GAN.config.config, "generator_hidden": [8, 8, 8]})
    state = build(generator_builder(config, "test"), seed=0).state_dict()
    torch.save(OrderedDict(reversed(state.items())), tmp_path / "g.pth")  # three layers of the same shape
    by_name = import_weights(tmp_path / "g.pth", config)
    assert not by_name.by_order
    assert all(torch.equal(tensor, state[name]) for name, tensor in by_name.generator.state_dict().items())
    renamed = ((f"block{index}.{name[-6:].strip('.')}", tensor) for index, (name, tensor) in enumerate(state.items()))
    torch.save(OrderedDict(renamed), tmp_path / "g.pth")
    by_order = import_weights(tmp_path / "g.pth", config)
    assert by_order.by_order
    assert all(torch.equal(tensor, state[name]) for name, tensor in by_order.generator.state_dict().items())


def test_batch_norm_of_old_files_has_no_counters(tmp_path: Path) -> None:
    config = replace(GAN.config, config={**GAN.config.config, "generator_hidden": [8, 8], "batch_norm": True})
    state = build(generator_builder(config, "test"), seed=0).state_dict()
    assert "layers.3.num_batches_tracked" in state
    torch.save({name: tensor for name, tensor in state.items() if "num_batches" not in name}, tmp_path / "g.pth")
    assert import_weights(tmp_path / "g.pth", config).generator.state_dict().keys() == state.keys()


def test_a_range_becomes_minus_one_to_one(ganzoo: Ganzoo, cwd: Path) -> None:
    net = {"generator_hidden": [8], "output": "sigmoid"}
    config = replace(recipe_config("mnist-mlp"), config=net)
    state = build(generator_builder(config, "test"), seed=0).state_dict()
    state = {name: torch.full_like(tensor, -20.0 if name == "layers.2.bias" else 0.0) for name, tensor in state.items()}
    torch.save(state, cwd / "g.pth")  # an empty picture: sigmoid(-20) is 0, black for who trained on [0, 1]
    settings = {"dataset": "mnist", "latent.dim": 100, **{f"config.{key}": value for key, value in net.items()}}
    options = ["--architecture", "mlp", *set_options(settings)]
    assert ganzoo("import", "g.pth", *options, "--range", "0,1", "--out", "theirs").returncode == 0
    assert torch.allclose(load(cwd / "theirs").sample(2, seed=0), torch.tensor(-1.0))
    assert ganzoo("sample", "./theirs", "--num", "4", "--seed", "0", "--out", "g.png").returncode == 0
    tile = np.asarray(Image.open(cwd / "g.png").convert("L"))
    assert (tile == 0).mean() > 0.9  # all but the borders
    # Without --range the same file has a grey ground.
    assert ganzoo("import", "g.pth", *options, "--out", "grey").returncode == 0
    assert torch.allclose(load(cwd / "grey").sample(2, seed=0), torch.tensor(0.0), atol=1e-6)
    # The description stays with the weights, wherever they are written again.
    load(cwd / "theirs").save(cwd / "again")
    assert verify(cwd / "again")
    assert torch.equal(load(cwd / "again").sample(2, seed=0), load(cwd / "theirs").sample(2, seed=0))
    for wrong in ("1,0", "0", "a,b", "0,inf", "0,0.5,1"):
        result = ganzoo("import", "g.pth", *options, "--range", wrong, "--out", "wrong")
        assert_two_lines(result, 2, "is not a range")


def test_curves_have_no_range(tmp_path: Path) -> None:
    config = replace(recipe_config("quadratic-mlp"), output_range=(0.0, 1.0))
    torch.save(STATE, tmp_path / "g.pth")
    with pytest.raises(GanzooError, match="cannot be mapped"):
        import_weights(tmp_path / "g.pth", config)


def recipe_config(name: str) -> ModelConfig:
    recipe = recipes.get(name)
    return model_config(recipe, datasets.get(recipe.dataset).sample)


def numpy_archive(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, weight=np.zeros(3))


def torch_script(path: Path) -> None:
    with warnings.catch_warnings(action="ignore"):  # deprecated, but people have such files
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), path)


def keras_archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", b"\x89HDF\r\n\x1a\n")


@pytest.mark.parametrize(
    ("name", "write", "words", "way"),
    [
        ("g.h5", lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(99)), "is HDF5", "generator.state_dict()"),
        ("g.keras", keras_archive, "is HDF5", "generator.state_dict()"),
        ("g.onnx", lambda path: path.write_bytes(b"\x08\x07\x12\x07pytorch"), "is an ONNX model", "onnx.load("),
        ("g.npz", numpy_archive, "is a NumPy file", "numpy.load("),
        ("g.pt", torch_script, "is a TorchScript program", "torch.jit.load("),
        ("g.pth", lambda path: path.write_bytes(b""), "is an empty file", "Download it again"),
        (
            "g.pth",
            lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\n"),
            "Git LFS",
            "git lfs pull",
        ),
        ("g.pth", lambda path: path.write_text("<!DOCTYPE html>"), "is a web page", "Download the file"),
    ],
    ids=["HDF5", "Keras 3", "ONNX", "NumPy", "TorchScript", "empty", "LFS", "page"],
)
def test_other_formats_are_named_with_the_way_out(
    tmp_path: Path, name: str, write: Callable[[Path], object], words: str, way: str
) -> None:
    write(tmp_path / name)
    with pytest.raises(WeightsFormatError, match=words) as caught:
        import_weights(tmp_path / name, GAN.config)
    assert way in caught.value.hint
    assert "\n" not in f"{caught.value}{caught.value.hint}"


def test_an_address_is_not_a_file(ganzoo: Ganzoo) -> None:
    result = ganzoo("import", "https://example.org/g.pth", "--recipe", "mnist-mlp", "--out", "x")
    assert_two_lines(result, 2, "https://example.org/g.pth is an address", "curl -L -O https://example.org/g.pth")


def changed(**tensors: torch.Tensor) -> OrderedDict[str, torch.Tensor]:
    return OrderedDict(STATE, **{name.replace("_", "."): tensor for name, tensor in tensors.items()})


BIAS = STATE["layers.0.bias"]


@pytest.mark.parametrize(
    ("bias", "words"),
    [
        (BIAS * float("nan"), "NaN, infinite or too large for float32"),
        (BIAS.double() + 1e300, "NaN, infinite or too large for float32"),
        (BIAS + 1j, "is complex64, not float32"),
        (BIAS.to("meta"), "has no values"),
        (BIAS.int(), "is int32, not float32"),
    ],
    ids=["NaN", "overflow", "complex", "meta", "integer"],
)
def test_what_load_would_refuse_is_not_imported(tmp_path: Path, bias: torch.Tensor, words: str) -> None:
    torch.save(changed(layers_0_bias=bias), tmp_path / "g.pth")
    with pytest.raises(WeightsFormatError, match=f"'layers.0.bias' .*{words}"):
        import_weights(tmp_path / "g.pth", GAN.config)


def test_a_compressed_pth_file_is_refused(tmp_path: Path) -> None:
    torch.save(STATE, tmp_path / "g.pth")
    with (
        zipfile.ZipFile(tmp_path / "g.pth") as old,
        zipfile.ZipFile(tmp_path / "z.pth", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name))
    with pytest.raises(WeightsFormatError, match="is compressed"):
        import_weights(tmp_path / "z.pth", GAN.config)


def test_a_sparse_file_takes_no_memory(tmp_path: Path) -> None:
    save_file(dict(STATE), tmp_path / "g.safetensors")
    os.truncate(tmp_path / "g.safetensors", 8 << 30)
    with pytest.raises(WeightsFormatError, match="does not have the length that its header states"):
        import_weights(tmp_path / "g.safetensors", GAN.config)


def test_a_mismatch_counts_the_tensors(tmp_path: Path) -> None:
    other = {name: torch.cat([tensor, tensor]) for name, tensor in STATE.items()}
    torch.save({f"{part}.{name}": tensor for part in ("a", "b") for name, tensor in other.items()}, tmp_path / "g.pth")
    num = len(STATE)
    with pytest.raises(
        WeightsFormatError, match=rf"has {num} tensors, the file {2 * num} \({num} under a\., {num} under b"
    ):
        import_weights(tmp_path / "g.pth", GAN.config)


def test_a_pickled_module_is_one_clear_line(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "g.pth")
    with pytest.raises(WeightsFormatError) as caught:
        import_weights(tmp_path / "g.pth", GAN.config)
    assert (
        str(caught.value) == f"{tmp_path}/g.pth holds more than tensors: an object of torch.nn.modules.linear.Linear."
    )


def test_a_dictionary_that_contains_itself_ends(tmp_path: Path) -> None:
    content: dict[str, Any] = {}
    content["generator"] = content
    torch.save(content, tmp_path / "g.pth")
    with pytest.raises(UsageError, match="does not hold a state dict"):
        import_weights(tmp_path / "g.pth", GAN.config)


def test_a_fifo_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "g.pth")
    with pytest.raises(UsageError, match="Not a regular file"):
        import_weights(tmp_path / "g.pth", GAN.config)


def test_an_architecture_alone_will_do(ganzoo: Ganzoo, tmp_path: Path) -> None:
    (tmp_path / "cwd").mkdir(exist_ok=True)
    torch.save(STATE, tmp_path / "cwd" / "theirs.pth")
    nets = {"dataset": "mnist", "latent.dim": 3, "config.generator_hidden": [8], "config.discriminator_hidden": [8]}
    missing = ganzoo("import", "theirs.pth", "--architecture", "mlp")
    assert_two_lines(missing, 2, "architecture of the checkpoint is not known")
    wrong = ganzoo("import", "theirs.pth", "--architecture", "mlp", *set_options(nets))
    assert_two_lines(wrong, 1, "does not fit")  # made for 4 × 4 images, and MNIST's are 28 × 28
    assert not (tmp_path / "cwd" / "theirs").exists()


@pytest.mark.parametrize("change", ["shape", "missing", "extra"])
def test_tensors_that_do_not_fit_are_refused(tmp_path: Path, change: str) -> None:
    state = OrderedDict(STATE)
    if change == "shape":
        state["layers.0.bias"] = torch.zeros(9)
    elif change == "missing":
        del state["layers.0.bias"]
    else:
        state["extra"] = torch.zeros(2)
    torch.save(state, tmp_path / "g.pth")
    with pytest.raises(WeightsFormatError):
        import_weights(tmp_path / "g.pth", GAN.config)


def test_the_command_writes_a_folder_that_verifies_and_evaluates(ganzoo: Ganzoo, tmp_path: Path) -> None:
    settings = {"config.generator_hidden": [8], "config.discriminator_hidden": [8]}
    ganzoo("train", "quadratic-mlp", "--steps", "2", "--seed", "0", "--out", "run", *set_options(settings))
    cwd = tmp_path / "cwd"
    gan = load(cwd / "run")
    state = {f"module.{name}": tensor for name, tensor in gan.generator.state_dict().items()}
    torch.save({"generator": state}, cwd / "g.pth")
    options = ["--recipe", "quadratic-mlp", "--out", "theirs", *set_options(settings)]
    origin = ["--source", "https://example.org/g", "--license", "mit"]
    result = ganzoo("import", "g.pth", *options, *origin)
    assert (result.returncode, result.stdout) == (0, "./theirs\n"), result.stderr
    assert "module.layers.0.weight -> layers.0.weight" in result.stderr
    assert "4 tensors, matched by name." in result.stderr
    assert result.stderr.endswith("Next: ganzoo sample ./theirs --out ./theirs.png\n")
    digest = hashlib.sha256((cwd / "g.pth").read_bytes()).hexdigest()
    shown = ganzoo("show", "./theirs", "--all")
    for fact in ("g.pth", digest, "https://example.org/g", "mit"):
        assert fact in shown.stdout
    assert verify(cwd / "theirs")
    assert ganzoo("eval", "./theirs").returncode == 0
    assert torch.equal(load(cwd / "theirs").sample(3, seed=0), gan.sample(3, seed=0))
    assert_two_lines(ganzoo("import", "g.pth", *options), 2, "is not empty")
    assert_two_lines(ganzoo("import", "none.pth", *options[:2], "--out", "x"), 2, "cannot read none.pth")
