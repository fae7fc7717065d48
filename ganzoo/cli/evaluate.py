"""`ganzoo eval` and `ganzoo protocols`."""

from __future__ import annotations

import fnmatch
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganzoo.cli.options import DataDir, Device, Json, Reference, Threads
from ganzoo.cli.output import out
from ganzoo.distributed.torchrun import is_main_process
from ganzoo.errors import EvaluationError, PluginError, UsageError
from ganzoo.system.devices import cpu_threads

if TYPE_CHECKING:
    from ganzoo.evaluation.checking import Comparison
    from ganzoo.evaluation.report import Evaluation
    from ganzoo.weights.manifest import WeightsEntry


def eval_(
    reference: Reference,
    protocol: Annotated[
        str | None,
        typer.Option(help="One of `ganzoo protocols`; default: the dataset's first."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Check that the published numbers can be reproduced; exit 1 if not.")
    ] = False,
    device: Device = "cpu",
    threads: Threads = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Evaluate weights or a run under a named protocol.

    --json prints the full report, with seeds, checksums and versions.
    """
    if check:
        with cpu_threads(threads):
            comparisons = _compare(published_entry(reference), device, data_dir, protocol)
        show_comparisons(comparisons, json)
        require_reproduced(comparisons)
        return

    from ganzoo.sources import resolve

    resolve(reference)  # reports a wrong name before torch is imported
    from ganzoo.evaluation.measurement import evaluate
    from ganzoo.evaluation.report import save_beside_run

    with cpu_threads(threads):
        result = evaluate(reference, protocol=protocol, device=device, data_dir=data_dir)
    saved = save_beside_run(reference, result) if is_main_process() else None
    if json:
        out.json(result.to_json())
    else:
        show_evaluation(result)
    if saved is not None:
        out.talk(f"Saved to {saved}")


def show_evaluation(result: Evaluation) -> None:
    """Print an evaluation as a table."""
    from ganzoo.weights.manifest import measured

    rows = [
        (metric.name, measured(metric.value, metric.std), f"{metric.better} is better", metric.protocol)
        for metric in result.metrics
    ]
    out.table(result.reference, ["metric", "value", "direction", "protocol"], rows)
    wanted = result.protocol.num_real
    if result.num_real is not None and wanted is not None and result.num_real < wanted:
        out.line(f"Compared with {result.num_real:,} real samples, all there are; the protocol takes up to {wanted:,}.")
    if result.deviation:
        out.line(f"Not comparable with other numbers: {result.deviation}.")


def published_entry(reference: str) -> WeightsEntry:
    """Return the zoo's entry that a reference means. Raises UsageError for what has no published numbers."""
    from ganzoo.sources import resolve

    entry = resolve(reference).entry
    if entry is None:
        raise UsageError(f"{reference} has no published numbers.", hint="Name weights of the zoo, such as mnist-mlp.")
    return entry


def _compare(entry: WeightsEntry, device: str, data_dir: Path | None, protocol: str | None) -> list[Comparison]:
    from ganzoo.evaluation.checking import compare, evaluate_entries

    if protocol is not None and protocol not in entry.protocols:
        raise UsageError(
            f"{entry.reference} has no published numbers under {protocol}.",
            hint=f"Leave --protocol out, or use one of {', '.join(entry.protocols)}.",
        )
    evaluations = evaluate_entries([entry], device, data_dir, protocol, out.talk)
    return [comparison for _, evaluation in evaluations for comparison in compare(entry, evaluation)]


def show_comparisons(comparisons: list[Comparison], json: bool) -> None:
    """Print published and measured numbers side by side."""
    if json:
        out.json({"comparisons": [{**asdict(one), "holds": one.holds} for one in comparisons]})
        return
    groups = groupby(comparisons, key=lambda one: (one.reference, one.protocol))
    for index, ((reference, protocol), group) in enumerate(groups):
        if index:
            out.line("")
        rows = [
            (
                one.metric,
                f"{one.published:.5g} ± {one.tolerance:.2g}",
                "not measured" if one.measured is None else f"{one.measured:.5g}",
                "yes" if one.holds else "no",
            )
            for one in group
        ]
        out.table(f"{reference} under {protocol}", ["metric", "published ± tolerance", "measured", "reproduced"], rows)
    for deviation in dict.fromkeys(one.deviation for one in comparisons if one.deviation is not None):
        out.line(f"Not comparable with the published numbers: {deviation}.")


def require_reproduced(comparisons: list[Comparison]) -> None:
    """Raise EvaluationError if a published number was not reproduced."""
    missed = [comparison for comparison in comparisons if not comparison.holds]
    if missed:
        first = missed[0]
        why = first.deviation or f"{first.measured} is not within {first.published:.5g} ± {first.tolerance:.2g}"
        raise EvaluationError(
            f"{len(missed)} of {len(comparisons)} published numbers were not reproduced; {first.metric} of "
            f"{first.reference}: {why}.",
            hint="Compare device, versions and data with those of the entry; if they are the same, report a bug.",
        )
    out.talk(f"All {len(comparisons)} published numbers were reproduced.")


def protocols(
    pattern: Annotated[str, typer.Argument(help="Shell pattern, such as 'mnist-*'.")] = "*", json: Json = False
) -> None:
    """List the evaluation protocols."""
    from ganzoo import registry

    found = []
    for name in registry.datasets:
        try:
            found += [(name, one) for one in registry.datasets.get(name).protocols]
        except PluginError as error:
            out.error(error)  # a broken plugin hides only its own protocols
    for name in registry.protocols:
        try:
            one = registry.protocols.get(name)
            found.append((one.dataset or "", one))
        except PluginError as error:
            out.error(error)
    found = [(name, one) for name, one in found if fnmatch.fnmatchcase(one.name, pattern)]
    if json:
        out.json({"protocols": [{**asdict(protocol), "dataset": name} for name, protocol in found]})
        return
    rows = []
    for name, protocol in found:
        samples = f"{len(protocol.seeds)} × {protocol.num_samples:,}"
        real = "none" if protocol.split is None else f"{protocol.split} ({protocol.num_real or 'all'})"
        rows.append((protocol.name, name, protocol.use, samples, real, ", ".join(protocol.metrics)))
    if rows:
        out.table("", ["protocol", "dataset", "use", "samples", "real samples", "metrics"], rows)
    else:
        out.talk(f"No protocol matches {pattern!r}.")
