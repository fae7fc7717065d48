"""The tests' end of `worker.py`, and the check that files are whole."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.torch import load_file

from tests.kills.worker import Outcome, Request


class Worker:
    """The process of `worker.py`."""

    def __init__(self, environment: dict[str, str], wrapper: Sequence[str] = ()) -> None:
        self._process = subprocess.Popen(
            [*wrapper, sys.executable, "-m", "tests.kills.worker"],
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    @property
    def process_id(self) -> int:
        return self._process.pid

    def run(self, request: Request) -> Outcome:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asdict(request)) + "\n")
        self._process.stdin.flush()
        return Outcome(**json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        self._process.communicate()


def read_whole(path: Path) -> None:
    """Read a file to its end. Raises if it is damaged."""
    if path.parent.name == "blobs":
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
    elif path.suffix == ".json":
        json.loads(path.read_text())
    elif path.suffix == ".safetensors":
        load_file(path)
    elif path.suffix == ".png":
        with Image.open(path) as image:
            image.load()
    elif path.suffix == ".npy":
        np.load(path)
    elif path.suffix == ".tar":
        with tarfile.open(path) as tar:
            assert tar.getmembers()
