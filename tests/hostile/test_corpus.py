"""Every reader of the program against files made to break it. The files are written here, from seeds; none is stored.

A hostile file must be refused in two lines, whatever the file says and however large it claims to be. Sound files are
among them, so that a program that refuses everything fails too.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from ganzoo.cli.output import MAX_LINE
from tests.hostile import (
    cifar10,
    configs,
    manifests,
    mjsynth,
    mnist,
    pickles,
    pictures,
    references,
    runs,
    tensors,
)
from tests.hostile.case import Case
from tests.hostile.sandbox import Sandbox

READERS = (cifar10, configs, manifests, mjsynth, mnist, pickles, pictures, references, runs, tensors)
CASES = {f"{reader.__name__.rpartition('.')[2]}-{case.name}": case for reader in READERS for case in reader.CASES}

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "security.md"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits of address space are Linux's")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder with a short name, because errors name it; it is removed, because files are large."""
    with TemporaryDirectory(prefix="ganzoo-") as name:
        yield Path(name)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_hostile_file_is_refused_and_a_sound_one_is_not(case: Case, sandbox: Sandbox, folder: Path) -> None:
    ended = sandbox.run(case.make(folder), folder, {"GANZOO_HOME": str(folder / "home")})
    everything = ended.stdout + ended.stderr
    assert ended.code in (0, 1, 2), f"ended with {ended.code}\n{everything}"  # negative: out of time, or crashed
    for phrase in ("Traceback", "Error: unexpected", "This is a bug", "not enough memory", "Warning:"):
        assert phrase not in everything
    assert [sign for sign in everything if not sign.isprintable() and sign not in "\n\t"] == []
    lines = ended.stderr.splitlines()
    errors = [line.removeprefix("Error: ") for line in lines if line.startswith("Error: ")]
    hints = [line for line in lines if line.startswith("Hint: ")]
    assert all(len(error) <= 300 for error in errors), errors
    assert len(hints) == len(errors)
    assert all(len(line) <= MAX_LINE + len("Error: ") for line in lines)
    outcome = case.outcome
    if outcome == "either":
        outcome = "refused" if ended.code else "accepted"
    if outcome == "refused":
        assert (len(errors), ended.code in (1, 2), ended.stdout) == (1, True, ""), everything
        assert len(lines) == 2, lines
    elif outcome == "reported":
        assert (len(errors), ended.code) == (1, 0), everything
        assert ended.stdout
    else:
        assert (errors, ended.code) == ([], 0), everything
    said = everything if outcome == "accepted" else errors[0]
    assert re.search(case.word, said), said
    assert not list(folder.rglob("owned"))  # what code in a file would have made


def test_the_corpus_covers_every_reader_and_has_sound_files_in_each() -> None:
    assert len(CASES) >= 250
    for reader in READERS:
        outcomes = Counter(case.outcome for case in reader.CASES)
        assert outcomes["accepted"] >= 1, reader
        assert outcomes["refused"] + outcomes["reported"] >= 10, reader


def test_the_documentation_says_how_many_cases_there_are() -> None:
    rows = re.findall(r"^\| `(\w+)\.py`.* \| (\d+) \|$", DOCUMENTATION.read_text(encoding="utf-8"), re.MULTILINE)
    counts = {reader.__name__.rpartition(".")[2]: str(len(reader.CASES)) for reader in READERS}
    assert dict(rows) == counts
