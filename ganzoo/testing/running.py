"""Run checks, and report what they found: to pytest, to the command line, or as an exception."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ganzoo.errors import GanzooError, UsageError, shortened
from ganzoo.specs import (
    ArchitectureSpec,
    AugmentationSpec,
    DatasetSpec,
    EvaluationProtocol,
    ExtractorSpec,
    LoggerSpec,
    LossSpec,
    MetricSpec,
    OptimizerSpec,
    Recipe,
    RegularizerSpec,
)
from ganzoo.testing.architectures import ARCHITECTURE_CHECKS
from ganzoo.testing.augmentations import AUGMENTATION_CHECKS
from ganzoo.testing.checks import Check, CheckError, CheckSkippedError, Example, registry_of
from ganzoo.testing.datasets import DATASET_CHECKS
from ganzoo.testing.evaluation import EXTRACTOR_CHECKS, METRIC_CHECKS, PROTOCOL_CHECKS
from ganzoo.testing.loggers import LOGGER_CHECKS
from ganzoo.testing.losses import LOSS_CHECKS, REGULARIZER_CHECKS
from ganzoo.testing.optimizers import OPTIMIZER_CHECKS
from ganzoo.testing.plugins import examples_of
from ganzoo.testing.recipes import RECIPE_CHECKS
from ganzoo.testing.weights import WEIGHTS_CHECKS
from ganzoo.weights.manifest import WeightsEntry

if TYPE_CHECKING:
    import pytest

CHECKS: Mapping[type[Any], tuple[Check, ...]] = {
    ArchitectureSpec: ARCHITECTURE_CHECKS,
    DatasetSpec: DATASET_CHECKS,
    Recipe: RECIPE_CHECKS,
    MetricSpec: METRIC_CHECKS,
    ExtractorSpec: EXTRACTOR_CHECKS,
    EvaluationProtocol: PROTOCOL_CHECKS,
    LossSpec: LOSS_CHECKS,
    RegularizerSpec: REGULARIZER_CHECKS,
    AugmentationSpec: AUGMENTATION_CHECKS,
    OptimizerSpec: OPTIMIZER_CHECKS,
    LoggerSpec: LOGGER_CHECKS,
    WeightsEntry: WEIGHTS_CHECKS,
}
"""Type of spec -> its checks, in the order in which they are best read."""


@dataclass(frozen=True)
class Result:
    """What a check found."""

    kind: str
    name: str
    check: str
    status: Literal["ok", "failed", "expected", "skipped"]
    """expected: it failed, as was said beforehand."""
    problem: str = ""
    """What was found and what was expected, or why it was skipped; empty if it is ok."""
    change: str = ""
    """What to change if it failed, or the reason why that was expected."""


def checks_of(example: Example) -> tuple[Check, ...]:
    """Return the checks of a spec's kind. Raises TypeError for what is not a spec."""
    if not isinstance(example.spec, WeightsEntry):
        registry_of(example.spec)
    return next(checks for kind, checks in CHECKS.items() if isinstance(example.spec, kind))


def run_check(check: Check, example: Example) -> None:
    """Run one check. Raises CheckError, for exceptions of ganzoo and of the plugin too, and CheckSkippedError."""
    try:
        # What a plugin prints must not get into the data on stdout.
        with contextlib.redirect_stdout(sys.stderr):
            check(example)
    except (CheckError, CheckSkippedError, MemoryError):
        raise
    except GanzooError as error:
        raise CheckError(str(error), error.hint or "Change what it names.") from error
    except Exception as error:
        raise CheckError(
            f"{type(error).__name__}: {shortened(error)}",
            "See the traceback (GANZOO_DEBUG=1 on the command line), and change the line of your code in it.",
        ) from error


def run_checks(examples: Iterable[Example], expected_failures: Mapping[str, str] | None = None) -> Iterator[Result]:
    """Run all checks of some specs, and yield what each found.

    Args:
        examples: specs with what their checks run on.
        expected_failures: `check` or `name/check` -> reason. Such a check must fail: if it does not, that is a failure.

    Raises UsageError for an expected failure that is not a check of these specs.
    """
    pairs = list(_pairs(list(examples), expected_failures or {}))
    for example, check, reason in pairs:
        facts = (example.kind, example.name, check.__name__)
        try:
            run_check(check, example)
        except CheckSkippedError as error:
            yield Result(*facts, "skipped", str(error))
        except CheckError as error:
            status: Literal["expected", "failed"] = "failed" if reason is None else "expected"
            yield Result(*facts, status, error.what, error.change if reason is None else reason)
        else:
            if reason is None:
                yield Result(*facts, "ok")
            else:
                yield Result(*facts, "failed", "it does not fail as expected.", "Remove it from the expected failures.")


def parametrize_with_checks(
    specs: str | Sequence[Any], expected_failures: Mapping[str, str] | None = None
) -> pytest.MarkDecorator:
    """Make a pytest test of each check of each spec.

        @parametrize_with_checks("ganzoo-strange")
        def test_contracts(spec, check): check(spec)

    Args:
        specs: a name of a distribution or of a spec, or specs and `Example`s.
        expected_failures: `check` or `name/check` -> reason. Such a test is marked as a strict xfail.

    Raises UsageError for an expected failure that is not a check of these specs.
    """
    import pytest

    examples = examples_of(specs) if isinstance(specs, str) else list(map(as_example, specs))
    parameters = []
    for example, check, reason in _pairs(examples, expected_failures or {}):
        marks = [] if reason is None else [pytest.mark.xfail(reason=reason, raises=CheckError, strict=True)]
        parameters.append(pytest.param(example, _in_pytest(check), marks=marks, id=f"{example.name}-{check.__name__}"))
    return pytest.mark.parametrize(("spec", "check"), parameters)


def check_all(example: Example) -> None:
    """Run all checks of one spec. Raises CheckError for the first that fails; those that are skipped do not count."""
    for check in checks_of(example):
        with contextlib.suppress(CheckSkippedError):
            run_check(check, example)


def as_example(spec: Any) -> Example:
    """Return an example of a spec; an example stays as it is."""
    return spec if isinstance(spec, Example) else Example(spec)


def _pairs(
    examples: Sequence[Example], expected_failures: Mapping[str, str]
) -> Iterator[tuple[Example, Check, str | None]]:
    """Yield each check with the reason why its failure is expected, if it is."""
    keys = {key for one in examples for check in checks_of(one) for key in _keys(one, check)}
    for key in expected_failures:
        if key not in keys:
            raise UsageError(
                f"no check of these specs is called {key!r}.", hint="Use the name of a check, or SPEC/CHECK."
            )
    for example in examples:
        for check in checks_of(example):
            reasons = [expected_failures[key] for key in _keys(example, check) if key in expected_failures]
            yield example, check, reasons[0] if reasons else None


def _keys(example: Example, check: Check) -> tuple[str, str]:
    return f"{example.name}/{check.__name__}", check.__name__


def _in_pytest(check: Check) -> Callable[[Any], None]:
    def run(spec: Any) -> None:
        import pytest

        try:
            run_check(check, as_example(spec))
        except CheckSkippedError as error:
            pytest.skip(str(error))

    return run
