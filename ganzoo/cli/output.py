"""What the program prints: data on stdout, messages on stderr."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal
from unicodedata import category

import typer

from ganzoo.errors import GanzooError, UsageError

if TYPE_CHECKING:
    from rich.console import Console


class Output:
    """The program's output.

    Attributes:
        quiet: print no messages but errors (-q).
        silent: print no data either: this process is not the main one of a distributed training.
    """

    def __init__(self) -> None:
        self.quiet = self.silent = False

    # --- stdout ---

    def json(self, document: Any) -> None:
        """Print one JSON document; NaN and infinity, which JSON does not have, become null."""
        try:
            text = json.dumps(document, indent=2, default=str, allow_nan=False)
        except ValueError:
            finite = json.loads(json.dumps(document, default=str), parse_constant=lambda _: None)
            text = json.dumps(finite, indent=2)
        self.line(text)

    def line(self, text: object) -> None:
        """Print data as text."""
        if not self.silent:
            with named_stdout():
                print(printable(str(text)))

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Print rows under a title: aligned on a terminal, numbers to the right; elsewhere two spaces apart."""
        if self.silent:
            return
        if not sys.stdout.isatty():  # padded to the longest cell, most of what a program reads would be blanks
            if title:
                self.line(title)
            for row in (columns, *rows):
                self.line("  ".join(" ".join(str(cell).split()) for cell in row).rstrip())
            return
        from rich.table import Table

        table = Table(box=None, pad_edge=False)
        for index, name in enumerate(columns):
            numbers = bool(rows) and all(str(row[index])[:1].isdigit() for row in rows)
            justify: Literal["right", "left"] = "right" if numbers else "left"
            first = index == 0
            table.add_column(name, justify=justify, style="bold" if first else "", no_wrap=first, overflow="fold")
        for row in rows:
            table.add_row(*(printable(str(cell)) for cell in row))
        console = self.console()
        with named_stdout():
            if title:
                console.print(printable(title), style="bold underline", soft_wrap=True)
            console.print(table)

    def console(self) -> Console:
        """Return a console on stdout; lines are not wrapped if it is not a terminal."""
        from rich.console import Console

        width = None if sys.stdout.isatty() else 10_000
        return Console(width=width, highlight=False, markup=False, emoji=False)

    # --- stderr ---

    def talk(self, text: str) -> None:
        """Print a message about the progress of the work, unless quiet."""
        if not self.quiet:
            _to_stderr(_one_line(text))

    def error(self, error: GanzooError) -> None:
        """Print an error and its hint, one line each."""
        self.problem(str(error), error.hint)

    def problem(self, message: str, hint: str = "") -> None:
        """Print an error, even if quiet."""
        _to_stderr(f"Error: {_one_line(message)}")
        if hint:
            _to_stderr(f"Hint:  {_one_line(hint)}")

    def progress_console(self) -> Console | None:
        """Return a console on stderr for progress bars, or None if it is not a terminal or the output is quiet."""
        if self.quiet or not sys.stderr.isatty():
            return None
        from rich.console import Console

        return Console(stderr=True, highlight=False)


def confirm(question: str, refusal: str, yes: bool) -> None:
    """Ask before something is deleted or published.

    Args:
        question: asked on a terminal.
        refusal: the error where there is no terminal to ask on.
        yes: the answer was given on the command line.

    Raises UsageError without a terminal, and Exit when the answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"{refusal} without confirmation (not a terminal).", hint="Pass --yes to confirm.")
    if not typer.confirm(_one_line(question), err=True):
        raise typer.Exit(1)


MAX_LINE = 1000
"""Characters of the longest message; the middle of a longer one is cut out."""


def printable(text: str) -> str:
    """Drop control and format characters: names and cards of others are untrusted and could steer a terminal."""
    return "".join(sign for sign in text if sign.isprintable() or sign in "\n\t" or category(sign) == "Zs")


@contextmanager
def named_stdout() -> Iterator[None]:
    """Say in an error of writing to stdout that it is about stdout; a closed pipe, as `head` leaves, stays as it is."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, "standard output") from error


def _to_stderr(line: str) -> None:
    """Print a message; a stderr that cannot be written, such as a log on a full disk, does not stop the work."""
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def _one_line(text: str) -> str:
    line = printable(" ".join(text.split()))
    return line if len(line) <= MAX_LINE else f"{line[:700]} … {line[3 - MAX_LINE + 700 :]}"


def flat(document: Mapping[str, Any], prefix: str = "") -> list[tuple[str, object]]:
    """Flatten nested data to rows (dotted key, value), without empty strings."""
    rows: list[tuple[str, object]] = []
    for key, value in document.items():
        if isinstance(value, Mapping) and value:
            rows += flat(value, f"{prefix}{key}.")
        elif value != "":
            rows.append((prefix + key, as_setting(value)))
    return rows


def as_setting(value: object) -> object:
    """Return how a value is written on the command line, except that a list of several is without its brackets."""
    if value is None or isinstance(value, bool) or (isinstance(value, list | tuple | Mapping) and not value):
        return json.dumps(value)
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value


out = Output()


class _Messages(logging.Handler):
    """Prints what the library reports, such as that it waits for a server."""

    def emit(self, record: logging.LogRecord) -> None:
        out.talk(record.getMessage())


logging.getLogger("ganzoo").addHandler(_Messages())
