"""`ganzoo rm`."""

from __future__ import annotations

import sys

import typer

from ganzoo.cli.options import Json, References, Yes
from ganzoo.cli.output import human_size, out
from ganzoo.errors import UsageError


def rm(references: References, yes: Yes = False, json: Json = False) -> None:
    """Delete weights from the store; bundled copies stay."""
    from ganzoo.manifest import Zoo
    from ganzoo.zoo import find_named, location, remove

    entries = [find_named(reference) for reference in references]
    confirm(f"Delete {', '.join(str(entry.reference) for entry in entries)} from the store?", yes)
    freed = {str(entry.reference): remove(entry, Zoo().entries) for entry in entries}
    if json:
        out.json({"freed": freed})
        return
    for entry in entries:
        size = freed[str(entry.reference)]
        rest = "; the bundled copy stays" if location(entry) == "bundled" else ""
        out.talk(f"{entry.reference}: {f'freed {human_size(size)}' if size else 'was not in the store'}{rest}")


def confirm(question: str, yes: bool) -> None:
    """Ask before something is lost. Raises UsageError where nobody can answer, and Exit when the answer is no."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"{question} Nobody is here to answer.", hint="Pass --yes.")
    if not typer.confirm(question, err=True):
        raise typer.Exit(1)
