"""Checks of weights in a manifest: their files, their samples, and their published numbers."""

from __future__ import annotations

import torch

from ganzoo.errors import MissingWeightsError
from ganzoo.evaluation.checking import compare, evaluate_entries
from ganzoo.model import GAN
from ganzoo.sources import load, verify
from ganzoo.testing.architectures import TOLERANCE
from ganzoo.testing.checks import Check, CheckSkippedError, Example, expect

NUM = 8
BUNDLE = "Add them again with `ganzoo zoo bundle`, under a new version."


def _loaded(example: Example) -> GAN:
    try:
        return load(str(example.spec.reference))
    except MissingWeightsError as error:
        raise CheckSkippedError(str(error)) from error


def files_match_the_manifest(example: Example) -> None:
    """Every file has its size and digest, and the nets can be built from them."""
    try:
        verify(str(example.spec.reference))
    except MissingWeightsError as error:
        expect(example.spec.bundled is None, str(error), "Ship the folder in the package: check its build settings.")
        raise CheckSkippedError(str(error)) from error


def the_manifest_describes_the_model(example: Example) -> None:
    """Architecture, dataset and recipe in the manifest are those of config.json."""
    gan = _loaded(example)
    for name in ("architecture", "dataset", "recipe"):
        listed, found = getattr(example.spec, name), getattr(gan.config, name)
        expect(listed == found, f"the manifest says {name}={listed!r}, config.json {found!r}.", BUNDLE)


def samples_follow_from_the_seed(example: Example) -> None:
    """The same seed gives the same finite samples again, each the same alone and in a batch."""
    gan = _loaded(example)
    samples, again, alone = gan.sample(NUM, seed=0), gan.sample(NUM, seed=0), gan.sample(1, seed=0)
    expect(samples.isfinite().all(), "samples hold NaN or infinite values.", "Train it again.")
    expect(torch.equal(samples, again), "the same seed gives other samples.", "See the checks of its architecture.")
    expect(
        (samples[:1] - alone).abs().amax() <= TOLERANCE * samples.abs().amax(),
        "a sample is another one when its batch holds other samples.",
        "See the checks of its architecture.",
    )


def published_numbers_are_reproduced(example: Example) -> None:
    """Measured again, its metrics are those in the manifest, within their tolerances; only if that was asked for."""
    if not example.evaluate:
        raise CheckSkippedError("published numbers are measured with --evaluate, or Example(evaluate=True)")
    for entry, evaluation in evaluate_entries([example.spec], data_dir=example.data_dir):
        for comparison in compare(entry, evaluation):
            expect(
                comparison.holds,
                f"{comparison.metric} is {comparison.measured}, not {comparison.published:.5g} ± "
                f"{comparison.tolerance:.2g} ({comparison.deviation or comparison.protocol}).",
                BUNDLE,
            )


WEIGHTS_CHECKS: tuple[Check, ...] = (
    files_match_the_manifest,
    the_manifest_describes_the_model,
    samples_follow_from_the_seed,
    published_numbers_are_reproduced,
)
