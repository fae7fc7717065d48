"""`ganzoo zoo`: what maintainers of a zoo need. Hidden from `ganzoo --help`, documented in docs/cli.md."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ganzoo.cli.evaluate import require_reproduced, show_comparisons
from ganzoo.cli.options import DataDir, Device, Json, Yes
from ganzoo.cli.output import out
from ganzoo.cli.push import approve, report
from ganzoo.distributed.torchrun import is_main_process
from ganzoo.errors import EvaluationError, UsageError
from ganzoo.units import human_size

app = typer.Typer(help="For maintainers: bundle, measure and publish the weights of a zoo.", no_args_is_help=True)


@app.command()
def measure(
    check: Annotated[
        bool, typer.Option("--check", help="Check that the published numbers can be reproduced; exit 1 if not.")
    ] = False,
    out_dir: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Write leaderboard.md and leaderboard.csv here; default: print the Markdown."),
    ] = None,
    protocol: Annotated[str | None, typer.Option(help="With --check: only this protocol.")] = None,
    device: Device = "cpu",
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Evaluate all weights of the zoo and write the leaderboard, or check it."""
    from ganzoo.evaluation.checking import compare, evaluate_entries
    from ganzoo.release import leaderboard
    from ganzoo.weights.manifest import Zoo

    if check and out_dir is not None:
        raise UsageError("--check writes no leaderboard.", hint="Leave --out or --check out.")
    if protocol is not None and not check:
        raise UsageError("a leaderboard needs all protocols.", hint="Leave --protocol out, or add --check.")
    zoo = Zoo()
    if zoo.problems:
        raise zoo.problems[0]  # else the leaderboard would silently lack the entries of that manifest
    entries = [entry for entry in zoo.matching() if protocol is None or protocol in entry.protocols]
    rows, comparisons = [], []
    for entry, evaluation in evaluate_entries(entries, device, data_dir, protocol, out.talk):
        if evaluation.deviation and not check:
            raise EvaluationError(
                f"{entry.reference}: {evaluation.deviation}.", hint="Pass the official files as --data-dir."
            )
        rows += leaderboard.rows(entry, evaluation)
        comparisons += compare(entry, evaluation)
    if check:
        if not comparisons:
            raise UsageError(f"no weights have published numbers under {protocol}.", hint="Leave --protocol out.")
        show_comparisons(comparisons, json)
        require_reproduced(comparisons)
        return
    documents = {"leaderboard.md": leaderboard.to_markdown(rows), "leaderboard.csv": leaderboard.to_csv(rows)}
    paths = [] if out_dir is None or not is_main_process() else _write(out_dir, documents)
    if json:
        out.json({"rows": [asdict(row) for row in rows], "paths": [str(path) for path in paths]})
    elif out_dir is None:
        out.line(documents["leaderboard.md"].rstrip("\n"))
    else:
        for path in paths:
            out.line(path)


def _write(folder: Path, documents: dict[str, str]) -> list[Path]:
    from ganzoo.system.files import write_atomically

    for name, text in documents.items():
        write_atomically(folder / name, text.encode())
    return [folder / name for name in documents]


@app.command()
def publish(
    organization: Annotated[str, typer.Argument(metavar="ORG", help="User or organization on the Hub.")],
    manifest: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The manifest to update; default: the installed one.")
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="Create private repositories.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show files and model cards without uploading.")] = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Upload weights that are not on the Hub yet, and pin them in the manifest.

    Each goes to a repository ORG/NAME of its own.
    """
    from ganzoo.release.publish import publish_zoo

    pushed = publish_zoo(
        organization,
        manifest,
        private=private,
        approve=lambda packages: approve(packages, private, dry_run, yes, json),
        report=lambda one: out.talk(f"{one.repo_id} is uploaded and pinned at {one.commit}."),
    )
    if not dry_run:
        report(pushed, json)


@app.command()
def bundle(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")],
    package: Annotated[Path, typer.Argument(metavar="PACKAGE", help="Folder of the Python package that will ship it.")],
    version: Annotated[str, typer.Option(help="Version of the weights, such as v1.")],
    license: Annotated[str, typer.Option(help="License of the weights, as an SPDX identifier.")],
    manifest: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The manifest; default: weights_manifest.json in the package.")
    ] = None,
    protocols: Annotated[
        list[str] | None,
        typer.Option("--protocol", help="Evaluation protocol (repeatable); default: the dataset's first."),
    ] = None,
    with_discriminator: Annotated[
        bool, typer.Option("--with-discriminator", help="Include the discriminator, which sampling does not need.")
    ] = False,
    device: Device = "cpu",
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Evaluate a finished run, and add it to a package and its manifest."""
    from ganzoo.release.bundle import bundle
    from ganzoo.weights.manifest import MANIFEST_NAME, measured

    entry = bundle(
        run,
        package,
        version=version,
        license=license,
        manifest=manifest or package / MANIFEST_NAME,
        data_dir=data_dir,
        device=device,
        protocols=protocols or (),
        with_discriminator=with_discriminator,
    )
    if json:
        metrics = [dict(metric) for metric in entry.metrics]
        out.json({"reference": str(entry.reference), "path": str(package), "size": entry.size, "metrics": metrics})
    else:
        out.line(entry.reference)
    for metric in entry.metrics:
        out.talk(f"{metric['name']} {measured(metric['value'], metric['std'])} ({metric['protocol']})")
    out.talk(f"Added {human_size(entry.size)} to {package}. Commit it together with the manifest.")
