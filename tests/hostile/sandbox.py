"""Runs commands of the program one by one, each in a process with limits on memory and time.

A server process imports everything once and forks for each command, so that a command takes milliseconds. A forked
process may take MEMORY bytes of address space more than the server has, SECONDS of wall-clock time and SECONDS of
processor time; the kernel enforces all three, also inside C code.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

MEMORY = 2 << 30
"""Bytes of address space that a command may take; torch alone maps more than that, so what is mapped before the
command begins is not counted."""
SECONDS = 20
"""Most files take some hundredths of a second; the limit leaves room for a busy machine."""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    """Exit code; negative: the number of the signal that ended it."""
    stdout: str
    stderr: str


class Sandbox:
    """The server process. Use as a context manager."""

    def __enter__(self) -> Sandbox:
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.hostile.sandbox"],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._server.communicate()  # closes its stdin, at which it ends

    def run(self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> Ended:
        """Run `ganzoo ARGUMENTS` in a folder; a folder `site` in it is one of installed packages."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        print(json.dumps([list(arguments), str(folder), dict(environment or {})]), file=self._server.stdin, flush=True)
        return Ended(**json.loads(self._server.stdout.readline()))


def _serve() -> None:
    """Do once what every command would do: import, read what is installed, build the command line."""
    import lmdb  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    import rich.table  # noqa: F401
    from typer.main import get_command

    import ganzoo.cli
    import ganzoo.hub.client
    import ganzoo.model
    import ganzoo.rendering
    import ganzoo.training
    import ganzoo.weights.importing
    import ganzoo_mlp.networks  # noqa: F401
    from ganzoo.registry import REGISTRIES

    for registry in REGISTRIES:
        for name in registry.names():
            registry.get(name)
    ganzoo.cli.app = get_command(ganzoo.cli.app)  # type: ignore[assignment]  # called in the same way
    gc.freeze()  # a collection in a forked process would copy the memory of all objects
    for line in sys.stdin:
        print(json.dumps(asdict(_forked(*json.loads(line)))), flush=True)


def _forked(arguments: list[str], folder: str, environment: dict[str, str]) -> Ended:
    outputs = [Path(folder, f".{name}") for name in ("stdout", "stderr")]
    child = os.fork()
    if child == 0:
        code = 70
        try:
            for number, path in enumerate(outputs, start=1):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
            code = _command(arguments, folder, environment)
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    texts = [path.read_bytes().decode("utf-8", "backslashreplace") for path in outputs]
    return Ended(os.waitstatus_to_exitcode(status), *texts)


def _command(arguments: list[str], folder: str, environment: dict[str, str]) -> int:
    from ganzoo.cli import main

    os.chdir(folder)
    os.environ.update(environment)
    sys.argv, sys.stdin = ["ganzoo", *arguments], open(os.devnull)  # noqa: PTH123, SIM115
    if Path("site").is_dir():
        sys.path.insert(0, str(Path("site").resolve()))
    signal.alarm(SECONDS)
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY, mapped + MEMORY))
    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


if __name__ == "__main__":
    _serve()
