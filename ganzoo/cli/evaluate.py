"""`ganzoo eval`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganzoo.cli.options import DataDir, Device
from ganzoo.cli.output import out
from ganzoo.distributed.torchrun import follows
from ganzoo.errors import EvaluationError, UsageError

if TYPE_CHECKING:
    from ganzoo.evaluation import Evaluation
    from ganzoo.evaluation.checking import Comparison
    from ganzoo.weights.manifest import WeightsEntry


def eval_(
    reference: Annotated[
        str | None,
        typer.Argument(metavar="REF", help="mnist-mlp, mnist-mlp@v1, a run or any folder."),
    ] = None,
    protocol: Annotated[str | None, typer.Option(help="Name of a protocol; default: the dataset's first.")] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the protocols, and measure nothing.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Hold published numbers to their tolerance; exit 1 if one is not met.")
    ] = False,
    zoo: Annotated[
        bool, typer.Option("--zoo", help="Measure every entry of the zoo, and write leaderboard.md and .csv.")
    ] = False,
    out_dir: Annotated[Path, typer.Option("--out", help="Folder for the leaderboard.")] = Path("docs"),
    device: Device = "cpu",
    data_dir: DataDir = None,
) -> None:
    """Measure weights or a run under a named protocol; prints one JSON document with all that fixes the numbers."""
    if list_:
        _list()
    elif zoo and reference is None:
        _zoo(check, out_dir, device, data_dir, protocol)
    elif zoo or reference is None:
        raise UsageError("name one model, or --zoo for all.", hint="Try: ganzoo eval mnist-mlp")
    elif check:
        _check(_entry(reference), device, data_dir, protocol)
    else:
        _measure(reference, protocol, device, data_dir)


def _measure(reference: str, protocol: str | None, device: str, data_dir: Path | None) -> None:
    from ganzoo.evaluation import evaluate, save_beside_run

    result = evaluate(reference, protocol=protocol, device=device, data_dir=data_dir)
    out.json(result.to_json())
    saved = None if follows() else save_beside_run(reference, result)
    if saved is not None:
        out.talk(f"Saved as {saved}.")
    _summarize(result)


def _summarize(result: Evaluation) -> None:
    from ganzoo.weights.manifest import measured

    if result.deviation:
        out.talk(f"Not comparable: {result.deviation}.")
    for metric in result.metrics:
        found = measured(metric.value, metric.std)
        out.talk(f"{metric.name} {found} ({metric.better} is better, {metric.protocol})")


def _list() -> None:
    from ganzoo.errors import PluginError
    from ganzoo.registry import datasets

    rows = []
    for name in datasets:
        try:
            protocols = datasets.get(name).protocols
        except PluginError as error:
            out.error(error)  # one broken plugin hides nothing but its own
            continue
        for protocol in protocols:
            samples = f"{len(protocol.seeds)} × {protocol.num_samples:,}"
            real = "the law itself" if protocol.split is None else f"{protocol.split} ({protocol.num_real or 'all'})"
            rows.append((protocol.name, name, protocol.use, samples, real, ", ".join(protocol.metrics)))
    out.table("", ["protocol", "dataset", "use", "samples", "real", "metrics"], rows)


def _entry(reference: str) -> WeightsEntry:
    from ganzoo.sources import resolve

    entry = resolve(reference).entry
    if entry is None:
        raise UsageError(f"{reference} has no published numbers.", hint="Name weights of the zoo, such as mnist-mlp.")
    return entry


def _check(entry: WeightsEntry, device: str, data_dir: Path | None, protocol: str | None) -> None:
    from ganzoo.evaluation.checking import compare, evaluate_entry

    evaluations = evaluate_entry(entry, device, data_dir, protocol)
    _verdict([comparison for evaluation in evaluations for comparison in compare(entry, evaluation)])


def _verdict(comparisons: list[Comparison]) -> None:
    """Print what was compared. Raises EvaluationError when a number was not found again."""
    from dataclasses import asdict

    out.json([{**asdict(comparison), "holds": comparison.holds} for comparison in comparisons])
    if not comparisons:
        raise EvaluationError("nothing was published under that protocol.", hint="Leave --protocol out.")
    missed = [comparison for comparison in comparisons if not comparison.holds]
    if missed:
        first = missed[0]
        why = first.deviation or f"{first.measured} is not {first.published:.5g} ± {first.tolerance:.2g}"
        raise EvaluationError(
            f"{len(missed)} of {len(comparisons)} published numbers were not found again; {first.metric} of "
            f"{first.reference}: {why}.",
            hint="Compare device, versions and data with the entry's; if they agree, report it.",
        )
    out.talk(f"All {len(comparisons)} published numbers hold.")


def _zoo(check: bool, out_dir: Path, device: str, data_dir: Path | None, protocol: str | None) -> None:
    from ganzoo.evaluation.checking import compare, evaluate_entry
    from ganzoo.release import leaderboard
    from ganzoo.system.files import write_atomically
    from ganzoo.weights.manifest import Zoo

    if protocol is not None and not check:
        raise UsageError("a leaderboard has all protocols.", hint="Leave --protocol out, or add --check.")
    zoo = Zoo()
    if zoo.problems:
        raise zoo.problems[0]  # a leaderboard that leaves entries out would not say so
    rows, comparisons = [], []
    for entry in zoo.matching():
        if protocol is not None and protocol not in entry.protocols:
            continue
        out.talk(f"{entry.reference} …")
        for evaluation in evaluate_entry(entry, device, data_dir, protocol):
            _summarize(evaluation)
            if evaluation.deviation and not check:
                raise EvaluationError(f"{entry.reference}: {evaluation.deviation}.", hint="Pass the right --data-dir.")
            rows += leaderboard.rows(entry, evaluation)
            comparisons += compare(entry, evaluation)
    if check:
        _verdict(comparisons)
        return
    if follows():
        return
    for name, text in (
        ("leaderboard.md", leaderboard.to_markdown(rows)),
        ("leaderboard.csv", leaderboard.to_csv(rows)),
    ):
        write_atomically(out_dir / name, text.encode())
        out.line(out_dir / name)
