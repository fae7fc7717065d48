"""How long the program takes to start: commands as users type them, each in its own process."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version

from ganzoo.bench.machine import cpu_name
from ganzoo.errors import GanzooError
from ganzoo.version import __version__

COMMANDS = (
    ("--version",),
    ("--help",),
    ("list",),
    ("show", "mnist-mlp"),
    ("sample", "mnist-mlp", "--num", "1", "--seed", "0", "--out", "x.png"),
)

_LOADED = """
import json, sys
from ganzoo.cli import main
try:
    main()
except SystemExit as end:
    print(json.dumps([len(sys.modules), "torch" in sys.modules]), file=sys.stderr)
    raise
"""
"""Runs the program, then prints what it has loaded."""


@dataclass(frozen=True, kw_only=True)
class StartUp:
    """One command, over all rounds."""

    date: str
    machine: str
    command: str
    seconds: float
    """Median over the rounds, from start to exit of the process."""
    fastest: float
    slowest: float
    modules: int
    """Loaded at exit."""
    loads_torch: bool
    rounds: int
    ganzoo: str
    torch: str
    python: str


def start_ups(rounds: int) -> list[StartUp]:
    """Time all commands, which alternate in rounds. Raises GanzooError when one fails."""
    with tempfile.TemporaryDirectory(prefix="ganzoo-") as folder:
        loaded = [_loaded(command, folder) for command in COMMANDS]  # also writes the byte code for the rounds
        seconds = [[_seconds(command, folder) for command in COMMANDS] for _ in range(rounds)]
    return [
        _start_up(command, found, times)
        for command, found, times in zip(COMMANDS, loaded, zip(*seconds, strict=True), strict=True)
    ]


def _start_up(command: tuple[str, ...], loaded: tuple[int, bool], seconds: tuple[float, ...]) -> StartUp:
    return StartUp(
        date=date.today().isoformat(),
        machine=cpu_name(),
        command=" ".join(("ganzoo", *command)),
        seconds=round(statistics.median(seconds), 3),
        fastest=round(min(seconds), 3),
        slowest=round(max(seconds), 3),
        modules=loaded[0],
        loads_torch=loaded[1],
        rounds=len(seconds),
        ganzoo=__version__,
        torch=version("torch"),
        python=platform.python_version(),
    )


def _loaded(command: tuple[str, ...], folder: str) -> tuple[int, bool]:
    """Return the number of modules that a command loads, and whether torch is one."""
    output = _run(["-c", _LOADED, *command], folder).stderr
    modules, torch = json.loads(output.splitlines()[-1])
    return modules, torch


def _seconds(command: tuple[str, ...], folder: str) -> float:
    started = time.perf_counter()
    _run(["-m", "ganzoo", *command], folder)
    return time.perf_counter() - started


def _run(arguments: list[str], folder: str) -> subprocess.CompletedProcess[str]:
    # A user's Python writes byte code and finds it at the next start; here compiling would be timed every time.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    # From within an empty folder: `sample` writes a picture, and no checkout may shadow the installed package.
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode:
        raise GanzooError(
            f"`ganzoo {' '.join(arguments[2:])}` failed, so its start cannot be timed.",
            hint="Run the command to see its error.",
        )
    return done
