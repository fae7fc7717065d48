"""`ganzoo reproduce`: train published weights again, and compare their numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ganzoo.cli.evaluate import published_entry
from ganzoo.cli.options import DataDir, Json, LiveView
from ganzoo.cli.output import out
from ganzoo.errors import EvaluationError, ResumeError, TrainingError, UsageError
from ganzoo.system.shell import quoted

if TYPE_CHECKING:
    from ganzoo.config import TrainingSettings
    from ganzoo.evaluation.checking import Comparison
    from ganzoo.evaluation.reproduction import Reproduction
    from ganzoo.training.run import Run
    from ganzoo.weights.manifest import WeightsEntry


def reproduce(
    reference: Annotated[str, typer.Argument(metavar="REF", help="Weights of the zoo: mnist-mlp, mnist-mlp@v1.")],
    seeds: Annotated[
        int, typer.Option(min=1, max=100, metavar="N", help="Train N times: with the published seed and the next ones.")
    ] = 1,
    out_dir: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of the runs; default: runs/NAME-again-TIME.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="auto, cpu, cuda, cuda:N or mps; default: that of the published training.")
    ] = None,
    data_dir: DataDir = None,
    live: LiveView = True,
    json: Json = False,
) -> None:
    """Train weights of the zoo again, measure them, and compare with the published numbers; exit 1 if one differs.

    The settings are those of the published training. On the same kind of processor the weights are the same, bit for
    bit; on others rounding differs, and --seeds shows how much trainings vary. With --out, the same command continues.
    """
    entry = published_entry(reference)
    if not entry.metrics:
        raise UsageError(f"{entry.reference} has no published numbers.", hint="Name other weights of the zoo.")
    settings = _recorded(entry, device)
    from ganzoo.distributed.torchrun import init_processes
    from ganzoo.evaluation.checking import check_data
    from ganzoo.evaluation.reproduction import reproductions
    from ganzoo.training.run import new_folder

    target = init_processes().device(settings.device)
    check_data([(entry, name) for name in entry.protocols], target, data_dir)  # before hours of training
    folder = out_dir or new_folder(f"{entry.name}-again")
    out.talk(f"The same command with --out {quoted(str(folder))} continues what was interrupted.")
    same, trainings = False, {}
    for seed in range(settings.seed, settings.seed + seeds):
        run = _trained(entry, replace(settings, seed=seed), folder / f"seed-{seed}", data_dir, live)
        same = same or _same_tensors(run, entry)
        trainings[seed] = _measured(run, entry, settings.device, data_dir)
    results = list(reproductions(trainings))
    _show(entry, results, same, folder, json)
    missed = [result for result in results if not result.holds]
    if missed:
        raise EvaluationError(
            f"{len(missed)} of {len(results)} published numbers were not reproduced.",
            hint="Another processor or version of PyTorch rounds differently; see how much trainings vary: --seeds 3",
        )
    out.talk(f"All {len(results)} published numbers were reproduced.")


def _recorded(entry: WeightsEntry, device: str | None) -> TrainingSettings:
    """Return the settings of the published training. Raises UsageError where they were not recorded, SettingsError."""
    from ganzoo.config import settings_from_json
    from ganzoo.errors import WeightsFormatError
    from ganzoo.sources import resolve
    from ganzoo.weights.model_config import parse_training_record

    source = f"training.json of {entry.reference}"
    if not any(file.role == "training" for file in entry.files):
        raise UsageError(f"{entry.reference} does not record how it was trained.", hint="Name other weights.")
    try:
        record = parse_training_record(resolve(entry).read("training"), source)
    except WeightsFormatError as error:
        raise UsageError(
            f"{entry.reference} does not record how it was trained: {error}", hint="Name other weights."
        ) from error
    settings = settings_from_json(record["settings"], source)
    # What was chosen when the training began, in place of `auto`; and nothing that only watches. GPUs are recorded
    # by their product names.
    threads = re.fullmatch(r"cpu \((\d+) threads?\)", record["device"])
    recorded = "cpu" if threads is not None else "mps" if record["device"] == "mps" else "cuda"
    return replace(
        settings,
        device=device or recorded,
        threads=int(threads[1]) if threads is not None else settings.threads,
        eval_every=None,
        loggers=(),
    )


def _trained(entry: WeightsEntry, settings: TrainingSettings, path: Path, data_dir: Path | None, live: bool) -> Run:
    """Train, or continue the training in a folder. Raises Exit with 130 after an interruption, TrainingError."""
    from ganzoo.cli.opening import open_dataset
    from ganzoo.cli.watch import watch
    from ganzoo.config import record_layer
    from ganzoo.training import Training
    from ganzoo.training.run import is_run

    layers = [record_layer({"settings": settings.to_json()}, "the published training")]
    if is_run(path):
        try:
            training = Training.resume(path, layers, data_dir, open_dataset)
        except ResumeError as error:
            raise TrainingError(f"{path} holds another training: {error}", hint="Choose another --out.") from error
    else:
        training = Training.start(entry.recipe, path, layers, data_dir, open_dataset)
    if training.run.dataset_digest != entry.training.get("dataset_digest"):
        out.talk(f"These data are not those of the published training; their digest is {training.run.dataset_digest}.")
    watch(training, json=False, live=live, data=False)
    return training.run


def _same_tensors(run: Run, entry: WeightsEntry) -> bool:
    """Whether the generator of a run is the published one, bit for bit, whatever the header says."""
    from ganzoo.sources import resolve
    from ganzoo.weights.tensors import DATA_DIGEST_KEY, read_metadata

    sources = (resolve(str(run.path.resolve())), resolve(entry))
    trained, published = (
        read_metadata(source.read("generator"), source.reference).get(DATA_DIGEST_KEY) for source in sources
    )
    return trained is not None and trained == published


def _measured(run: Run, entry: WeightsEntry, device: str, data_dir: Path | None) -> Sequence[Comparison]:
    """Measure a run under every protocol of an entry, and compare."""
    from ganzoo.evaluation.checking import compare
    from ganzoo.evaluation.measurement import evaluate
    from ganzoo.evaluation.report import save_beside_run

    reference = str(run.path.resolve())
    compared: list[Comparison] = []
    for protocol in entry.protocols:
        out.talk(f"Evaluating {run.path} under {protocol}")
        evaluation = evaluate(reference, protocol=protocol, device=device, data_dir=data_dir)
        save_beside_run(reference, evaluation)
        compared += compare(entry, evaluation)
    return compared


def _show(entry: WeightsEntry, results: Sequence[Reproduction], same: bool, folder: Path, json: bool) -> None:
    if json:
        metrics = [_document(one) for one in results]
        out.json({"reference": str(entry.reference), "path": str(folder), "same_tensors": same, "metrics": metrics})
        return
    for protocol, group in groupby(results, key=lambda one: one.protocol):
        found = list(group)
        seeds = list(dict.fromkeys(seed for one in found for seed in one.values))
        spread = ["mean ± deviation"] if len(seeds) > 1 else []
        columns = ["metric", "published ± tolerance", *(f"seed {seed}" for seed in seeds), *spread, "reproduced"]
        out.table(f"{entry.reference} under {protocol}, trained again", columns, [_row(one, seeds) for one in found])
    out.line(f"The weights are {'' if same else 'not '}the published ones, bit for bit.")
    for deviation in dict.fromkeys(one.deviation for one in results if one.deviation is not None):
        out.line(f"Not comparable with the published numbers: {deviation}.")


def _document(one: Reproduction) -> dict[str, Any]:
    fields = asdict(one)
    return {"name": fields.pop("metric"), **fields, "mean": one.mean, "std": one.std, "holds": one.holds}


def _row(one: Reproduction, seeds: Sequence[int]) -> tuple[str, ...]:
    from ganzoo.weights.manifest import measured

    values = [f"{one.values[seed]:.5g}" if seed in one.values else "not measured" for seed in seeds]
    mean = "not measured" if one.mean is None else measured(one.mean, one.std)
    spread = [mean] if len(seeds) > 1 else []
    return (one.metric, f"{one.published:.5g} ± {one.tolerance:.2g}", *values, *spread, "yes" if one.holds else "no")
