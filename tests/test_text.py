"""Models that are conditioned on text: from the data to the samples that are asked for by text."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ganzoo as library
from ganzoo import randomness
from ganzoo.bench.baseline import Baseline, load_batches
from ganzoo.conditions import text_batches
from ganzoo.config import Layer, resolve
from ganzoo.data import open_batches, open_dataset
from ganzoo.errors import DatasetError, SettingsError, UsageError, WeightsFormatError
from ganzoo.evaluation.measurement import evaluate_gan
from ganzoo.model import GAN
from ganzoo.publishing.push import prepare
from ganzoo.registry import datasets, recipes
from ganzoo.specs import EvaluationProtocol, TextSpec
from ganzoo.training import Training
from ganzoo.training.engines.engine import Engine
from ganzoo.training.inputs import materialize, prepare_on_host
from ganzoo.training.state import TrainingState
from ganzoo.training.step import train_step
from ganzoo.weights.building import build, generator_builder
from ganzoo.weights.layers import summaries
from ganzoo.weights.model_config import model_config
from ganzoo.weights.tensors import deserialize
from tests.conftest import Ganzoo, InstallPlugin, assert_two_lines

CPU = torch.device("cpu")
TEXT: dict[str, Any] = {
    "conditional": True,
    "condition": "text",
    "architecture": "mlp",
    "config": {"generator_hidden": [16], "discriminator_hidden": [8]},
    "batch_size": 4,
    "device": "cpu",
}


def test_a_text_becomes_indices_of_its_characters_and_padding() -> None:
    spec = TextSpec(alphabet="abc", max_length=4, examples=("a",))
    assert spec.encode("cab") == (3, 1, 2, 0)
    assert spec.encode("") == (0, 0, 0, 0)
    with pytest.raises(ValueError, match="'d', which is not in 'abc'"):
        spec.encode("abd")
    with pytest.raises(ValueError, match="longer than 4"):
        spec.encode("abcab")


@pytest.mark.parametrize(
    "fields",
    [
        {"alphabet": "aba", "max_length": 4, "examples": ("a",)},
        {"alphabet": "", "max_length": 4, "examples": ("a",)},
        {"alphabet": "ab", "max_length": 4, "examples": ()},
        {"alphabet": "ab", "max_length": 4, "examples": ("abc",)},
    ],
    ids=str,
)
def test_a_spec_that_contradicts_itself_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"TextSpec|the text"):
        TextSpec(**fields)


def make_gan() -> GAN:
    settings = resolve(recipes.get("words-dcgan"), [Layer("test", TEXT)], seed=0)
    config = model_config(settings.recipe, datasets.get("words").sample)
    return GAN(build(generator_builder(config, "test"), seed=0).eval(), config)


def test_a_text_is_asked_for_by_name_and_texts_are_taken_in_turn() -> None:
    gan = make_gan()
    hello, world = gan.sample(70, seed=0, texts="hello"), gan.sample(70, seed=0, texts=["world"])
    both = gan.sample(70, seed=0, texts=["hello", "world"])
    assert torch.allclose(both[0::2], hello[0::2], atol=1e-6)
    assert torch.allclose(both[1::2], world[1::2], atol=1e-6)
    assert not torch.allclose(hello, world, atol=1e-3)
    assert list(text_batches(gan.config.sample, 3, ["hello", "world"], 2) or ()) == [["hello", "world"], ["hello"]]
    spec = gan.config.sample.text
    assert spec is not None
    assert torch.equal(gan.sample(20, seed=0), gan.sample(20, seed=0, texts=spec.examples))
    batches = list(gan.stream(70, seed=0, texts=["hello", "world"], batch_size=9))
    assert torch.allclose(torch.cat(batches), both, atol=1e-6)
    first, *_ = gan.interpolate(70, keys=2, frames=2, seed=0, texts="hello")
    assert torch.allclose(first, hello, atol=1e-5)


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"texts": "naïve"}, "'ï', which is not in"),
        ({"texts": "a" * 15}, "longer than 14"),
        ({"texts": []}, "one text or more"),
        ({"texts": ["a", 1]}, "one text or more"),
        ({"labels": 1}, "not class-conditional"),
    ],
    ids=str,
)
def test_texts_that_do_not_fit_are_refused_at_once(choice: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        make_gan().stream(4, **choice)
    assert caught.value.hint
    with pytest.raises(UsageError, match="not text-conditional"):
        library.load("quadratic-mlp").sample(1, texts="hello")


def test_a_model_of_texts_is_saved_loaded_and_sampled_on_the_command_line(ganzoo: Ganzoo, tmp_path: Path) -> None:
    gan = make_gan()
    gan.save(tmp_path / "gan")
    assert library.load(tmp_path / "gan").config == gan.config
    arguments = ["sample", tmp_path / "gan", "-n", "5", "--seed", "1", "--out", "x.npy"]
    result = ganzoo(*arguments, "--text", "hello", "--text", "world")
    assert result.returncode == 0, result.stderr
    expected = gan.sample(5, seed=1, texts=["hello", "world"])
    assert np.array_equal(np.load(tmp_path / "cwd" / "x.npy"), expected.numpy())
    library.sample(gan, 5, out=tmp_path / "y.npy", seed=1, text="Hi")
    assert np.array_equal(np.load(tmp_path / "y.npy"), gan.sample(5, seed=1, texts="Hi").numpy())
    assert_two_lines(ganzoo(*arguments, "--text", "no space"), 2, "' ', which is not in", "at most 14")
    assert_two_lines(ganzoo(*arguments, "--label", "1"), 2, "not class-conditional")
    (tmp_path / "gan" / "config.json").write_text((tmp_path / "gan" / "config.json").read_text().replace("hello", "h!"))
    with pytest.raises(WeightsFormatError):
        library.load(tmp_path / "gan")


def test_shards_carry_the_texts(tmp_path: Path) -> None:
    library.sample(make_gan(), 5, out=tmp_path / "shards", shard_size=3, seed=0, text=["hello", "world"])
    found = []
    for shard in sorted((tmp_path / "shards").iterdir()):
        with tarfile.open(shard) as tar:
            found += [tar.extractfile(info).read() for info in tar if info.name.endswith(".txt")]  # type: ignore[union-attr]
    assert found == [b"hello", b"world", b"hello", b"world", b"hello"]


def test_nets_see_only_the_condition_of_the_recipe() -> None:
    words = datasets.get("words")
    assert model_config(recipes.get("words-dcgan"), words.sample).sample.text is None
    assert make_gan().config.sample.text == words.sample.text
    layers = summaries(make_gan().config, "test")
    assert layers["generator"].problem == layers["discriminator"].problem == ""
    for settings, words_of_error in (
        ({"conditional": True}, "has no classes to condition on"),
        ({"conditional": True, "condition": "text", "architecture": "r3gan", "config": {}}, "does not take texts"),
        ({**TEXT, "dataset": "quadratic"}, "has no texts to condition on"),
    ):
        with pytest.raises(SettingsError, match=words_of_error):
            library.train("words-dcgan", out="never", settings=settings)


def test_the_card_of_a_model_of_texts_says_how_to_ask_for_one(tmp_path: Path) -> None:
    card = prepare(make_gan().save(tmp_path / "gan"), "you/words", license="mit").files["README.md"].decode()
    assert "pipeline_tag: text-to-image" in card
    assert 'sample(64, seed=0, texts="hello")' in card


def make_state(**values: object) -> TrainingState:
    settings = resolve(recipes.get("words-dcgan"), [Layer("test", {**TEXT, **values})], seed=5)
    spec = datasets.get("words")
    config = model_config(settings.recipe, spec.sample)
    dataset = open_dataset(spec, "train", None)
    batches = open_batches(dataset, 4, 5, CPU, conditional=True, text=config.sample.text)
    return TrainingState(settings, config, batches, CPU)


def test_texts_are_those_on_the_real_images_and_the_generator_is_asked_for_them() -> None:
    state = make_state()
    inputs = materialize(state, prepare_on_host(state))
    (discriminator,) = inputs.discriminator
    data = open_dataset(datasets.get("words"), "train", None).data
    images = data.draw(4, randomness.generator(5, "data"))  # type: ignore[union-attr]
    texts = data.draw_texts(4, randomness.generator(5, "data"))  # type: ignore[union-attr, misc]
    assert torch.equal(discriminator.real.samples, images)
    assert state.config.sample.text is not None
    expected = [list(state.config.sample.text.encode(text)) for text in texts]
    assert discriminator.real.labels is not None
    assert discriminator.real.labels.tolist() == expected
    assert inputs.generator.labels is not None
    assert inputs.generator.labels.tolist() == expected


@pytest.mark.parametrize("values", [{}, {"loss": "relativistic", "update_order": "generator_first"}], ids=str)
def test_a_recorded_step_is_the_eager_one_and_the_baselines(values: dict[str, Any]) -> None:
    eager, graph = (make_state(engine=engine, **values) for engine in ("eager", "graph"))
    other = make_state(**values)
    baseline = Baseline(other.settings, other.config, iter(other.batches.next, None), CPU)
    for state in (eager, graph):
        taking = Engine(state)
        with state.ambient_randomness():
            for _ in range(3):
                taking.step()
        assert taking.name == state.settings.engine, taking.reason
    theirs = graph.tensors()
    assert all(torch.equal(tensor, theirs[key]) for key, tensor in eager.tensors().items() if "seconds" not in key)

    ours = make_state(**values)
    ours.networks.concat_real_fake = False
    for _ in range(2):
        train_step(ours.networks, materialize(ours, prepare_on_host(ours)))
        ours.step += 1
        assert baseline.step() == pytest.approx(ours.networks.sums[:2].tolist(), rel=1e-4, abs=1e-5)
        ours.networks.sums.zero_()


def test_a_run_on_words_is_resumed_to_the_same_bytes_and_draws_what_it_is_asked_for(tmp_path: Path) -> None:
    settings = {**TEXT, "seed": 0, "steps": 4, "log_every": 1, "checkpoint_every": 2, "sample_every": 4}
    whole = library.train("words-dcgan", out=tmp_path / "whole", settings=settings)
    stopped = Training.start("words-dcgan", tmp_path / "stopped", [Layer("test", settings)])
    for record in stopped:
        if record.step == 3:
            break
    resumed = library.resume(tmp_path / "stopped")
    expected, found = (deserialize(run.checkpoints.path(4).read_bytes(), "")[0] for run in (whole, resumed))
    assert all(torch.equal(tensor, found[name]) for name, tensor in expected.items() if "seconds" not in name)
    assert whole.sample_path(4).is_file()  # of the examples
    gan = library.load(whole.path)
    assert not torch.equal(gan.sample(2, seed=0, texts="hello"), gan.sample(2, seed=0, texts="world"))


PLUGIN = """
from dataclasses import replace
from pathlib import Path

import numpy as np

from ganzoo.specs import ArrayData, DatasetSpec, MetricSpec, SampleSpec, TextSpec

TEXTS = [b"one", b"two", b"three", b"one"] * 3

def load(root, split, download):
    file = Path(__file__)
    samples = np.zeros((12, 1, 4, 4), np.uint8)
    samples[:, 0, 0, 0] = np.arange(12)
    texts = np.array([b"zwei", *TEXTS[1:]] if split == "odd" else TEXTS, "S64")
    return ArrayData(samples=samples, texts=texts, sources=(file,))

SIGNS = DatasetSpec(
    name="signs", summary="s", homepage="h", license="MIT", splits={"train": 12, "odd": 12}, load=load,
    sample=SampleSpec(
        kind="image", shape=(1, 4, 4), text=TextSpec(alphabet="ehnortw", max_length=5, examples=("two",))
    ),
)

def compute(inputs):
    # The texts that were asked for begin with those of the real samples, and go through them in turn.
    real = inputs.real_texts()
    wanted = [real[index % len(real)] for index in range(len(inputs.samples))]
    return float(list(inputs.texts) == wanted and inputs.labels is None)

ASKED = MetricSpec(name="asked", summary="s", better="higher", compute=compute)
"""


@pytest.fixture
def signs(install_plugin: InstallPlugin) -> None:
    groups = {"ganzoo.datasets": {"signs": "signs:SIGNS"}, "ganzoo.metrics": {"asked": "signs:ASKED"}}
    install_plugin("signs", groups, {"signs.py": PLUGIN})


@pytest.mark.usefixtures("signs")
def test_texts_of_a_finite_dataset_are_packed_and_reach_the_nets(tmp_path: Path) -> None:
    spec = datasets.get("signs")
    dataset = open_dataset(spec, "train", None)
    resident, streamed = (
        open_batches(dataset, 5, 0, CPU, place, conditional=True, text=spec.sample.text)  # type: ignore[arg-type]
        for place in ("resident", "streamed")
    )
    texts = [b"one", b"two", b"three", b"one"] * 3
    for _ in range(4):
        batch, other = resident.next(), streamed.next()
        assert batch.labels is not None
        assert other.labels is not None
        assert torch.equal(batch.labels, other.labels)
        assert batch.labels.dtype == torch.int64
        numbers = ((batch.samples[:, 0, 0, 0] + 1) * 127.5).round().int().tolist()
        assert spec.sample.text is not None
        assert batch.labels.tolist() == [list(spec.sample.text.encode(texts[number].decode())) for number in numbers]
    streamed.close()
    plain = next(load_batches(dataset, 12, text=spec.sample.text))
    assert plain.labels is not None
    assert sorted(plain.labels.tolist()) == sorted([list(spec.sample.text.encode(text.decode())) for text in texts])

    run = library.train(
        "words-dcgan", out=tmp_path / "run", settings={**TEXT, "dataset": "signs", "steps": 2, "seed": 0}
    )
    protocol = EvaluationProtocol(name="asked-v1", metrics=("asked",), num_samples=30, seeds=(0,), split="train")
    (metric,) = evaluate_gan(library.load(run.path), "run", protocol).metrics
    assert metric.value == 1


@pytest.mark.usefixtures("signs")
def test_a_text_outside_of_the_alphabet_names_the_dataset() -> None:
    spec = datasets.get("signs")
    with pytest.raises(DatasetError, match="signs odd: the text 'zwei' has 'z'"):
        open_batches(open_dataset(spec, "odd", None), 5, 0, CPU, conditional=True, text=spec.sample.text)
