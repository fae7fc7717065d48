from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from huggingface_hub import constants

import ganzoo
from ganzoo.cli.evaluate import show_evaluation
from ganzoo.distances import frechet_distance, neighbourhoods
from ganzoo.errors import EvaluationError, MissingDatasetError, UnknownNameError
from ganzoo.evaluation import measurement
from ganzoo.evaluation.checking import evaluate_entries
from ganzoo.evaluation.extractors import Extractors
from ganzoo.evaluation.features import ExtractedFeatures, extract
from ganzoo.evaluation.measurement import Evaluator, GeneratedSamples, evaluate_gan, find_protocol
from ganzoo.evaluation.real import Cache, RealSamples
from ganzoo.metrics import feature_metrics
from ganzoo.registry import datasets, extractors, metrics
from ganzoo.sources import stored
from ganzoo.specs import DatasetSpec, EvaluationProtocol, MetricInputs, SampleSpec, SyntheticData
from ganzoo.weights.manifest import Zoo
from ganzoo_quadratic import QUADRATIC
from tests.test_model import make_gan

DIGITS = SampleSpec(kind="image", shape=(1, 28, 28))
TINY = {"seed": 0, "steps": 1, "batch_size": 16, "config.generator_hidden": [8], "config.discriminator_hidden": [8]}


def metric_inputs(**members: Any) -> MetricInputs:
    """Only these members: a metric that uses another one fails."""

    def compute_now(name: str, compute: Callable[[], Any]) -> Any:
        return compute()

    defaults = {"labels": None, "cached": compute_now, "cached_real": compute_now}
    return cast(MetricInputs, SimpleNamespace(**{**defaults, **members}))


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


def test_packed_samples_are_found_without_their_folder(
    tmp_path: Path, digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    data = Path(shutil.copytree(digits, tmp_path / "all" / "mnist"))
    small = replace(datasets.get("mnist").protocols[0], metrics=("fd-lenet",), num_samples=64, seeds=(0,), num_real=64)
    before = evaluate_gan(make_gan(DIGITS), "gan", small, tmp_path / "all")
    shutil.rmtree(data)
    assert evaluate_gan(make_gan(DIGITS), "gan", small).metrics == before.metrics


def test_a_split_whose_number_varies_is_taken_as_far_as_it_goes(digits: Path) -> None:
    mnist = replace(datasets.get("mnist"), splits={"test": "varies"})
    protocol = replace(
        mnist.protocols[0], metrics=("fd-lenet",), num_samples=64, seeds=(0,), num_real=1_000, real_sha256=None
    )

    def evaluator(**changes: Any) -> Evaluator:
        return Evaluator(mnist, replace(protocol, **changes), torch.device("cpu"), digits)

    gan = make_gan(DIGITS)
    for changes, num in (({}, 128), ({"num_real": 100}, 100), ({"num_real": None}, 128), ({"min_real": 128}, 128)):
        result = evaluator(**changes).measure(gan, "gan")
        assert (result.num_real, result.deviation) == (num, None)
    for ask in (lambda one: one.check_data(), lambda one: one.measure(gan, "gan")):
        with pytest.raises(EvaluationError, match="'mnist-lenet-v1' needs at least 129 real samples; there are 128"):
            ask(evaluator(min_real=129))


def test_a_report_says_how_many_real_samples_there_were(
    digits: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mnist = replace(datasets.get("mnist"), splits={"test": "varies"})
    protocol = replace(mnist.protocols[0], metrics=("fd-lenet",), num_samples=8, seeds=(0,), num_real=1_000)
    protocol = replace(protocol, real_sha256=None)
    show_evaluation(Evaluator(mnist, protocol, torch.device("cpu"), digits).measure(make_gan(DIGITS), "gan"))
    assert "Compared with 128 real samples, all there are; the protocol takes up to 1,000." in capsys.readouterr().out


def test_the_protocols_of_folders_name_what_there_is() -> None:
    from ganzoo_folder.protocols import PROTOCOLS

    assert [protocol.use for protocol in PROTOCOLS] == ["report", "report", "training"]
    for protocol in PROTOCOLS:
        assert set(protocol.metrics) <= set(metrics.names())
        assert protocol.dataset_config is None
        assert protocol.name.startswith("folder-")
    assert PROTOCOLS[1].min_real is not None  # FID means little for few images


def test_missing_samples_are_reported_before_any_is_generated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measurement, "generate", lambda *_: pytest.fail("generated"))
    with pytest.raises(MissingDatasetError, match="no MNIST test files"):
        evaluate_gan(make_gan(DIGITS), "gan", "mnist-lenet-quick-v1", tmp_path)


def test_each_of_several_evaluations_says_its_number_and_its_time() -> None:
    entries, lines = Zoo().matching("quadratic-*"), []
    evaluations = evaluate_entries(entries, protocol="quadratic-quick-v1", report=lines.append)
    assert [entry for entry, _ in evaluations] == entries
    assert len(lines) == 2 * len(entries) == 4
    for index, entry in enumerate(entries, 1):
        what = f"{index} of 2: {entry.reference} under quadratic-quick-v1"
        assert lines[2 * index - 2] == f"Evaluating {what}"
        assert re.fullmatch(rf"Evaluated {what} in [0-9.]+ s", lines[2 * index - 1])


def test_the_data_of_all_entries_are_checked_before_the_first_is_measured(tmp_path: Path, digits: Path) -> None:
    curves, numbers = stored("quadratic-mlp").entry, stored("mnist-mlp").entry
    assert curves is not None
    assert numbers is not None
    for data_dir, error, problem in (
        (tmp_path, MissingDatasetError, "no MNIST test files"),
        (digits, EvaluationError, "takes 10,000 real samples"),
    ):
        evaluations = evaluate_entries([curves, numbers], data_dir=data_dir, report=pytest.fail)
        with pytest.raises(error, match=problem):
            next(evaluations)


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


def real_samples(dataset: DatasetSpec, data_dir: Path | None = None) -> RealSamples:
    protocol = EvaluationProtocol(
        name="words-v0", metrics=("x",), num_samples=2, seeds=(0, 1), split="train", num_real=3
    )
    return RealSamples(dataset, protocol, data_dir, Extractors(torch.device("cpu")))


def test_what_depends_on_the_real_samples_alone_is_computed_once_for_all_seeds() -> None:
    gan, real, computed = make_gan(), real_samples(drawn_words(frozenset({"a"}))), []

    def compute() -> int:
        computed.append(1)
        return len(computed)

    for seed in (0, 1):
        inputs = GeneratedSamples(gan.sample(2, seed=seed), gan, real, real._extractors)
        assert [inputs.cached_real("readings", compute) for _ in range(2)] == [1, 1]
    for seed in (0, 1):
        inputs = GeneratedSamples(gan.sample(2, seed=seed), gan, real, real._extractors)
        assert [inputs.cached("readings", compute) for _ in range(2)] == [2 + seed] * 2


def test_the_vocabulary_of_an_unlimited_dataset_is_the_one_it_states() -> None:
    assert real_samples(drawn_words(frozenset({"apple", "stone"}))).vocabulary() == {"apple", "stone"}


def test_a_set_without_words_has_no_vocabulary(digits: Path) -> None:
    for real in (real_samples(drawn_words(None)), real_samples(datasets.get("mnist"), digits)):
        with pytest.raises(EvaluationError, match="does not say which words"):
            real.vocabulary()


def test_the_vocabulary_of_a_packed_split_is_all_its_words_not_only_those_compared_with() -> None:
    real = real_samples(datasets.get("mjsynth"), Path(__file__).parent / "data" / "mjsynth")
    texts = real.texts()
    assert texts is not None
    assert len(texts) == 3
    assert {text.lower() for text in texts} < real.vocabulary()
    assert len(real.vocabulary()) == 24
    assert all(word == word.lower() for word in real.vocabulary())


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


def test_one_call_gives_an_extractor_its_five_metrics() -> None:
    source = torch.Generator().manual_seed(0)
    fake, real = (ExtractedFeatures("net", torch.randn(50, 4, generator=source), None) for _ in range(2))
    seen: set[str] = set()

    def features(extractor: str) -> ExtractedFeatures:
        seen.add(extractor)
        return fake

    inputs = metric_inputs(features=features, real_features=lambda extractor: real, cached=Cache())
    near = neighbourhoods(fake.values, real.values)
    found = {metric.name: metric.compute(inputs) for metric in feature_metrics("faces-net", prefix="faces")}
    assert found == {
        "fd-faces": frechet_distance(fake.values, real.values),
        "faces-precision": near.precision,
        "faces-recall": near.recall,
        "faces-density": near.density,
        "faces-coverage": near.coverage,
    }
    assert seen == {"faces-net"}


@pytest.mark.skipif(not hasattr(torch.backends.cudnn, "conv"), reason="this torch has the old switch only")
def test_tf32_may_be_chosen_by_its_new_switch() -> None:
    spec, cpu = extractors.get("lenet-mnist"), torch.device("cpu")
    before = torch.backends.cudnn.conv.fp32_precision
    torch.backends.cudnn.conv.fp32_precision = "ieee"  # reading the old switch now fails
    try:
        features = extract(spec, spec.load(cpu, Path()), torch.zeros(2, 1, 28, 28), cpu)
    finally:
        torch.backends.cudnn.conv.fp32_precision = before
    assert features.values.shape == (2, 128)
