"""The pages of the documentation do what they say: their commands and their Python run as printed, in order.

A block that is not run says why, in a comment before it: `<!-- not run: it needs a GPU -->`. Trainings take a few steps
here, large counts are small, and some commands get options that make them fast.
"""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganzoo_folder import recipes
from tests.conftest import Ganzoo

ROOT = Path(__file__).parent.parent
PAGES = [
    path
    for path in [*sorted((ROOT / "docs").glob("*.md")), ROOT / "docs/benchmarks/README.md"]
    # tests/test_docs.py runs those two, which need a package that they describe
    if path.name not in ("first-plugin.md", "plugins.md")
]
BLOCK = re.compile(
    r"(?:<!-- not run: (?P<reason>[^>]+) -->\n\n)?```(?P<language>console|python)\n(?P<text>.*?)```", re.DOTALL
)
SMALL = {"50000": "60", "10000": "12", "1000": "40"}
"""Counts of the pages -> what is run here."""
QUICK = {"GANZOO_STEPS": "4", "GANZOO_BATCH_SIZE": "8", "GANZOO_SAMPLE_EVERY": "4"}
NARROW = {"GANZOO_CONFIG__GENERATOR_WIDTHS": "[16, 8, 8]", "GANZOO_CONFIG__DISCRIMINATOR_WIDTHS": "[8, 8, 8]"}
"""Added to QUICK for the recipes in NARROWED."""
NARROWED = ("cifar10-dcgan", "words-dcgan")
FASTER = {
    "eval": ["--protocol", "quadratic-quick-v1"],
    "neighbours": ["--num", "16"],
    "project": ["--starts", "1", "--steps", "2"],
}
"""Options that a command gets here; of those that are there twice, the last one counts."""


def cheap(words: list[str]) -> list[str]:
    """A command of a page -> the command that is run here."""
    if ">" in words:  # what a shell does with the output
        words = words[: words.index(">")]
    words = [SMALL.get(word, word) for word in words]
    if words[:2] == ["data", "show"] and "--out" not in words:
        return [*words, "--out", "shown.png"]  # in the place of a terminal
    if "--check" in words:  # the published numbers are those of one protocol
        return words
    return [*words, *(["--steps", "4"] if "--steps" in words else []), *FASTER.get(words[0], [])]


def blocks(path: Path) -> list[re.Match[str]]:
    return list(BLOCK.finditer(path.read_text(encoding="utf-8")))


def commands(text: str) -> list[list[str]]:
    """The words of each command of a console block; comments and what a command prints are left out."""
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    parts = [part for line in lines if line.startswith("$ ") for part in line[2:].split(" && ")]
    return [words for part in parts if (words := shlex.split(part, comments=True))]


def write_pictures(cwd: Path, photographs: Path) -> None:
    """The files that pages take for granted: photos/ with a folder for each class, photos.zip, and two digits."""
    rows = np.concatenate(
        [np.fromfile(path, np.uint8).reshape(-1, 3073) for path in sorted(photographs.rglob("*.bin"))]
    )
    for index, row in enumerate(rows):
        folder = cwd / "photos" / str(row[0])
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(row[1:].reshape(3, 32, 32).transpose(1, 2, 0)).save(folder / f"{index}.png")
    shutil.make_archive(str(cwd / "photos"), "zip", cwd / "photos")
    for name in ("two.png", "seven.png"):
        Image.effect_noise((28, 28), 40).save(cwd / name)


def narrow(doublings: int, published: bool) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Widths of the generator and of the discriminator of folder-fastgan, for trainings that take no time."""
    return (8,) * (doublings + 1), (8,) * doublings


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # webdataset leaves its shards to the collector
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("path", [path for path in PAGES if blocks(path)], ids=lambda path: path.stem)
def test_every_block_runs_as_printed(
    path: Path,
    ganzoo: Ganzoo,
    cwd: Path,
    home: Path,
    digits: Path,
    photographs: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(home))  # Inception weights in the user's cache would take minutes
    monkeypatch.setattr(recipes, "_fastgan_widths", narrow)
    shutil.copytree(digits, home / "datasets" / "mnist" / "files")  # what the download would have put there
    shutil.copytree(ROOT / "tests" / "data", cwd / "FOLDER")
    write_pictures(cwd, photographs)
    names: dict[str, Any] = {}
    for block in blocks(path):
        if block["reason"] is not None:
            continue
        if block["language"] == "python":
            with monkeypatch.context() as patch:
                patch.chdir(cwd)
                exec(re.sub(r'("steps": )\d+', r"\g<1>4", block["text"]).replace("50_000", "50"), names)
            continue
        for program, *words in commands(block["text"]):
            assert program == "ganzoo", f"{path.name}: `{program}` cannot be run here; say so before the block"
            quick = QUICK if words[0] in ("train", "resume") else {}
            quick = {**quick, **NARROW} if words[1:] and words[1] in NARROWED else quick
            result = ganzoo(*cheap(words), **quick)
            assert result.returncode == 0, (path.name, words, result.stderr)


def test_every_reason_belongs_to_a_block() -> None:
    for path in PAGES:
        reasons = path.read_text(encoding="utf-8").count("<!-- not run:")
        assert reasons == sum(block["reason"] is not None for block in blocks(path)), path.name
