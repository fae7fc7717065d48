"""Check that plugins keep their contracts, in pytest or from the command line (`ganzoo plugins check`).

    from ganzoo.testing import parametrize_with_checks

    @parametrize_with_checks("ganzoo-strange")  # everything that the distribution registers
    def test_contracts(spec, check):
        check(spec)

Each check is a small function whose name is the claim that it checks. It raises `CheckError`, which says what was found
and what to change. Each `check_…` function runs all checks of one spec, and raises the error of the first that fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganzoo.specs import (
    ArchitectureSpec,
    AugmentationSpec,
    DatasetSpec,
    EvaluationProtocol,
    ExtractorSpec,
    LatentSpec,
    LoggerSpec,
    LossSpec,
    MetricSpec,
    OptimizerSpec,
    Recipe,
    RegularizerSpec,
    SampleSpec,
)
from ganzoo.testing.checks import Check, CheckError, CheckSkippedError, Example
from ganzoo.testing.plugins import examples_of
from ganzoo.testing.running import CHECKS, Result, check_all, parametrize_with_checks, run_checks
from ganzoo.weights.manifest import WeightsEntry

__all__ = [
    "CHECKS",
    "Check",
    "CheckError",
    "CheckSkippedError",
    "Example",
    "Result",
    "check_architecture",
    "check_augmentation",
    "check_dataset",
    "check_extractor",
    "check_logger",
    "check_loss",
    "check_metric",
    "check_optimizer",
    "check_protocol",
    "check_recipe",
    "check_regularizer",
    "check_weights",
    "examples_of",
    "parametrize_with_checks",
    "run_checks",
]


def check_architecture(
    spec: ArchitectureSpec,
    *,
    config: Mapping[str, Any] | None = None,
    latent: LatentSpec | None = None,
    sample: SampleSpec | None = None,
) -> None:
    """Check an architecture with these nets, or those of a recipe that uses it. Raises CheckError."""
    check_all(Example(spec, config=config, latent=latent, sample=sample))


def check_dataset(spec: DatasetSpec, *, config: Mapping[str, Any] | None = None, data_dir: Path | None = None) -> None:
    """Check a dataset with these settings; its data only if its files are there. Raises CheckError."""
    check_all(Example(spec, config=config, data_dir=data_dir))


def check_recipe(recipe: Recipe, *, settings: Mapping[str, Any] | None = None, data_dir: Path | None = None) -> None:
    """Train a recipe for a few steps, with these settings in place of its own. Raises CheckError."""
    check_all(Example(recipe, settings=settings or {}, data_dir=data_dir))


def check_metric(spec: MetricSpec, *, data_dir: Path | None = None) -> None:
    """Check a metric on real samples of a dataset whose protocol uses it, and on noise. Raises CheckError."""
    check_all(Example(spec, data_dir=data_dir))


def check_extractor(spec: ExtractorSpec, *, sample: SampleSpec | None = None) -> None:
    """Check an extractor on random samples of this kind. Raises CheckError."""
    check_all(Example(spec, sample=sample))


def check_protocol(protocol: EvaluationProtocol) -> None:
    """Check that everything a protocol names exists. Raises CheckError."""
    check_all(Example(protocol))


def check_loss(spec: LossSpec) -> None:
    """Check a loss on logits. Raises CheckError."""
    check_all(Example(spec))


def check_regularizer(spec: RegularizerSpec) -> None:
    """Check a regularizer on small nets. Raises CheckError."""
    check_all(Example(spec))


def check_augmentation(spec: AugmentationSpec) -> None:
    """Check an augmentation on random images. Raises CheckError."""
    check_all(Example(spec))


def check_optimizer(spec: OptimizerSpec, *, config: Mapping[str, Any] | None = None) -> None:
    """Check an optimizer with these settings on a quadratic. Raises CheckError."""
    check_all(Example(spec, config=config))


def check_logger(spec: LoggerSpec) -> None:
    """Check a logger with the records of a training, in a temporary folder. Raises CheckError."""
    check_all(Example(spec))


def check_weights(entry: WeightsEntry, *, evaluate: bool = False, data_dir: Path | None = None) -> None:
    """Check weights of a manifest; with `evaluate`, their published numbers too. Raises CheckError."""
    check_all(Example(entry, evaluate=evaluate, data_dir=data_dir))
