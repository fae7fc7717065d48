"""`ganzoo sample` of many: onto the disk as they come, in bounded memory, whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ganzoo as library
from ganzoo.cli.output import out
from ganzoo.rendering.picture import to_pixels
from tests.conftest import Ganzoo, assert_two_lines


@pytest.mark.slow
def test_many_pictures_are_the_samples_of_the_seed(ganzoo: Ganzoo, tmp_path: Path) -> None:
    result = ganzoo("sample", "mnist-mlp-small", "-n", "5000", "--seed", "0", "--out", "many", "--json")
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""  # no bar where there is no terminal
    folder = tmp_path / "cwd" / "many"
    files = sorted(folder.iterdir())
    assert len(files) == 5000
    size = sum(file.stat().st_size for file in files)
    report = {"path": "many", "num": 5000, "seed": 0, "num_files": 5000, "size": size, "sha256": None}
    assert json.loads(result.stdout) == report
    expected = to_pixels(library.load("mnist-mlp-small").sample(5000, seed=0))[[0, 4095, 4999], ..., 0]
    assert np.array_equal([np.asarray(Image.open(files[index])) for index in (0, 4095, 4999)], expected)


@pytest.mark.parametrize(("label", "classes"), [("7", [7] * 7), (None, [0, 1, 2, 3, 4, 5, 6])])
def test_shards_carry_the_classes_of_a_conditional_model(
    ganzoo: Ganzoo, tmp_path: Path, label: str | None, classes: list[int]
) -> None:
    chosen = [] if label is None else ["--label", label]
    arguments = ["-n", "7", "--seed", "0", "--shard-size", "4", "--out", "shards", "--json", *chosen]
    result = ganzoo("sample", "mnist-cgan", *arguments)
    assert json.loads(result.stdout)["num_files"] == 2
    found = []
    for shard in sorted((tmp_path / "cwd" / "shards").iterdir()):
        with tarfile.open(shard) as tar:
            found += [int(tar.extractfile(info).read()) for info in tar if info.name.endswith(".cls")]  # type: ignore[union-attr]
    assert found == classes


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--out", "full/"], "already exists"),
        (["--out", "x.npy", "--shard-size", "5"], "shards need a folder"),
        (["--shard-size", "5"], "not a terminal"),
        (["--out", "x.gif", "--interpolate", "2", "--shard-size", "5"], "shards need a folder"),
    ],
)
def test_a_place_that_does_not_fit_is_refused_before_anything_is_fetched(
    ganzoo: Ganzoo, tmp_path: Path, arguments: list[str], words: str
) -> None:
    (tmp_path / "cwd" / "full").mkdir()
    (tmp_path / "cwd" / "full" / "mine.txt").touch()
    assert_two_lines(ganzoo("sample", "no-such-weights", *arguments), 2, words)


PEAK = """
from ganzoo.bench.machine import peak_resident_set
from ganzoo.cli import main
try: main()
except SystemExit as end: assert not end.code
print(peak_resident_set())
"""


def peak_mib(num: int, target: str, cwd: Path) -> float:
    """Peak resident memory of a sampling in a process of its own."""
    command = [sys.executable, "-c", PEAK, "sample", "mnist-mlp-small", "-n", str(num), "--seed", "0", "--out", target]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1]) / 2**20


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc")
@pytest.mark.parametrize("name", ["{}.npy", "{}.safetensors", "{}/"])
def test_memory_does_not_grow_with_the_number_of_samples(tmp_path: Path, name: str) -> None:
    few, many = (peak_mib(num, name.format(num), tmp_path) for num in (500, 20_000))
    assert many - few < 30  # the samples alone take 60 MiB as they are, and 16 MiB as bytes


ON_MANY_CORES = "import ganzoo.cli as cli; import ganzoo.rendering.sample as s; s.num_cores = lambda: 4; cli.main()"


def listen_to_ctrl_c() -> None:
    """A shell's background jobs, and their children, do not."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for another process")
@pytest.mark.parametrize("options", [["--out", "x/"], ["--out", "x/", "--shard-size", "1000"], ["--out", "x.npy"]])
def test_ctrl_c_leaves_nothing_behind(tmp_path: Path, options: list[str]) -> None:
    arguments = ["sample", "mnist-mlp-small", "-n", "10000000", "--seed", "0", *options]
    command = [sys.executable, "-c", ON_MANY_CORES, *arguments]
    begun = set(tmp_path.iterdir())
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=listen_to_ctrl_c,
    )
    try:
        while not set(tmp_path.iterdir()) - begun:  # until it writes
            assert process.poll() is None
            time.sleep(0.05)
        time.sleep(1)
        os.killpg(process.pid, signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    assert set(tmp_path.iterdir()) == begun


def test_in_a_terminal_a_bar_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import io

    from rich.console import Console

    from ganzoo.cli.sample import sample

    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    monkeypatch.setattr(out, "progress_console", lambda: console)
    sample(
        "mnist-mlp-small", num=300, seed=0, target=f"{tmp_path}/x.npy", label=None, interpolate=None, shard_size=None
    )
    assert "300/300" in console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        (["--num", "1000000000", "--out", "x.png"], "--out samples/"),
        (["--num", "1000000000", "--out", "x.gif", "--interpolate", "2"], "--out samples/"),
        (["--out", "-"], "./-"),
        (["--out", "-", "--interpolate", "2"], "./-"),
    ],
)
def test_what_cannot_be_written_is_refused_before_memory_is_taken(
    options: list[str], hint: str, ganzoo: Ganzoo, cwd: Path
) -> None:
    assert_two_lines(ganzoo("sample", "mnist-cgan", "--seed", "0", "--label", "7", *options), 2, hint)
    assert list(cwd.iterdir()) == []


def test_an_array_larger_than_the_disk_is_refused_before_samples_are_generated(ganzoo: Ganzoo, cwd: Path) -> None:
    result = ganzoo("sample", "mnist-mlp", "--seed", "0", "--num", "1000000000000", "--out", "x.npy")
    assert_two_lines(result, 1, "3,136,000,000,000,000 bytes are needed", "Free some disk space")
    assert list(cwd.iterdir()) == []
