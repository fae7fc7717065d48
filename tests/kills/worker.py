"""A process that has imported torch and ganzoo, and runs commands in forks of itself, which it kills on request.

A fork costs milliseconds where a new process imports torch for seconds. A request is one line of JSON on stdin, a
`Request`; the answer is one on stdout, an `Outcome`.
"""

from __future__ import annotations

import dataclasses
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

import ganzoo.data.packing
import ganzoo_quadratic

IMPORTED = (
    "PIL.PngImagePlugin",
    "huggingface_hub.hf_api",
    "safetensors.torch",
    "torchvision",
    "ganzoo.cli.progress",
    "ganzoo.hub.download",
    "ganzoo.publishing.push",
    "ganzoo.release.bundle",
    "ganzoo.rendering.sample",
    "ganzoo.training",
    "ganzoo.weights.importing",
)
"""What commands import while they run; a fork has it already."""

SHORT_STEPS = 12
"""Steps of the recipe quadratic-mlp in this process: `zoo bundle` takes finished runs only."""
SMALL_PIECE = 8
"""Items that are packed at a time, so that a few dozen give several pieces."""

CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "socket.connect"}
"""Python's audit events before something changes outside the process; opening a file to write it is another."""


@dataclasses.dataclass(frozen=True)
class Request:
    """A command to run."""

    arguments: tuple[str, ...]
    cwd: str
    home: str
    kill_at: int | None = None
    """SIGKILL before the change of this number, counted from 1."""
    kill_after: float | None = None
    """SIGKILL after this many seconds."""
    mount: str = ""
    """A shell command that is run before, in this process's own mount namespace."""
    data_limit: int | None = None
    """Bytes that the command may allocate (RLIMIT_DATA)."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How it ended."""

    code: int
    """Exit code; -9 if it was killed."""
    stdout: str
    stderr: str
    num_changes: int
    seconds: float


def prepare() -> None:
    """Import what commands use, and make recipes and pieces small."""
    for module in IMPORTED:
        import_module(module)
    torch.set_num_threads(1)
    ganzoo.data.packing.PIECE = SMALL_PIECE
    ganzoo_quadratic.QUADRATIC_MLP = dataclasses.replace(ganzoo_quadratic.QUADRATIC_MLP, steps=SHORT_STEPS)


def run(request: Request) -> Outcome:
    """Run a command in a fork."""
    log, started = Path(request.cwd).parent / "log", time.monotonic()
    log.mkdir(exist_ok=True)
    for name in ("stdout", "stderr", "changes"):
        (log / name).write_text("")
    subprocess.run(["sh", "-ec", request.mount], check=True)
    process = os.fork()
    if process == 0:
        (log / "process").write_text(str(os.getpid()))
        _child(request, log)
    if request.kill_after is not None:
        time.sleep(request.kill_after)
        os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    return Outcome(
        os.waitstatus_to_exitcode(status),
        (log / "stdout").read_text(),
        (log / "stderr").read_text(),
        int((log / "changes").read_text() or 0),
        time.monotonic() - started,
    )


def _child(request: Request, log: Path) -> None:
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(log / name, os.O_WRONLY), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(request.cwd)
    os.environ["GANZOO_HOME"] = request.home
    if request.data_limit is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (request.data_limit, request.data_limit))
    sys.argv = ["ganzoo", *request.arguments]
    code, changes = 1, _count_changes(request.kill_at)
    try:
        from ganzoo.cli import main

        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        count = changes()
        (log / "changes").write_text(str(count))
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _count_changes(kill_at: int | None) -> Callable[[], int]:
    """Count what this process changes outside itself, and kill it before the change `kill_at`."""
    count = 0

    def change() -> None:
        nonlocal count
        count += 1
        if count == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in CHANGES or (event == "open" and isinstance(arguments[2], int) and arguments[2] & 3):
            change()

    flush = os.fsync

    def counted_fsync(file: int) -> None:
        change()  # all bytes are written, and the file does not have its name yet
        flush(file)

    os.fsync = counted_fsync
    sys.addaudithook(hook)
    return lambda: count


if __name__ == "__main__":
    prepare()
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(dataclasses.asdict(run(Request(**json.loads(line))))), flush=True)
