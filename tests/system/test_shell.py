"""Words of commands that are printed to be pasted."""

from __future__ import annotations

import os
import subprocess

import pytest

from ganzoo.cli.output import _one_line
from ganzoo.system.shell import quoted

NAMES = [
    b"plain",
    b"a b",
    b"two  blanks ",
    b"it's",
    b"line\nbreak",
    b"tab\tand \x1b[31mred",
    b"back\\slash\n'x'",
    b"\xff\xfe",
    "grün \u202e".encode(),
    b"$(touch x)`y`\n",
    b"1\n2",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_printed_word_means_the_same_when_pasted(name: bytes) -> None:
    printed = _one_line(f"Next: ganzoo sample {quoted(os.fsdecode(name))} --out samples.png")
    assert printed.replace("\u202e", "").isprintable()
    command = printed.removeprefix("Next: ganzoo sample").removesuffix("--out samples.png")
    pasted = subprocess.run(["bash", "-c", f"printf %s {command}"], capture_output=True, check=True)
    assert pasted.stdout == name
