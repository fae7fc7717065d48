from __future__ import annotations

import json
from pathlib import Path

import pytest

import ganzoo
from ganzoo.errors import EvaluationError, MissingDatasetError, UnknownNameError
from ganzoo.evaluation.measurement import find_protocol
from ganzoo.registry import datasets, metrics
from ganzoo.specs import DatasetSpec, SampleSpec
from ganzoo_quadratic import QUADRATIC
from tests.test_model import make_gan

TINY = {"seed": 0, "steps": 1, "batch_size": 16, "config.generator_hidden": [8], "config.discriminator_hidden": [8]}


def test_curves_are_measured_without_any_data(tmp_path: Path) -> None:
    run = ganzoo.train("quadratic-mlp", out=tmp_path / "run", settings=TINY)
    result = ganzoo.evaluate(run.path)
    assert [metric.name for metric in result.metrics] == ["curve-w1", "curve-rmse", "point-in-band", "curve-in-band"]
    assert {metric.protocol for metric in result.metrics} == {"quadratic-exact-v1"}
    assert result.real_digest is None
    document = json.loads(json.dumps(result.to_json()))
    assert document["protocol"]["num_samples"] == 10_000
    assert document["protocol"]["seeds"] == [0, 1, 2, 3, 4]
    assert ganzoo.evaluate(run.path).metrics == result.metrics


def test_digits_are_compared_with_the_real_split(tmp_path: Path, digits: Path) -> None:
    run = ganzoo.train("mnist-mlp", out=tmp_path / "run", data_dir=digits, settings=TINY)
    result = ganzoo.evaluate(run.path, data_dir=digits)
    (metric,) = result.metrics
    assert metric.name == "fd-pool7"
    assert metric.value > 1
    assert metric.std > 0
    assert len(result.real_digest or "") == 64


def test_missing_real_samples_are_no_number(tmp_path: Path, digits: Path) -> None:
    run = ganzoo.train("mnist-mlp", out=tmp_path / "run", data_dir=digits, settings=TINY)
    with pytest.raises(MissingDatasetError, match="no MNIST test files"):
        ganzoo.evaluate(run.path, data_dir=tmp_path)


def test_an_unknown_protocol_is_refused(tmp_path: Path) -> None:
    make_gan().save(tmp_path / "gan")
    with pytest.raises(UnknownNameError, match="Did you mean 'mnist-pool7-v1'"):
        ganzoo.evaluate(tmp_path / "gan", protocol="mnist-pool7-v2")


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


@pytest.mark.parametrize("name", ["mnist", "quadratic", "cifar10"])
def test_every_protocol_names_registered_metrics(name: str) -> None:
    for protocol in datasets.get(name).protocols:
        assert protocol.metrics
        for metric in protocol.metrics:
            assert metrics.get(metric).better in ("lower", "higher")
