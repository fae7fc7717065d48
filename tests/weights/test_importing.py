"""Other people's checkpoints."""

from __future__ import annotations

import contextlib
import os
import random
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import ganzoo
from ganzoo.errors import GanzooError, UsageError, WeightsFormatError
from ganzoo.sources import load, verify
from ganzoo.weights.importing import Imported, import_weights
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
    torch.save({"nets": {"mine": STATE}}, tmp_path / "g.pth")
    with pytest.raises(UsageError, match="not hold a state dict") as caught:
        import_weights(tmp_path / "g.pth", GAN.config)
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
    torch.save({f"{part}.{name}": tensor for part in ("a", "b") for name, tensor in STATE.items()}, tmp_path / "g.pth")
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
    torch.save({"generator": gan.generator.state_dict()}, cwd / "g.pth")
    options = ["--recipe", "quadratic-mlp", "--out", "theirs", *set_options(settings)]
    result = ganzoo("import", "g.pth", *options)
    assert (result.returncode, result.stdout) == (0, "./theirs\n"), result.stderr
    assert "layers.0.weight -> layers.0.weight" in result.stderr
    assert verify(cwd / "theirs")
    assert ganzoo("eval", "./theirs").returncode == 0
    assert torch.equal(load(cwd / "theirs").sample(3, seed=0), gan.sample(3, seed=0))
    assert_two_lines(ganzoo("import", "g.pth", *options), 2, "is not empty")
    assert_two_lines(ganzoo("import", "none.pth", *options[:2], "--out", "x"), 2, "cannot read none.pth")
