"""A finished run -> an entry of a weights manifest, with its files inside a package, ready to be released."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

from ganzoo.building import build_with_weights, discriminator_builder, num_parameters
from ganzoo.errors import GanzooError, UsageError
from ganzoo.evaluation import Evaluation, evaluate_gan
from ganzoo.manifest import SCHEMA_VERSION, WeightsEntry, WeightsFile, read_manifest
from ganzoo.model import CONFIG_NAME, DISCRIMINATOR_NAME, GENERATOR_NAME
from ganzoo.store import write_atomically
from ganzoo.tensors import deserialize
from ganzoo.version import __version__
from ganzoo.zoo import load

TRAINING_NAME = "training.json"

_ROLES = {
    CONFIG_NAME: "config",
    GENERATOR_NAME: "generator",
    DISCRIMINATOR_NAME: "discriminator",
    TRAINING_NAME: "training",
}


def bundle(run: Path, package: Path, *, version: str, license: str, manifest: Path, data_dir: Path | None) -> WeightsEntry:  # noqa: A002
    """Copy a finished run into `<package>/weights/<recipe>-<version>/`, measure it, and enter it into the manifest.

    The new version becomes the default of its name. Raises UsageError when the run is not finished or the version
    exists, and what loading and evaluating raise.
    """
    training = json.loads((run / TRAINING_NAME).read_text(encoding="utf-8"))
    recipe = training["settings"]["recipe"]
    if training["steps"] != recipe["steps"]:
        raise UsageError(f"{run} stopped at step {training['steps']} of {recipe['steps']}.", hint=f"ganzoo resume {run}")
    entries = read_manifest(manifest) if manifest.is_file() else []
    if any((entry.name, entry.version) == (recipe["name"], version) for entry in entries):
        raise UsageError(f"{manifest} has {recipe['name']}@{version} already.", hint="Choose the next --version.")

    evaluation = evaluate_gan(load(run), recipe["name"], data_dir=data_dir)
    folder = Path("weights", f"{recipe['name']}-{version}")
    contents = {name: (run / name).read_bytes() for name in _ROLES}
    entry = _entry(run, contents, training, evaluation, version, license, f"{package.name}:{folder.as_posix()}")
    try:
        for name, content in contents.items():
            write_atomically(package / folder / name, content)
        write_atomically(manifest, _manifest([*_without_default(entries, entry.name), entry]))
    except OSError as error:
        raise GanzooError(f"cannot write to {package}: {error.strerror}.", hint="Free some space.") from error
    return entry


def _entry(
    run: Path,
    contents: dict[str, bytes],
    training: dict[str, Any],
    evaluation: Evaluation,
    version: str,
    license: str,  # noqa: A002
    bundled: str,
) -> WeightsEntry:
    gan = load(run)
    config = json.loads(contents[CONFIG_NAME])
    where = run / DISCRIMINATOR_NAME
    tensors, _ = deserialize(contents[DISCRIMINATOR_NAME], where)
    discriminator = build_with_weights(discriminator_builder(gan.config, str(where)), tensors, where)
    return WeightsEntry(
        name=gan.config.recipe,
        version=version,
        default=True,
        repo_id=None,
        revision=None,
        bundled=bundled,
        files=tuple(
            WeightsFile(path=name, sha256=hashlib.sha256(content).hexdigest(), size=len(content), role=_ROLES[name])
            for name, content in contents.items()
        ),
        recipe=gan.config.recipe,
        architecture=gan.config.architecture,
        config=config["config"],
        latent=config["latent"],
        sample=config["sample"],
        dataset=gan.config.dataset,
        license=license,
        parameters={"generator": num_parameters(gan.generator), "discriminator": num_parameters(discriminator)},
        training={key: value for key, value in training.items() if key != "settings"},
        metrics=tuple(
            {key: value for key, value in dataclasses.asdict(metric).items() if key != "better"}
            for metric in evaluation.metrics
        ),
        min_ganzoo=__version__,
    )


def _without_default(entries: list[WeightsEntry], name: str) -> list[WeightsEntry]:
    return [dataclasses.replace(entry, default=entry.default and entry.name != name) for entry in entries]


def _manifest(entries: list[WeightsEntry]) -> bytes:
    records = []
    for entry in entries:
        record = dataclasses.asdict(entry)
        del record["owner"]  # the distribution that ships the manifest; known to whoever reads it
        records.append(record)
    return (json.dumps({"schema": SCHEMA_VERSION, "entries": records}, indent=2) + "\n").encode()

