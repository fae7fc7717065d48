"""A finished run -> files inside a package, and their entry in a weights manifest."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ganzoo.config import differences, settings_from_json
from ganzoo.errors import GanzooError, SettingsError, UsageError, hint_for
from ganzoo.evaluation.measurement import evaluate_gan
from ganzoo.evaluation.report import Evaluation, MetricValue
from ganzoo.model import GAN
from ganzoo.publishing.card import RECIPE_TEXTS
from ganzoo.publishing.stability import warn_if_unstable
from ganzoo.registry import recipes
from ganzoo.release.preview import preview_png
from ganzoo.requirements import Requirement, merged, requirements
from ganzoo.sources import load
from ganzoo.specs.registration import NAME
from ganzoo.system.files import read_json, write_atomically
from ganzoo.system.shell import quoted
from ganzoo.validation import plain
from ganzoo.version import __version__
from ganzoo.weights.building import num_parameters
from ganzoo.weights.layout import CONFIG_NAME, DISCRIMINATOR_NAME, FILES, PREVIEW_NAME, TRAINING_NAME
from ganzoo.weights.manifest import WeightsEntry, WeightsFile, read_manifest, write_manifest
from ganzoo.weights.nets import discriminator_from_bytes


def bundle(
    run: Path,
    package: Path,
    *,
    version: str,
    license: str,
    manifest: Path,
    data_dir: Path | None,
    device: str = "cpu",
    protocols: Sequence[str] = (),
    with_discriminator: bool = False,
) -> WeightsEntry:
    """Copy a finished run into `<package>/weights/<recipe>-<version>/`, measure it, and add it to the manifest.

    It is measured on the given device, under the given protocols or the dataset's first. The discriminator, which
    sampling does not need, is left out by default. The new version becomes the default of its name.

    Raises UsageError when the run is not finished or the version exists, and what loading and evaluating raise.
    """
    training = _training_record(run)
    name = training["settings"]["recipe"]["name"]
    if NAME.fullmatch(version) is None:
        raise UsageError(f"{version!r} is not a version.", hint="Use lower-case letters and digits, such as v1.")
    entries = read_manifest(manifest) if manifest.is_file() else []
    if any((entry.name, entry.version) == (name, version) for entry in entries):
        raise UsageError(f"{manifest} already has {name}@{version}.", hint="Choose the next --version.")

    # Measured before anything is written: a run that cannot be measured changes nothing.
    gan = load(run)
    warn_if_unstable(gan)
    measured = load(run, device=device)
    evaluations = [evaluate_gan(measured, name, protocol, data_dir) for protocol in protocols or (None,)]
    for evaluation in evaluations:
        if evaluation.deviation:
            raise UsageError(
                f"not measured under {evaluation.protocol.name}: {evaluation.deviation}.",
                hint="Pass the whole --data-dir.",
            )
    folder = Path("weights", f"{name}-{version}")
    contents = {name: (run / name).read_bytes() for name, kind in FILES.items() if kind.trained}
    contents[TRAINING_NAME] = (json.dumps(training, indent=2) + "\n").encode()
    discriminator = discriminator_from_bytes(gan.config, contents[DISCRIMINATOR_NAME], DISCRIMINATOR_NAME)
    parameters = {"generator": num_parameters(gan.generator), "discriminator": num_parameters(discriminator)}
    if not with_discriminator:
        del contents[DISCRIMINATOR_NAME]
    entry = _entry(
        gan, contents, parameters, training, evaluations, version, license, f"{package.name}:{folder.as_posix()}"
    )
    try:
        for name, content in contents.items():
            write_atomically(package / folder / name, content)
        preview = preview_png(gan)
        if preview is not None:
            write_atomically(package / folder / PREVIEW_NAME, preview)
        # Last, so that a manifest never names files that are not there.
        write_manifest(manifest, [*_without_default(entries, entry.name), entry])
    except OSError as error:
        raise GanzooError(f"cannot write to {package}: {error.strerror}.", hint=hint_for(error)) from error
    return entry


def _training_record(run: Path) -> dict[str, Any]:
    """Return the record of a finished run, trained as its recipe says. Raises UsageError for any other run.

    The recipe's summary, source and notes are those of today, for what they say of other weights may have changed.
    """
    try:
        training: dict[str, Any] = read_json(run / TRAINING_NAME)
        # Read as settings: fields that recipes have got since then take their defaults, as they did in effect.
        trained, steps = plain(settings_from_json(training["settings"], str(run)).recipe), training["steps"]
        recipe = plain(recipes.get(trained["name"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError, SettingsError) as error:
        raise UsageError(f"{run} is not a run with weights.", hint="Name a folder that `ganzoo train` made.") from error
    if steps != trained["steps"]:
        raise UsageError(f"{run} stopped at step {steps} of {trained['steps']}.", hint=f"ganzoo resume {quoted(run)}")
    changed = [key for key in differences(recipe, trained) if key not in RECIPE_TEXTS]
    if changed:
        raise UsageError(
            f"{run} was not trained as the recipe {trained['name']!r} says: {', '.join(changed)}.",
            hint="Train without those settings, or define a recipe that has them.",
        )
    training["settings"]["recipe"] |= {key: recipe[key] for key in RECIPE_TEXTS}
    return training


def _entry(
    gan: GAN,
    contents: dict[str, bytes],
    parameters: dict[str, int],
    training: dict[str, Any],
    evaluations: Sequence[Evaluation],
    version: str,
    license: str,
    bundled: str,
) -> WeightsEntry:
    config = json.loads(contents[CONFIG_NAME])
    return WeightsEntry(
        name=gan.config.recipe,
        version=version,
        default=True,
        repo_id=None,
        revision=None,
        bundled=bundled,
        files=tuple(
            WeightsFile(path=name, sha256=hashlib.sha256(content).hexdigest(), size=len(content), role=FILES[name].role)
            for name, content in contents.items()
        ),
        recipe=gan.config.recipe,
        architecture=gan.config.architecture,
        config=config["config"],
        latent=config["latent"],
        sample=config["sample"],
        dataset=gan.config.dataset,
        license=license,
        parameters=parameters,
        # Without the settings: the entry names its recipe, and training.json in the bundle has them all. Its `requires`
        # is a field of the entry.
        training={key: value for key, value in training.items() if key not in ("settings", "requires")},
        metrics=tuple(pinned(metric) for evaluation in evaluations for metric in evaluation.metrics),
        min_ganzoo=__version__,
        requires=merged(gan.config.requires, *(evaluation_requirements(evaluation) for evaluation in evaluations)),
    )


def evaluation_requirements(evaluation: Evaluation) -> tuple[Requirement, ...]:
    """Return the third-party plugins that take part in an evaluation."""
    return requirements(
        {
            "dataset": [evaluation.dataset],
            "protocol": [evaluation.protocol.name] if evaluation.protocol.dataset else [],
            "metric": [metric.name for metric in evaluation.metrics],
            "extractor": [extractor["name"] for extractor in evaluation.extractors],
        }
    )


def pinned(metric: MetricValue) -> dict[str, Any]:
    """Return a metric as the manifest states it.

    Seeds fix the samples, so machines differ in rounding only; the tolerance is far larger than that.
    """
    # Two standard deviations over the seeds, at least 2 % of the value, and never 0.
    tolerance = max(2 * (metric.std or 0), 0.02 * abs(metric.value), 1e-4)
    numbers = {"value": metric.value, "std": metric.std, "tolerance": float(f"{tolerance:.2g}")}
    return {"name": metric.name, **numbers, "protocol": metric.protocol}


def _without_default(entries: list[WeightsEntry], name: str) -> list[WeightsEntry]:
    return [dataclasses.replace(entry, default=entry.default and entry.name != name) for entry in entries]
