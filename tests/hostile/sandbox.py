"""Runs commands of the program one by one, with limits on memory and time.

A server process imports everything once and forks, so that a command takes milliseconds. A forked process may take
MEMORY bytes of address space more than the server has, and SECONDS for each command; the kernel enforces both, also
inside C code. A command that crashes or is killed ends its process, not the server.
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
from typing import NoReturn

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
    while True:
        child = os.fork()
        if child == 0:
            _run_some()
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        if code == AT_END:
            return
        if code != 0:  # it was killed, or crashed, before it could answer
            print(json.dumps(asdict(Ended(code, "", ""))), flush=True)


COMMANDS = 40
"""Commands of one process: to fork and to end it takes longer than most of them."""
AT_END = 3
"""Exit code of a process that found no more commands."""


def _run_some() -> NoReturn:
    """Run some commands one after the other, and end this process."""
    from ganzoo.registry import package_folder
    from ganzoo_mjsynth import official

    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY, mapped + MEMORY))
    requests, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    sys.stdin = open(os.devnull)  # noqa: PTH123, SIM115
    environment, path = dict(os.environ), list(sys.path)
    for _ in range(COMMANDS):
        request = requests.readline()
        if not request:
            os._exit(AT_END)
        arguments, folder, variables = json.loads(request)
        outputs = [Path(folder, f".{name}") for name in ("stdout", "stderr")]
        for number, output in enumerate(outputs, start=1):
            opened = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(opened, number)
            os.close(opened)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment | variables)
        sys.path[:] = [str(Path(folder, "site")), *path] if Path(folder, "site").is_dir() else path
        for cached in (package_folder, official._resolved):  # what a name means depends on the folder
            cached.cache_clear()
        signal.alarm(SECONDS)  # without a handler it ends the process
        code = _command(arguments)
        signal.alarm(0)
        texts = [output.read_bytes().decode("utf-8", "backslashreplace") for output in outputs]
        print(json.dumps(asdict(Ended(code, *texts))), file=answers, flush=True)
    os._exit(0)


def _command(arguments: list[str]) -> int:
    from ganzoo.cli import main

    sys.argv = ["ganzoo", *arguments]
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
