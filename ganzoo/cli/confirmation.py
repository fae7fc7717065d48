"""Questions before something public or destructive."""

from __future__ import annotations

import sys

import typer

from ganzoo.errors import UsageError


def confirm(question: str, yes: bool) -> None:
    """Ask before something is lost or published.

    Raises UsageError where nobody can answer, and Exit when the answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"{question} Nobody is here to answer.", hint="Pass --yes.")
    if not typer.confirm(question, err=True):
        raise typer.Exit(1)
