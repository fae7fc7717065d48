"""Watching a training, and looking at what it left: the live view, animate, interpolate, show --layers."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from fcntl import ioctl
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image, ImageSequence
from rich.console import Console

from ganzoo.cli.progress import TrainingBar
from ganzoo.config import resolve
from ganzoo.registry import recipes
from ganzoo.training import Record
from tests.conftest import Ganzoo, assert_two_lines
from tests.test_animation import make_run

SHOW_CURSOR, HIDE_CURSOR = "\x1b[?25h", "\x1b[?25l"


def in_terminal(columns: int, lines: int, *arguments: str, interrupt_after: str | None = None) -> tuple[int, str]:
    """Run the program in a terminal of this size; return its exit code and what it wrote.

    Ctrl-C is pressed once the text `interrupt_after` was seen.
    """
    leader, follower = pty.openpty()
    ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES", "NO_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-m", "ganzoo", *arguments],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env={**environment, "TERM": "xterm-256color", "COLORTERM": "truecolor"},
        start_new_session=True,
    )
    os.close(follower)
    written, deadline = b"", time.monotonic() + 100
    while time.monotonic() < deadline:
        try:
            chunk = os.read(leader, 65536)
        except OSError:  # the other end is closed
            break
        if not chunk:
            break
        written += chunk
        if interrupt_after is not None and interrupt_after.encode() in written:
            process.send_signal(signal.SIGINT)
            interrupt_after = None
    os.close(leader)
    return process.wait(timeout=20), written.decode()


@pytest.mark.parametrize("width", [80, 200])
def test_a_bar_shows_all_numbers_and_short_losses(width: int, tmp_path: Path) -> None:
    settings = resolve(recipes.get("mnist-mlp-published"), [], seed=0)
    training = SimpleNamespace(run=SimpleNamespace(settings=settings), state=SimpleNamespace(step=0))
    bar = TrainingBar(training, Console(width=width))  # type: ignore[arg-type]
    losses = {"loss_d": 1.07e23, "loss_g": 0.5, "score_real": 0.5, "score_fake": 0.5, "accuracy": 0.5}
    bar.update(Record(step=1600, images=102_400, seconds=10.0, steps_per_second=123.4, **losses))
    console = Console(width=width, file=io.StringIO())
    console.print(bar.renderable)
    (line,) = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    for part in ("mnist-mlp-published", " 1600/100000 ", "123 steps/s", "D 1.1e+23  G 0.500"):
        assert part in line
    assert "…" not in line


def train(out: Path, steps: int = 400) -> list[str]:
    options = ["--set", "sample_every=200", "--set", "log_every=20", "--set", "batch_size=8", "--device", "cpu"]
    return ["train", "quadratic-mlp", "--seed", "0", "--steps", str(steps), "--out", str(out), *options]


@pytest.mark.slow
def test_a_terminal_of_some_size_shows_samples_and_sparklines(tmp_path: Path) -> None:
    code, shown = in_terminal(110, 36, *train(tmp_path / "run"))
    assert code == 0
    assert shown.count("▀") > 1000
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown)
    for word in ("loss_d", "loss_g", "score_real", "score_fake", "accuracy", "step 400", "400/400"):
        assert word in plain
    assert re.search("[▁▂▃▄▅▆▇█]{10}", plain)
    assert shown.rindex(SHOW_CURSOR) > shown.rindex(HIDE_CURSOR)
    code, shown = in_terminal(110, 36, "resume", str(tmp_path / "run"), "--steps", "420")
    assert code == 0
    assert shown.count("▀") > 1000  # the picture of the first part is there from the beginning


@pytest.mark.slow
@pytest.mark.parametrize(("columns", "lines", "option"), [(60, 40, "--live"), (110, 36, "--no-live")])
def test_a_small_terminal_or_no_live_gets_the_bar(tmp_path: Path, columns: int, lines: int, option: str) -> None:
    code, shown = in_terminal(columns, lines, *train(tmp_path / "run", steps=40), option)
    assert code == 0
    assert "▀" not in shown
    assert "━" in shown


@pytest.mark.slow
def test_ctrl_c_leaves_the_terminal_as_it_was(tmp_path: Path) -> None:
    code, shown = in_terminal(110, 36, *train(tmp_path / "run", steps=1_000_000), interrupt_after="score_fake")
    assert code == 130
    assert shown.rindex(SHOW_CURSOR) > shown.rindex(HIDE_CURSOR)
    assert f"ganzoo resume {tmp_path / 'run'}" in shown[shown.rindex(SHOW_CURSOR) :]


def test_animate_writes_what_the_suffix_says(ganzoo: Ganzoo, tmp_path: Path) -> None:
    made = ganzoo("animate", make_run(tmp_path / "run", range(2)), "--out", "run.webp", "--seconds", "1", "--json")
    assert json.loads(made.stdout)["num_frames"] == 2
    with Image.open(tmp_path / "cwd" / "run.webp") as image:
        assert image.format == "WEBP"


def test_sample_interpolates_in_a_loop(ganzoo: Ganzoo, tmp_path: Path) -> None:
    made = ganzoo("sample", "mnist-mlp", "-n", "4", "--interpolate", "2", "--seed", "0", "--out", "loop.gif")
    assert made.stdout == "loop.gif\n", made.stderr
    with Image.open(tmp_path / "cwd" / "loop.gif") as image:
        assert len(list(ImageSequence.Iterator(image))) == 50
    assert_two_lines(ganzoo("sample", "mnist-mlp", "--interpolate", "2"), 2, "needs a file")


def test_show_layers_prints_both_nets(ganzoo: Ganzoo) -> None:
    shown = ganzoo("show", "mnist-cgan", "--layers").stdout
    assert [line for line in shown.splitlines() if line in ("generator", "discriminator")] == [
        "generator",
        "discriminator",
    ]
    assert "batch × 784" in shown
    assert_two_lines(ganzoo("show", "mnist", "--layers"), 2, "no recipe named 'mnist'")
