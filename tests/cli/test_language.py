"""Plain English: help screens, messages and documents do not use the phrases that once made them hard to read.

The list is short on purpose: each phrase was once common here and is not what a native engineer would write. A better
one is beside it. Before adding a phrase, check that it finds nothing innocent.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from typer.main import get_command
from typer.testing import CliRunner

from ganzoo.cli import app

ROOT = Path(__file__).parents[2]
SOURCES = [*sorted((ROOT / "ganzoo").rglob("*.py")), *sorted((ROOT / "plugins").rglob("*.py"))]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

BANNED = {
    r"(?<!\bthere )\b(is|are) no (?!longer|more|such|other|better|worse|need\b)[a-z]": "is not a …",
    r"\bmend(s|ed|ing)?\b": "fix, repair",
    r"\banew\b": "again, from the beginning",
    r"\bso many\b": "the number's name",
    r"\b(nobody|anybody|somebody) is (t)?here\b": "not a terminal",
    r"\bthere is no terminal\b": "output is not a terminal",
    r"\bthat others wrote\b|\bwhat others wrote\b": "untrusted",
    r"\beverything dear\b": "expensive parts",
    r"\btell its owner\b": "report it to the owner",
    r"\bof that type and range\b": "state the type and the range",
    r"\bnames no known\b": "unknown",
    r"\bis to be had\b|\bcannot be had\b|\bnot to be had\b": "is not available",
    r"\bholds? (it |them )?to (its|their|the) (tolerance|architecture)\b": "check against",
    r"\bGo on:": "Continue:",
    r"\btells the rest\b": "covers the rest",
    r"\bnever travels without\b": "names its protocol",
}


def faults(text: str) -> list[str]:
    """Each banned phrase in a text, with a better one."""
    plain = " ".join(text.split())
    return [
        f"{found[0]!r} -> {better!r}: …{plain[max(0, found.start() - 40) : found.end() + 40]}…"
        for pattern, better in BANNED.items()
        for found in re.finditer(pattern, plain, re.IGNORECASE)
    ]


def commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every command and group, hidden ones too."""
    yield path
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*path, name))


@pytest.mark.parametrize("path", list(commands(get_command(app))), ids=lambda path: " ".join(path) or "ganzoo")
def test_every_help_screen_is_plain_english(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert result.exit_code == 0, result.output
    assert "Usage:" in result.output
    assert faults(result.output) == []


def text_of(node: ast.expr) -> str:
    """The literal parts of a string, an f-string, or a choice or sum of them."""
    return " ".join(str(part.value) for part in ast.walk(node) if isinstance(part, ast.Constant))


def messages(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of what a module says to people: errors, hints, output, and the help of options."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            speaks = called.endswith(("Error", "error", "broken")) or called.startswith(("out.", "typer."))
            for argument in node.args if speaks else ():
                yield node.lineno, text_of(argument)
            for keyword in node.keywords:
                if speaks or keyword.arg in ("hint", "help"):
                    yield node.lineno, text_of(keyword.value)
        elif isinstance(node, ast.Assign) and any("hint" in ast.unparse(name).lower() for name in node.targets):
            yield node.lineno, text_of(node.value)


def test_every_message_is_plain_english() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line} {fault}"
        for path in SOURCES
        for line, text in messages(path.read_text("utf-8"))
        for fault in faults(text)
    ]
    assert found == [], "\n".join(found)


def test_every_document_is_plain_english() -> None:
    found = []
    for path in DOCUMENTS:
        prose = re.sub(r"```.*?```", "", path.read_text("utf-8"), flags=re.DOTALL)
        found += [f"{path.relative_to(ROOT)} {fault}" for fault in faults(prose)]
    assert found == [], "\n".join(found)


@pytest.mark.parametrize(
    "text",
    [
        "'x' is no reference to weights",
        "once they are mended",
        "Start anew with it",
        "return so\n    many items",
        "there is no terminal to draw in",
        "Give a value of that type and range.",
    ],
)
def test_a_banned_phrase_is_found(text: str) -> None:
    assert len(faults(text)) == 1


@pytest.mark.parametrize("text", ["it is no longer there", "there is no setting 'x'", "amend the commit", "not a run"])
def test_an_innocent_phrase_is_not(text: str) -> None:
    assert faults(text) == []
