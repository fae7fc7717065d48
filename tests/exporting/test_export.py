"""Exported generators: the same samples as torch's, for any batch, in a folder that is whole or not there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import ganzoo as package
from ganzoo.errors import GanzooError, UsageError
from ganzoo.exporting.programs import BATCH_SIZES, TOLERANCE, compare, input_names, input_tensors
from ganzoo.model import GAN
from ganzoo.randomness import sample_latents
from tests.conftest import Ganzoo, assert_two_lines
from tests.test_model import make_gan


def run_example(folder: Path, cwd: Path) -> np.ndarray:
    """Run example.py in a process that cannot import ganzoo, and return what it saved."""
    code = f"import sys, runpy; sys.modules['ganzoo'] = None; runpy.run_path({str(folder / 'example.py')!r})"
    subprocess.run([sys.executable, "-c", code], cwd=cwd, check=True, timeout=280)
    return np.load(cwd / "samples.npy")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of other packages
def test_a_torch_export_has_the_samples_of_the_model_in_any_batch(tmp_path: Path) -> None:
    gan = make_gan()
    exported = package.export(gan, "torch", out=tmp_path / "out")
    program = torch.export.load(exported.file).module()
    for num in (1, 3, 70):
        latents = sample_latents(gan.config.latent, num, 5)
        assert torch.allclose(program(latents), gan.sample(num, seed=5), atol=TOLERANCE)
    description = json.loads((tmp_path / "out" / "export.json").read_text())
    assert description["parity"] == {
        "max_difference": exported.parity.max_difference,
        "tolerance": TOLERANCE,
        "batch_sizes": list(BATCH_SIZES),
        "seed": 0,
    }
    assert description["inputs"][0]["shape"] == ["batch", *gan.config.latent.shape]
    assert len(run_example(exported.path, tmp_path)) == 16
    # Stack traces of the exporter would publish where this machine keeps its files.
    assert str(Path(package.__file__).parent).encode() not in exported.file.read_bytes()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of other packages
@pytest.mark.parametrize("name", ["mnist-cgan", "quadratic-mlp"])
def test_an_onnx_export_has_the_samples_of_the_model_in_any_batch(name: str, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    exported = package.export(name, "onnx", out=tmp_path / "out")
    session = onnxruntime.InferenceSession(exported.file)
    gan = package.load(name)
    for num in (1, 3, 70):
        inputs = dict(zip(input_names(gan), (tensor.numpy() for tensor in input_tensors(gan, num, 5)), strict=True))
        (samples,) = session.run(["samples"], inputs)
        assert np.abs(samples - gan.sample(num, seed=5).numpy()).max() < TOLERANCE
    assert session.get_inputs()[0].shape == ["batch", *gan.config.latent.shape]
    assert session.get_modelmeta().custom_metadata_map["ganzoo.weights_sha256"] == gan.weights_sha256
    assert str(Path(package.__file__).parent).encode() not in exported.file.read_bytes()
    assert len(run_example(exported.path, tmp_path)) == 16


class Fixed(nn.Module):
    """A generator with a fault: it adds a number, or draws random numbers itself."""

    def __init__(self, inner: nn.Module, fault: str) -> None:
        super().__init__()
        self.inner, self.fault = inner, fault

    def forward(self, latents: Tensor) -> Tensor:
        samples = self.inner(latents)
        if self.fault == "random":
            return samples + torch.randn_like(samples)
        return samples.view(2, *samples.shape[1:])  # the batch of the example


def with_fault(fault: str) -> GAN:
    gan = make_gan()
    return GAN(Fixed(gan.generator, fault), gan.config)


def test_a_generator_that_draws_random_numbers_itself_is_refused() -> None:
    gan = with_fault("random")
    with pytest.raises(GanzooError, match="differ from torch's") as caught:
        compare(gan, {}, lambda inputs: gan.generator(*inputs))
    assert "noise" in caught.value.hint


def test_samples_that_differ_and_shapes_that_differ_are_refused() -> None:
    gan = make_gan()
    assert compare(gan, {}, lambda inputs: gan.generator(*inputs)).max_difference == 0
    with pytest.raises(GanzooError, match=r"differ from torch's by 0\.0"):
        compare(gan, {}, lambda inputs: gan.generator(*inputs) + 2 * TOLERANCE)
    with pytest.raises(GanzooError, match="differ from torch's by inf"):
        compare(gan, {}, lambda inputs: gan.generator(*inputs)[:1].expand(7, *gan.config.sample.shape))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of other packages
def test_a_generator_that_fixes_the_batch_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be exported"):
        package.export(with_fault("batch"), "torch", out=tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_files_is_not_written_into(ganzoo: Ganzoo, tmp_path: Path) -> None:
    folder = tmp_path / "full"
    folder.mkdir()
    (folder / "mine.txt").write_text("x")
    assert_two_lines(ganzoo("export", "quadratic-mlp", "--out", folder), 2, "is not empty")
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]


def test_wrong_formats_and_options_are_refused(ganzoo: Ganzoo) -> None:
    assert_two_lines(ganzoo("export", "quadratic-mlp", "--format", "tflite"), 2, "tflite", "onnx, torch, web")
    assert_two_lines(ganzoo("export", "quadratic-mlp", "--runtime", "x.tgz"), 2, "--format web")
    assert_two_lines(ganzoo("export", "quadratic-mlp", "-f", "torch", "--set", "psi=1"), 2, "no sampling option 'psi'")
