"""The metrics of every manifest entry in one table: Markdown to read, CSV to compute with."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

from ganzoo.evaluation.report import Evaluation
from ganzoo.registry import metrics
from ganzoo.units import human_time
from ganzoo.weights.manifest import WeightsEntry, measured


@dataclass(frozen=True)
class Row:
    """One metric of one entry."""

    dataset: str
    protocol: str
    weights: str
    metric: str
    better: str
    value: float
    std: float | None
    generator_parameters: int
    training_steps: int
    training_seconds: float
    training_device: str
    samples_per_second: float
    """Speed of the generator during the evaluation."""
    device: str
    """The device that it was measured on."""


def rows(entry: WeightsEntry, evaluation: Evaluation) -> list[Row]:
    """Return the rows of one evaluation."""
    return [
        Row(
            dataset=evaluation.dataset,
            protocol=evaluation.protocol.name,
            weights=str(entry.reference),
            metric=metric.name,
            better=metric.better,
            value=metric.value,
            std=metric.std,
            generator_parameters=entry.parameters["generator"],
            training_steps=entry.training["steps"],
            training_seconds=entry.training["seconds"],
            training_device=entry.training["device"],
            samples_per_second=evaluation.samples_per_second,
            device=evaluation.device,
        )
        for metric in evaluation.metrics
    ]


def to_csv(table: Iterable[Row]) -> str:
    """Return the rows as CSV, with a header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in fields(Row)])
    for row in table:
        writer.writerow([getattr(row, field.name) for field in fields(Row)])
    return text.getvalue()


def to_markdown(table: Sequence[Row]) -> str:
    """Write a table for each protocol, sorted by its first metric, the best weights on top."""
    parts = [
        "# Leaderboard",
        "",
        "Written by `ganzoo zoo measure`. A number compares only with others under the same protocol (see "
        "`ganzoo protocols`); `ganzoo zoo measure --check` reproduces all of them. Values are means over the "
        "protocol's seeds ± one standard deviation.",
    ]
    for protocol in dict.fromkeys(row.protocol for row in table):
        parts += ["", *_protocol(protocol, [row for row in table if row.protocol == protocol])]
    return "\n".join(parts) + "\n"


def _protocol(name: str, table: Sequence[Row]) -> list[str]:
    # dict.fromkeys keeps the order of the protocol; a set would not.
    columns = list(dict.fromkeys((row.metric, row.better) for row in table))
    by_weights: dict[str, dict[str, Row]] = {}
    for row in table:
        by_weights.setdefault(row.weights, {})[row.metric] = row
    first, better = columns[0]
    ordered = sorted(by_weights.values(), key=lambda cells: cells[first].value, reverse=better == "higher")
    arrows = {"lower": "↓", "higher": "↑"}
    titles = [f"{metric} {arrows[better]}" for metric, better in columns]
    lines = [
        f"## {name} ({table[0].dataset})",
        "",
        "".join(f"- `{metric}`: {metrics.get(metric).summary}\n" for metric, _ in columns),
        f"| weights | {' | '.join(titles)} | G parameters | training | samples/s |",
        f"|---|{'---:|' * len(titles)}---:|---|---:|",
    ]
    for cells in ordered:
        row = next(iter(cells.values()))
        values = [measured(cells[metric].value, cells[metric].std) for metric, _ in columns]
        training = f"{row.training_steps:,} steps, {human_time(row.training_seconds)} on {row.training_device}"
        lines.append(
            f"| `{row.weights}` | {' | '.join(values)} | {row.generator_parameters:,} | {training} | "
            f"{row.samples_per_second:,.0f} ({row.device}) |"
        )
    return lines
