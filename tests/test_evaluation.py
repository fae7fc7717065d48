from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import ganzoo
from ganzoo.errors import EvaluationError, MissingDatasetError, UnknownNameError
from ganzoo.evaluation.extractors import Extractors
from ganzoo.evaluation.measurement import evaluate_gan, find_protocol, metric_inputs
from ganzoo.evaluation.real import RealSide
from ganzoo.registry import datasets, metrics
from ganzoo.specs import DatasetSpec, Protocol, SampleSpec, SyntheticData
from ganzoo_quadratic import QUADRATIC
from tests.test_model import make_gan

DIGITS = SampleSpec(kind="image", shape=(1, 28, 28))
TINY = {"seed": 0, "steps": 1, "batch_size": 16, "config.generator_hidden": [8], "config.discriminator_hidden": [8]}


@pytest.mark.slow
def test_curves_are_measured_without_any_data(tmp_path: Path) -> None:
    run = ganzoo.train("quadratic-mlp", out=tmp_path / "run", settings=TINY)
    result = ganzoo.evaluate(run.path)
    assert tuple(metric.name for metric in result.metrics) == find_protocol(QUADRATIC, None).metrics
    assert {metric.protocol for metric in result.metrics} == {"quadratic-exact-v2"}
    assert result.real_digest is None
    document = json.loads(json.dumps(result.to_json()))
    assert document["protocol"]["num_samples"] == 10_000
    assert document["protocol"]["seeds"] == [0, 1, 2, 3, 4]
    assert ganzoo.evaluate(run.path).metrics == result.metrics


def test_digits_are_compared_with_the_real_split(digits: Path) -> None:
    small = replace(datasets.get("mnist").protocols[0], num_samples=300, seeds=(0, 1), num_real=128)
    result = evaluate_gan(make_gan(DIGITS), "gan", small, digits)
    found = {metric.name: metric for metric in result.metrics}
    assert list(found) == [
        "fd-lenet",
        "lenet-precision",
        "lenet-recall",
        "lenet-density",
        "lenet-coverage",
        "class-imbalance",
    ]
    assert found["fd-lenet"].value > 1
    assert found["fd-lenet"].std > 0
    assert found["lenet-recall"].value < 0.1
    assert len(result.real_digest or "") == 64
    assert [extractor["name"] for extractor in result.extractors] == ["lenet-mnist"]
    assert "the real samples are not those of the protocol" in (result.deviation or "")


def test_too_few_real_samples_are_no_number(digits: Path) -> None:
    with pytest.raises(EvaluationError, match="takes 10,000 real samples; this test split of mnist has 128"):
        evaluate_gan(make_gan(DIGITS), "gan", "mnist-lenet-quick-v1", digits)


def test_missing_real_samples_are_no_number(tmp_path: Path, digits: Path) -> None:
    run = ganzoo.train("mnist-mlp", out=tmp_path / "run", data_dir=digits, settings=TINY)
    with pytest.raises(MissingDatasetError, match="no MNIST test files"):
        ganzoo.evaluate(run.path, data_dir=tmp_path)


def test_an_unknown_protocol_is_refused(tmp_path: Path) -> None:
    make_gan().save(tmp_path / "gan")
    with pytest.raises(UnknownNameError, match="Did you mean 'mnist-lenet-v1'"):
        ganzoo.evaluate(tmp_path / "gan", protocol="mnist-lenet-v2")


def test_a_metric_that_does_not_fit_is_no_number(tmp_path: Path) -> None:
    make_gan(SampleSpec(kind="image", shape=(3, 4, 4))).save(tmp_path / "gan")
    with pytest.raises(EvaluationError, match="28 × 28"):
        ganzoo.evaluate(tmp_path / "gan")


def test_a_dataset_without_protocol_says_so() -> None:
    bare = DatasetSpec(
        name="bare", summary="", homepage="", license="", sample=QUADRATIC.sample, splits={}, load=QUADRATIC.load
    )
    with pytest.raises(EvaluationError, match="has no protocol"):
        find_protocol(bare, None)


@pytest.mark.parametrize("name", ["mnist", "quadratic", "words", "mjsynth", "cifar10"])
def test_every_protocol_names_registered_metrics(name: str) -> None:
    for protocol in datasets.get(name).protocols:
        assert protocol.metrics
        for metric in protocol.metrics:
            assert metrics.get(metric).better in ("lower", "higher")


def drawn_words(vocabulary: frozenset[str] | None) -> DatasetSpec:
    """An unlimited set of tiny images that show one of two words."""

    def draw(num: int, generator: torch.Generator) -> torch.Tensor:
        return torch.rand(num, 1, 4, 4, generator=generator)

    data = SyntheticData(draw=draw, vocabulary=None if vocabulary is None else lambda: vocabulary)
    sample = SampleSpec(kind="image", shape=(1, 4, 4))
    return replace(QUADRATIC, name="drawn-words", sample=sample, load=lambda root, split, download: data)


def real_side(dataset: DatasetSpec, data_dir: Path | None = None) -> RealSide:
    protocol = Protocol(name="words-v0", metrics=("x",), num_samples=2, seeds=(0, 1), split="train", num_real=3)
    return RealSide(dataset, protocol, data_dir, Extractors(torch.device("cpu")))


def test_what_depends_on_the_real_side_alone_is_computed_once_for_all_seeds() -> None:
    gan, real, computed = make_gan(), real_side(drawn_words(frozenset({"a"}))), []

    def compute() -> int:
        computed.append(1)
        return len(computed)

    for seed in (0, 1):
        inputs = metric_inputs(gan, gan.sample(2, seed=seed), real, real._extractors)
        assert [inputs.real_shared("readings", compute) for _ in range(2)] == [1, 1]
    for seed in (0, 1):
        inputs = metric_inputs(gan, gan.sample(2, seed=seed), real, real._extractors)
        assert [inputs.shared("readings", compute) for _ in range(2)] == [2 + seed] * 2


def test_the_vocabulary_of_a_law_is_what_it_says() -> None:
    assert real_side(drawn_words(frozenset({"apple", "stone"}))).vocabulary() == {"apple", "stone"}


def test_a_set_without_words_has_no_vocabulary(digits: Path) -> None:
    for side in (real_side(drawn_words(None)), real_side(datasets.get("mnist"), digits)):
        with pytest.raises(EvaluationError, match="does not say which words"):
            side.vocabulary()


def test_the_vocabulary_of_a_packed_split_is_all_its_words_not_only_those_compared_with() -> None:
    side = real_side(datasets.get("mjsynth"), Path(__file__).parent / "data" / "mjsynth")
    texts = side.texts()
    assert texts is not None
    assert len(texts) == 3
    assert {text.lower() for text in texts} < side.vocabulary()
    assert len(side.vocabulary()) == 24
    assert all(word == word.lower() for word in side.vocabulary())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_samples_that_are_not_finite_give_no_number(value: float) -> None:
    gan = ganzoo.load("quadratic-mlp")
    with torch.no_grad():
        next(gan.generator.parameters()).fill_(value)
    with pytest.raises(EvaluationError, match="NaN or infinite"):
        evaluate_gan(gan, "broken", "quadratic-quick-v1")


def test_one_seed_has_no_spread() -> None:
    result = evaluate_gan(ganzoo.load("quadratic-mlp"), "curves", "quadratic-quick-v1")
    assert {metric.std for metric in result.metrics} == {None}
    assert json.loads(json.dumps(result.to_json(), allow_nan=False))


def test_measuring_leaves_the_callers_random_numbers_alone(digits: Path) -> None:
    small = replace(datasets.get("mnist").protocols[0], num_samples=300, seeds=(0,), num_real=128)
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    evaluate_gan(make_gan(DIGITS), "gan", small, digits)
    assert torch.equal(torch.rand(1), expected)
