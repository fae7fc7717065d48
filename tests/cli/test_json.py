"""JSON documents are as docs/cli.md says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ganzoo.cli import app
from tests.conftest import DIGITS

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text("utf-8")
ROWS = dict(re.findall(r"^\| `([^`]+)` \|(.*)\|$", PAGE, re.MULTILINE))
"""Command -> what the page says about its document."""

NAME = "quadratic-mlp"
COMMANDS = [
    ("list", ["list", "quadratic*"]),
    ("doctor", ["doctor", "--offline"]),
    ("env", ["env"]),
    ("show NAME", ["show", NAME]),
    ("show RECIPE --layers", ["show", NAME, "--layers"]),
    ("pull", ["pull", NAME]),
    ("pull --dry-run", ["pull", NAME, "--dry-run"]),
    ("verify", ["verify", NAME]),
    ("rm", ["rm", NAME, "--yes"]),
    ("sample", ["sample", NAME, "--out", "x.png", "-n", "2", "--seed", "0"]),
    ("protocols", ["protocols", "quadratic*"]),
    ("eval", ["eval", NAME, "--protocol", "quadratic-quick-v1"]),
    ("cache ls", ["cache", "ls"]),
    ("cache rm", ["cache", "rm", "blobs", "--yes"]),
    ("cache prune", ["cache", "prune", "--yes"]),
    ("cache prune --dry-run", ["cache", "prune", "--dry-run"]),
    ("cache verify", ["cache", "verify", "--repair"]),
    ("data list", ["data", "list"]),
    ("data list --data-dir DIR", ["data", "list", "--data-dir", str(DIGITS)]),
    ("data show", ["data", "show", "quadratic", "--out", "real.png", "-n", "3"]),
    ("plugins list", ["plugins", "list"]),
    ("plugins check", ["plugins", "check", "hinge"]),
    ("plugins new", ["plugins", "new", "ganzoo-rings", "--kind", "metric"]),
]


def keys(document: Any) -> Iterator[str]:
    """Every key, at any depth."""
    if isinstance(document, dict):
        for key, value in document.items():
            yield key
            yield from keys(value)
    elif isinstance(document, list):
        for value in document:
            yield from keys(value)


@pytest.mark.parametrize(("row", "arguments"), COMMANDS, ids=[row for row, _ in COMMANDS])
def test_a_document_has_the_keys_that_the_page_names(
    row: str, arguments: list[str], tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if arguments[0] == "cache":
        (home / "blobs").mkdir(parents=True)
        (home / "blobs" / ("0" * 64)).write_bytes(b"damaged, and of no weights")
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    named = set(re.findall(r"`(\w+)`", ROWS[row]))
    if row == "eval":
        named |= set(document)  # the page names the most important ones
    if row == "show NAME":
        named &= {"recipe", "weights"}  # what has this name
    assert named <= set(keys(document))
    assert set(document) <= named
    if row != "eval":  # the report of an evaluation is kept as it is in files
        plural = [value for key, value in document.items() if key.endswith("s") and not key.startswith("num_")]
        assert all(isinstance(value, list) for value in plural)
