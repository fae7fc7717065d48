"""GAN: sampling, saving, and loading from a folder."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import ganzoo
from ganzoo.conditions import class_labels, label_batches
from ganzoo.errors import DeviceError, GanzooError, MissingWeightsError, UsageError, WeightsFormatError
from ganzoo.model import GAN, gan_from_bytes
from ganzoo.randomness import latent_batches, sample_latents
from ganzoo.registry import datasets, recipes
from ganzoo.sampling import FEWEST_BATCHES, CapturedGenerator, SampleInputs, accelerated, generate
from ganzoo.specs import LatentSpec, SampleSpec
from ganzoo.weights.building import build, generator_builder
from ganzoo.weights.model_config import ModelConfig, model_config
from ganzoo.weights.tensors import deserialize, serialize

IMAGE = SampleSpec(kind="image", shape=(1, 4, 4))


def make_gan(sample: SampleSpec = IMAGE, distribution: str = "normal") -> GAN:
    config = ModelConfig(
        recipe="tiny",
        architecture="mlp",
        config={"generator_hidden": [8], "discriminator_hidden": [8]},
        dataset="mnist",
        latent=LatentSpec(dim=3, distribution=distribution),  # type: ignore[arg-type]
        sample=sample,
    )
    return GAN(build(generator_builder(config, "test"), seed=0).eval(), config)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_gan().save(tmp_path / "gan")


def test_what_was_saved_is_loaded(folder: Path) -> None:
    assert torch.equal(ganzoo.load(folder).sample(5, seed=1), make_gan().sample(5, seed=1))


@pytest.mark.parametrize("device", ["cpu", "auto", torch.device("cpu"), torch.device("cpu", 0)])
def test_every_device_argument_takes_a_torch_device(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str | torch.device
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    expected = make_gan().sample(2, seed=0)
    assert torch.equal(ganzoo.load(folder, device=device).sample(2, seed=0), expected)
    assert torch.equal(GAN.from_pretrained(folder, device=device).to(device).sample(2, seed=0), expected)
    assert ganzoo.sample(str(folder), 2, seed=0, out=tmp_path / "x.npy", device=device).num == 2
    tiny = {"steps": 1, "config.generator_hidden": [8], "config.discriminator_hidden": [8]}
    run = ganzoo.train("quadratic-mlp", out=tmp_path / "run", settings={**tiny, "device": device})
    assert run.settings.device == str(device)
    monkeypatch.setattr("ganzoo.evaluation.measurement.evaluate_gan", lambda gan, *others: gan)
    assert ganzoo.evaluate(folder, device=device).device.type == "cpu"


def test_a_device_that_is_not_there_is_one_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for device in ("cuda", torch.device("cuda"), torch.device("cuda", 1), "meta", "cpu:1"):
        with pytest.raises(DeviceError, match="this machine has no device"):
            ganzoo.load(folder, device=device)
        with pytest.raises(DeviceError, match="this machine has no device"):
            make_gan().to(device)


@pytest.mark.parametrize("name", ["quadratic-mlp", "mnist-mlp", "mnist-cgan", "mnist-dcgan", "mnist-cdcgan"])
def test_generators_are_exported_for_any_batch(name: str) -> None:
    recipe = recipes.get(name)
    config = model_config(recipe, datasets.get(recipe.dataset).sample)
    net = build(generator_builder(config, "test"), seed=0).eval()

    def inputs(num: int) -> tuple[torch.Tensor, ...]:
        labels = () if config.sample.classes is None else (torch.arange(num) % 10,)
        return (torch.linspace(-1, 1, num * config.latent.dim).view(num, -1), *labels)

    batch = torch.export.Dim("batch")
    with warnings.catch_warnings(action="ignore"):  # torch's own
        exported = torch.export.export(net, inputs(5), dynamic_shapes=tuple({0: batch} for _ in inputs(5)))
    for num in (2, 9):
        assert torch.allclose(exported.module()(*inputs(num)), net(*inputs(num)), atol=1e-6)


def test_saving_twice_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    make_gan().save(tmp_path / "again")
    for name in ("config.json", "model.safetensors"):
        assert (folder / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_loading_leaves_the_callers_random_numbers_alone(folder: Path) -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    ganzoo.load(folder).sample(3)
    assert torch.equal(torch.rand(3), expected)


def test_samples_have_the_stated_shape_range_and_type() -> None:
    samples = make_gan().sample(300, seed=0)
    assert samples.shape == (300, 1, 4, 4)
    assert samples.dtype == torch.float32
    assert samples.abs().max() <= 1
    assert not samples.requires_grad


def test_the_first_samples_of_a_seed_do_not_depend_on_their_number() -> None:
    gan = make_gan()
    many = gan.sample(200, seed=3)
    for num in (1, 63, 64, 65, 130):
        assert torch.allclose(gan.sample(num, seed=3), many[:num], atol=1e-6)


def test_seeds_differ_and_repeat() -> None:
    gan = make_gan()
    assert torch.equal(gan.sample(4, seed=1), gan.sample(4, seed=1))
    assert not torch.equal(gan.sample(4, seed=1), gan.sample(4, seed=2))
    assert not torch.equal(gan.sample(4), gan.sample(4))


@pytest.mark.parametrize(("distribution", "low", "high"), [("normal", 3.0, 6.0), ("uniform", 0.99, 1.0)])
def test_latents_have_the_stated_distribution(distribution: str, low: float, high: float) -> None:
    latents = sample_latents(LatentSpec(dim=4, distribution=distribution), 5000, seed=0)  # type: ignore[arg-type]
    assert latents.shape == (5000, 4)
    assert abs(float(latents.mean())) < 0.03
    assert low < float(latents.abs().max()) <= high


def test_a_stream_gives_the_very_samples_batch_by_batch() -> None:
    gan = make_gan()
    batches = list(gan.stream(150, seed=3))
    assert [len(batch) for batch in batches] == [64, 64, 22]
    assert torch.equal(torch.cat(batches), gan.sample(150, seed=3))
    assert torch.allclose(torch.cat(list(gan.stream(150, seed=3, batch_size=7))), gan.sample(150, seed=3), atol=1e-6)


@pytest.mark.parametrize("size", [1, 7, 64, 100, 200, 5000])
def test_latents_are_the_same_in_batches_of_any_size(size: int) -> None:
    latent = LatentSpec(dim=4)
    batches = list(latent_batches(latent, 200, 3, size))
    assert torch.equal(torch.cat(batches), sample_latents(latent, 5000, 3)[:200])
    assert {len(batch) for batch in batches[:-1]} <= {size}


def test_a_stream_draws_only_what_is_asked_for() -> None:
    endless = make_gan().stream(10**15, seed=0)
    assert torch.equal(next(endless), make_gan().sample(64, seed=0))


@pytest.mark.parametrize("labels", [None, 2, [0, 2] * 150], ids=["in turn", "one", "each"])
def test_a_stream_of_classes_has_the_labels_of_sample(labels: int | list[int] | None) -> None:
    gan = make_gan(SampleSpec(kind="image", shape=(1, 4, 4), classes=("a", "b", "c")))
    assert torch.equal(torch.cat(list(gan.stream(300, seed=0, labels=labels))), gan.sample(300, seed=0, labels=labels))
    parts = [part for part in label_batches(gan.config.sample, 300, labels, 7) if part is not None]
    assert torch.equal(torch.cat(parts), class_labels(gan.config.sample, 300, labels))


def test_a_stream_refuses_at_once() -> None:
    for arguments in ({"num": 0}, {"num": 1, "batch_size": 0}, {"num": 1, "labels": 0}):
        with pytest.raises(UsageError):
            make_gan().stream(**arguments)  # type: ignore[arg-type]


class Unforeseeable(nn.Module):
    """A generator that asks the host in every pass, which no graph can hold."""

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        return latents * latents.sum().item()


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["mnist-mlp", "mnist-cgan", "cifar10-dcgan"])
def test_a_captured_generator_gives_the_samples_of_an_eager_one(name: str) -> None:
    gan = ganzoo.load(name, device="cuda")
    num = gan.batch_size * FEWEST_BATCHES + 3
    eager = torch.cat([gan.generate(batch, labels) for batch, labels in inputs(gan, num)])
    torch.testing.assert_close(gan.sample(num, seed=0), eager, rtol=0, atol=1e-3)


@pytest.mark.gpu
def test_capture_takes_the_place_of_launches() -> None:
    gan = ganzoo.load("mnist-mlp", device="cuda")
    ((latents, _),) = inputs(gan, gan.batch_size)
    latents = latents.cuda()
    with torch.no_grad():
        run = accelerated(lambda batch: generate(gan.generator, *batch), SampleInputs(latents), FEWEST_BATCHES)
        assert isinstance(run, CapturedGenerator)
        first = run(SampleInputs(latents))
        kept = first.clone()
        assert not torch.equal(run(SampleInputs(-latents)), kept)
        assert torch.equal(first, kept)  # the caller's own
        assert len(run(SampleInputs(latents[:3]))) == 3


def run_unforeseeable() -> None:
    latents = torch.ones(4, 3, device="cuda")
    with pytest.warns(RuntimeWarning, match="without a CUDA graph"):
        run = accelerated(lambda batch: generate(Unforeseeable(), *batch), SampleInputs(latents), FEWEST_BATCHES)
    assert torch.equal(run(SampleInputs(latents)), latents * 12)


@pytest.mark.gpu
def test_a_generator_that_cannot_be_captured_is_run_as_it_is() -> None:
    # In a process of its own: before torch 2.12 a capture that failed makes later ones of its process fail, too.
    process = torch.multiprocessing.get_context("spawn").Process(target=run_unforeseeable)
    process.start()
    process.join()
    assert process.exitcode == 0


def inputs(gan: GAN, num: int) -> list[tuple[torch.Tensor, torch.Tensor | None]]:
    """Latents and labels of `sample(num, seed=0)`, in its batches."""
    latents = latent_batches(gan.config.latent, num, 0, gan.batch_size)
    return list(zip(latents, label_batches(gan.config.sample, num, None, gan.batch_size), strict=True))


def test_labels_choose_the_class_and_default_to_all_in_turn() -> None:
    gan = make_gan(SampleSpec(kind="image", shape=(1, 4, 4), classes=("a", "b", "c")))
    in_turn = gan.sample(6, seed=0)
    assert torch.equal(in_turn, gan.sample(6, seed=0, labels=[0, 1, 2, 0, 1, 2]))
    assert not torch.equal(in_turn, gan.sample(6, seed=0, labels=1))


@pytest.mark.parametrize(
    "labels", [3, -1, [0, 1], [0.5, 1.0, 0.0], [[0, 1, 2]], "1", True, 1.0, ["0", "1", "2"], [0, None, 1]]
)
def test_labels_that_do_not_fit_are_refused(labels: object) -> None:
    gan = make_gan(SampleSpec(kind="image", shape=(1, 4, 4), classes=("a", "b", "c")))
    with pytest.raises(UsageError, match="integers from 0 to 2"):
        gan.sample(3, labels=labels)  # type: ignore[arg-type]


def test_labels_for_an_unconditional_model_and_no_samples_are_refused() -> None:
    with pytest.raises(UsageError, match="not class-conditional"):
        make_gan().sample(1, labels=0)
    with pytest.raises(UsageError, match="the number of samples is 0"):
        make_gan().sample(0)


@pytest.mark.parametrize("num", ["4", 2.0, True, None])
def test_a_number_of_samples_is_an_integer(num: object) -> None:
    with pytest.raises(UsageError, match="the number of samples is"):
        make_gan().sample(num)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", ["1", 1.0, True, -1])
def test_a_seed_is_an_integer_from_0(seed: object) -> None:
    with pytest.raises(UsageError, match="the seed is"):
        make_gan().sample(1, seed=seed)  # type: ignore[arg-type]


def test_integers_of_other_libraries_are_integers() -> None:
    numpy_seed, torch_seed = np.int64(5), torch.tensor(5)
    for seed in (numpy_seed, torch_seed):
        assert torch.equal(make_gan().sample(2, seed=seed), make_gan().sample(2, seed=5))  # type: ignore[arg-type]


def test_the_file_of_the_weights_is_not_their_folder(folder: Path) -> None:
    with pytest.raises(MissingWeightsError, match="is a file") as caught:
        ganzoo.load(folder / "model.safetensors")
    assert caught.value.hint == f"Name its folder: {folder}"


def test_every_changed_byte_of_the_weights_is_noticed_or_harmless(folder: Path) -> None:
    path = folder / "model.safetensors"
    content = path.read_bytes()
    right = make_gan().sample(3, seed=0)
    refused = 0
    for index in range(0, len(content), 7):
        damaged = bytearray(content)
        damaged[index] ^= 0x15
        path.write_bytes(damaged)
        try:
            gan = ganzoo.load(folder)
        except GanzooError:
            refused += 1
        else:
            assert torch.equal(gan.sample(3, seed=0), right)  # a letter in the header that names nothing
    assert refused > 0.9 * len(content) / 7


def edit(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    "changes",
    [
        {"config": {"generator_hidden": [9], "discriminator_hidden": [8]}},
        {"config": {"generator_hidden": [8], "discriminator_hidden": [8], "output": "linear"}},
        {"dataset": "other"},
        {"unknown": 1},
        {"schema": 99},
        {"latent": {"dim": -3}},
    ],
    ids=str,
)
def test_an_edited_config_is_refused(folder: Path, changes: dict[str, object]) -> None:
    edit(folder, **changes)
    with pytest.raises(WeightsFormatError) as caught:
        ganzoo.load(folder)
    assert caught.value.hint


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"null", b'{"schema": 1}', b"[" * 100_000])
def test_a_config_that_is_none_is_refused(folder: Path, content: bytes) -> None:
    (folder / "config.json").write_bytes(content)
    with pytest.raises(WeightsFormatError):
        ganzoo.load(folder)


@pytest.mark.parametrize(
    "hidden", [[65_536] * 60, [65_537], [0], [True], ["8"], [8.5], [8] * 65], ids=lambda hidden: str(hidden)[:20]
)
def test_a_config_out_of_bounds_is_refused_before_anything_is_built(tmp_path: Path, hidden: list[object]) -> None:
    import resource

    gan = make_gan()
    gan.config.config["generator_hidden"] = hidden  # type: ignore[index]
    gan.save(tmp_path / "gan")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(WeightsFormatError):
        ganzoo.load(tmp_path / "gan")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


def test_tensors_that_the_config_does_not_ask_for_are_refused(tmp_path: Path) -> None:
    for index, change in enumerate(("missing", "extra", "shape", "dtype")):
        gan = make_gan()
        gan.save(tmp_path / str(index))
        path = tmp_path / str(index) / "model.safetensors"
        tensors = load_file(path)
        name = "layers.0.bias"
        if change == "missing":
            del tensors[name]
        elif change == "extra":
            tensors["layers.9.bias"] = torch.zeros(3)
        elif change == "shape":
            tensors[name] = torch.zeros(9)
        else:
            tensors[name] = tensors[name].double()
        _, metadata = deserialize(path.read_bytes(), path)
        path.write_bytes(serialize(tensors, metadata))
        with pytest.raises(WeightsFormatError, match="does not fit its config: tensor"):
            gan_from_bytes((path.parent / "config.json").read_bytes(), path.read_bytes(), path.parent)


def test_a_file_that_ganzoo_did_not_write_is_refused(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(WeightsFormatError, match="not written by ganzoo"):
        ganzoo.load(folder)


def test_a_folder_without_the_files_is_refused(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(MissingWeightsError, match=r"has no config\.json"):
        ganzoo.load(tmp_path)
    (folder / "model.safetensors").unlink()
    with pytest.raises(MissingWeightsError, match=r"has no model\.safetensors"):
        ganzoo.load(folder)


def test_a_fifo_does_not_hang(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    os.mkfifo(folder / "model.safetensors")
    with pytest.raises(GanzooError):
        ganzoo.load(folder)


def test_an_architecture_that_is_not_installed_is_named(folder: Path) -> None:
    gan = make_gan()
    object.__setattr__(gan.config, "architecture", "mpl")
    gan.save(folder)
    with pytest.raises(UsageError, match="Did you mean 'mlp'"):
        ganzoo.load(folder)
