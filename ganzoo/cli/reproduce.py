"""`ganzoo reproduce`: train published weights again, and compare their numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ganzoo.cli.evaluate import published_entry
from ganzoo.cli.options import DataDir, Json, LiveView
from ganzoo.cli.output import out
from ganzoo.errors import EvaluationError, TrainingError

if TYPE_CHECKING:
    from ganzoo.config import Layer
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
    layer = _recorded(entry, device)
    from ganzoo.evaluation.reproduction import reproductions
    from ganzoo.training.run import new_folder

    folder = out_dir or new_folder(f"{entry.name}-again")
    first = layer.values["seed"]
    same, trainings = None, {}
    for seed in range(first, first + seeds):
        run = _trained(entry, layer, seed, folder / f"seed-{seed}", data_dir, live)
        if seed == first:
            same = _same_tensors(run, entry)
        if run.dataset_digest != entry.training.get("dataset_digest"):
            out.talk(f"These data are not those of the published training: their digest is {run.dataset_digest}")
        trainings[seed] = _measured(run, entry, device or "cpu", data_dir)
    results = list(reproductions(trainings))
    _show(entry, results, same, folder, json)
    missed = [result for result in results if not result.holds]
    if missed:
        raise EvaluationError(
            f"{len(missed)} of {len(results)} published numbers were not reproduced.",
            hint=missed[0].deviation
            or "Another processor or version of PyTorch rounds differently; see how much trainings vary: --seeds 3",
        )
    out.talk(f"All {len(results)} published numbers were reproduced.")


def _recorded(entry: WeightsEntry, device: str | None) -> Layer:
    """Return all settings of the published training. Raises SettingsError."""
    from ganzoo.config import Layer, parse_record, record_layer
    from ganzoo.sources import resolve

    source = f"training.json of {entry.reference}"
    record = parse_record(resolve(entry).read("training"), source)
    # What was chosen when the training began, in place of `auto`.
    chosen: dict[str, Any] = {name: record[name] for name in ("seed", "precision") if name in record}
    threads = re.fullmatch(r"cpu \((\d+) threads?\)", record.get("device", ""))
    if threads is not None:
        chosen["threads"] = int(threads[1])
    if device is not None:
        chosen["device"] = device
    return Layer(source, {**record_layer(record, source).values, **chosen})


def _trained(entry: WeightsEntry, layer: Layer, seed: int, path: Path, data_dir: Path | None, live: bool) -> Run:
    """Train with one seed, or continue the training in a folder. Raises Exit with 130 after an interruption."""
    from ganzoo.cli.opening import open_dataset
    from ganzoo.cli.watch import watch
    from ganzoo.config import Layer, resolve
    from ganzoo.registry import recipes
    from ganzoo.training import Training
    from ganzoo.training.run import Run, is_run

    layers = [layer, Layer("the seed", {"seed": seed})]
    if is_run(path):
        if Run.open(path).settings.recipe != resolve(recipes.get(entry.recipe), layers, seed=seed).recipe:
            raise TrainingError(f"{path} holds another training.", hint="Choose another --out.")
        training = Training.resume(path, (), data_dir, open_dataset)
    else:
        training = Training.start(entry.recipe, path, layers, data_dir, open_dataset)
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


def _show(entry: WeightsEntry, results: Sequence[Reproduction], same: bool | None, folder: Path, json: bool) -> None:
    if json:
        metrics = [{**asdict(one), "mean": one.mean, "std": one.std, "holds": one.holds} for one in results]
        out.json({"reference": str(entry.reference), "path": str(folder), "same_tensors": same, "metrics": metrics})
        return
    for protocol, group in groupby(results, key=lambda one: one.protocol):
        found = list(group)
        seeds = list(dict.fromkeys(seed for one in found for seed in one.values))
        columns = ["metric", "published ± tolerance", *(f"seed {seed}" for seed in seeds)]
        rows = [_row(one, seeds) for one in found]
        if len(seeds) > 1:
            columns.append("mean ± deviation")
        out.table(f"{entry.reference} under {protocol}, trained again", [*columns, "reproduced"], rows)
    if same:
        out.line("The weights are the published ones, bit for bit.")


def _row(one: Reproduction, seeds: Sequence[int]) -> tuple[str, ...]:
    from ganzoo.weights.manifest import measured

    values = [f"{one.values[seed]:.5g}" if seed in one.values else "not measured" for seed in seeds]
    mean = [measured(one.mean, one.std)] if len(seeds) > 1 and one.mean is not None else []
    return (one.metric, f"{one.published:.5g} ± {one.tolerance:.2g}", *values, *mean, "yes" if one.holds else "no")
