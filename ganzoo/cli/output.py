"""What the program says: data on stdout, talk on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from ganzoo.errors import GanzooError


class Output:
    """One for the whole program; `quiet` (-q) silences all talk but errors."""

    def __init__(self) -> None:
        self.quiet = False

    # --- stdout ---

    def json(self, document: Any) -> None:
        """Print one JSON document."""
        print(json.dumps(document, indent=2, default=str))

    def line(self, text: object) -> None:
        """Print one line of data, as it is."""
        print(text)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Print rows under a title; columns of numbers are set flush right."""
        from rich.table import Table

        table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for index, name in enumerate(columns):
            numbers = bool(rows) and all(str(row[index])[:1].isdigit() for row in rows)
            table.add_column(name, justify="right" if numbers else "left", style="bold" if index == 0 else "", no_wrap=index == 0)
        for row in rows:
            table.add_row(*(str(cell) for cell in row))
        self.console().print(table)

    def console(self) -> Console:
        """Return a console on stdout."""
        from rich.console import Console

        return Console(highlight=False, markup=False, emoji=False)

    # --- stderr ---

    def talk(self, text: str) -> None:
        """Say something about the work, unless quiet."""
        if not self.quiet:
            print(text, file=sys.stderr)

    def error(self, error: GanzooError) -> None:
        """Say what went wrong, and how to mend it: a line each."""
        self.problem(str(error), error.hint)

    def problem(self, message: str, hint: str = "") -> None:
        """Say what went wrong, quiet or not."""
        print(f"Error: {_one_line(message)}", file=sys.stderr)
        if hint:
            print(f"Hint:  {_one_line(hint)}", file=sys.stderr)

    def progress_console(self) -> Console | None:
        """Return a console on stderr for bars, or None when nobody would see them."""
        if self.quiet or not sys.stderr.isatty():
            return None
        from rich.console import Console

        return Console(stderr=True, highlight=False)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def flat(document: Mapping[str, Any], prefix: str = "") -> list[tuple[str, object]]:
    """Return nested data as (dotted key, value) rows, empty values left out."""
    rows: list[tuple[str, object]] = []
    for key, value in document.items():
        if isinstance(value, Mapping):
            rows += flat(value, f"{prefix}{key}.")
        elif value not in (None, "", ()):
            rows.append((prefix + key, ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value))
    return rows


def human_size(num_bytes: int) -> str:
    """Write a number of bytes with a decimal unit."""
    size = float(num_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            break
        size /= 1000
    else:
        unit = "TB"
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"


out = Output()
