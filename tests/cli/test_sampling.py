"""`ganzoo sample` of many: onto the disk as they come, in bounded memory, whole or not at all."""

from __future__ import annotations

import contextlib
import io
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
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console

import ganzoo as library
from ganzoo.cli.output import out
from ganzoo.cli.sample import sample
from ganzoo.registry import datasets
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
    ("name", "num", "size", "told"),
    [
        ("mnist-mlp", 64, (80, 24), "seed 1; 32 of 64, all with --out samples.png"),
        ("mnist-mlp", 64, (80, 60), "seed 1"),
        ("mnist-mlp", 1, (20, 5), "seed 1"),
        ("quadratic-mlp", 64, (80, 24), "seed 1"),
    ],
)
def test_a_picture_fits_its_terminal_with_the_seed_below(
    name: str,
    num: int,
    size: tuple[int, int],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, color_system="truecolor", width=size[0], height=size[1])
    monkeypatch.setattr(out, "console", lambda: console)
    monkeypatch.setattr("ganzoo.cli.sample.sys.stdout.isatty", lambda: True)
    sample(name, num=num, seed=1)
    lines = file.getvalue().splitlines()
    assert 0 < len(lines) <= size[1] - 3
    assert all(line.count("▀") <= size[0] for line in lines)
    assert capsys.readouterr().err.splitlines()[-1] == told


@pytest.mark.parametrize("num", [["-n", "1000000000"], ["-n", "1000000000", "--label", "3"]])
def test_more_samples_than_a_picture_holds_are_refused_at_once(ganzoo: Ganzoo, num: list[str]) -> None:
    result = ganzoo("sample", "mnist-cgan", *num, "--seed", "0", "--out", "x.png")
    assert_two_lines(result, 2, "1,000,000,000 samples do not fit into one picture", "samples.npy")


def test_a_dash_is_one_png_on_stdout(
    cwd: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stdout = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(stdout))
    sample("mnist-mlp-small", num=4, seed=0, target="-")
    assert capsys.readouterr().err == ""
    with Image.open(stdout) as piped:
        piped.load()
        assert (piped.format, piped.info["ganzoo.seed"]) == ("PNG", "0")
    assert not list(cwd.iterdir())


def test_wrong_names_are_reported_before_torch_is_imported(ganzoo_process: Ganzoo, cwd: Path) -> None:
    code = """
import sys
from ganzoo.cli import main
for arguments in [
    "sample mnist-mpl --out x.png", "eval mnist-mpl", "train mnist-mpl", "bench mnist-mpl", "pull mnist-mpl",
    "import x.pth --recipe mnist-mpl", "push mnist-mpl a/b --dry-run --license mit",
]:
    sys.argv = ["ganzoo", *arguments.split()]
    try:
        main()
    except SystemExit as end:
        assert end.code == 2, (arguments, end.code)
    assert "torch" not in sys.modules, arguments
"""
    result = subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("Did you mean 'mnist-mlp'") == 7


def test_real_samples_are_drawn_evenly_spaced(ganzoo: Ganzoo, digits: Path, cwd: Path) -> None:
    result = ganzoo("data", "show", "mnist", "--data-dir", digits, "-n", "4", "--split", "test", "--out", "real.png")
    assert (result.returncode, result.stdout) == (0, "real.png\n"), result.stderr
    images = load_images(digits, "test")[[0, 42, 85, 127]]
    drawn = np.asarray(Image.open(cwd / "real.png"))
    factor = drawn.shape[0] // 62  # two images of 28 pixels, and three gaps of 2
    small = drawn[::factor, ::factor]
    tiles = [small[2:30, 2:30], small[2:30, 32:60], small[32:60, 2:30], small[32:60, 32:60]]
    assert np.array_equal(tiles, images)
    wrong = ganzoo("data", "show", "mnist", "--data-dir", digits, "--split", "val", "--out", "x.png")
    assert_two_lines(wrong, 2, "no split named 'val'")
    assert_two_lines(ganzoo("data", "show", "mnist", "--out", "x.gif"), 2, "is not a .png file")


def load_images(folder: Path, split: str) -> NDArray[np.uint8]:
    return datasets.get("mnist").load(folder, split, False).samples[:, 0]  # type: ignore[union-attr, no-any-return]


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
from ganzoo.system.peak_memory import peak_resident_set
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
    arguments = ["sample", "mnist-mlp-small", "-n", "2000000", "--seed", "0", *options]
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
        (["--num", "1000000000", "--out", "x.png"], "samples.npy"),
        (["--num", "1000000000", "--out", "x.gif", "--interpolate", "2"], "samples.npy"),
        (["--out", "-", "--json"], "--out samples.png"),
        (["--out", "-", "--interpolate", "2"], "--out samples.png"),
        (["--out", "-", "--shard-size", "2"], "--out samples/"),
        (["--out", "x/", "--grid", "2x2"], ".png"),
        (["--out", "x.png", "--grid", "2x2", "-n", "5"], "make the two agree"),
        (["--out", "x.png", "--grid", "4"], "--grid 10x8"),
        (["--out", "x.png", "--grid", "60000x60000"], "samples.npy"),
        (["--out", "x.png", "--seeds", "7-0"], "--seeds 0-7"),
        (["--out", "x.png", "--seeds", "0-99999999"], "--seeds 0-7"),
        (["--out", "x.gif", "--seeds", "0-7", "--interpolate", "2"], "--seed instead"),
        (["--out", "x.png", "--step", "5"], "Leave the step out"),
    ],
)
def test_what_cannot_be_written_is_refused_before_memory_is_taken(
    options: list[str], hint: str, ganzoo: Ganzoo, cwd: Path
) -> None:
    seed = [] if "--seeds" in options else ["--seed", "0"]
    assert_two_lines(ganzoo("sample", "mnist-cgan", *seed, "--label", "7", *options), 2, hint)
    assert list(cwd.iterdir()) == []


def test_an_array_larger_than_the_disk_is_refused_before_samples_are_generated(ganzoo: Ganzoo, cwd: Path) -> None:
    result = ganzoo("sample", "mnist-mlp", "--seed", "0", "--num", "1000000000000", "--out", "x.npy")
    assert_two_lines(result, 1, "3,136,000,000,000,000 bytes are needed", "Free some disk space")
    assert list(cwd.iterdir()) == []
