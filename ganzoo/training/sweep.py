"""A sweep: one recipe trained once for every combination of some settings, into one folder with one table.

sweep.csv       a line for each run: its settings, state and newest numbers
KEY=A,KEY=C/    the runs, named after their settings
"""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganzoo.config import parsed
from ganzoo.errors import SettingsError, shortened
from ganzoo.system.files import write_atomically
from ganzoo.training.run import Run, is_run, writing

MAX_RUNS = 1000
MAX_NAME = 100
"""Characters of a run's folder; longer settings are told apart by a digest."""


@dataclass(frozen=True)
class SweepRun:
    """One combination of values."""

    path: Path
    """The run's folder."""
    values: Mapping[str, Any]
    """Dotted key -> value."""

    def row(self, failed: str = "") -> dict[str, Any]:
        """Return its line of the table; `failed` is why it ended early, if it did."""
        row: dict[str, Any] = {"run": self.path.name, **self.values}
        run = Run.open(self.path) if is_run(self.path) else None
        records = [] if run is None else run.records()
        finished = run is not None and bool(records) and records[-1]["step"] >= run.settings.recipe.steps
        row["state"] = failed or ("finished" if finished else "stopped" if run is not None else "not begun")
        # The newest value of each number: evaluations are rarer than records.
        for record in records:
            row |= {key: value for key, value in record.items() if key not in _LEFT_OUT}
        return row


_LEFT_OUT = ("images", "seconds", "protocol", "augment_probability")


def sweep_runs(folder: Path, assignments: Iterable[str]) -> list[SweepRun]:
    """Return the runs of `KEY=A,B` texts: all combinations, the first key changing slowest. Raises SettingsError."""
    choices: dict[str, list[Any]] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key.strip() or not text.strip():
            raise SettingsError(
                f"--sweep {assignment!r} is not of the form key=a,b.", hint="Example: --sweep batch_size=64,128"
            )
        choices[key.strip()] = _values(text)
    combinations = [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]
    if len(combinations) > MAX_RUNS:
        raise SettingsError(f"the sweep has {len(combinations):,} runs.", hint=f"Choose at most {MAX_RUNS}.")
    return [SweepRun(folder / _name(values), values) for values in combinations]


def _values(text: str) -> list[Any]:
    """Return the values between commas; lists and texts with commas are written as JSON."""
    try:
        values = json.loads(f"[{text}]")
    except (ValueError, RecursionError):
        values = [parsed(part.strip()) for part in text.split(",")]
    return list(values)


def _name(values: Mapping[str, Any]) -> str:
    text = ",".join(f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in values.items())
    name = re.sub(r"[^A-Za-z0-9=,._+-]", "_", text)
    if name == text and len(name) <= MAX_NAME:
        return name
    return f"{name[:MAX_NAME]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def write_table(folder: Path, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Write sweep.csv and return its columns. Raises TrainingError."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    table = csv.DictWriter(text, columns, lineterminator="\n")
    table.writeheader()
    table.writerows({key: shortened(value, 500) for key, value in row.items()} for row in rows)
    with writing(folder):
        write_atomically(folder / "sweep.csv", text.getvalue().encode())
    return columns
