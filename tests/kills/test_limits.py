"""A full disk, a read-only store, 2 GB of memory, and an output that cannot be written: one line, nothing half done."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

import ganzoo
from tests.conftest import DIGITS
from tests.kills.client import Worker, read_whole
from tests.kills.worker import SHORT_STEPS, Outcome, Request

NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount", "--propagation", "private")
"""A user and mount namespace of the worker's own: it may mount, and root may not write what is mounted read-only."""


def _may_mount() -> bool:
    try:
        return (
            subprocess.run([*NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True).returncode == 0
        )
    except FileNotFoundError:
        return False


may_mount = pytest.mark.skipif(not _may_mount(), reason="this user may not make a mount namespace")


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    folder = tmp_path_factory.mktemp("worker")
    environment = {"XDG_CONFIG_HOME": str(folder / "config"), "HF_HOME": str(folder / "hf"), "HF_HUB_OFFLINE": "1"}
    worker = Worker(environment, NAMESPACE if _may_mount() else ())
    yield worker
    worker.close()


@dataclass(frozen=True)
class Place:
    """A folder to run commands in, and a store, as the worker sees them."""

    worker: Worker
    root: Path

    @property
    def cwd(self) -> Path:
        return self.root / "cwd"

    @property
    def home(self) -> Path:
        return self.root / "home"

    def run(self, *arguments: str, mount: str = "", data_limit: int | None = None) -> Outcome:
        request = Request(arguments, str(self.cwd), str(self.home), mount=mount, data_limit=data_limit)
        return self.worker.run(request)

    def seen(self, folder: Path) -> Path:
        """Return the path of a folder with what the worker has mounted on it."""
        return Path(f"/proc/{self.worker.process_id}/root{folder}")


@pytest.fixture
def place(worker: Worker, tmp_path: Path) -> Place:
    place = Place(worker, tmp_path)
    place.cwd.mkdir()
    place.home.mkdir(exist_ok=True)
    return place


def assert_one_line(outcome: Outcome, hint: str) -> None:
    lines = outcome.stderr.splitlines()
    errors = [line for line in lines if line.startswith("Error:")]
    hints = [line for line in lines if line.startswith("Hint:")]
    assert (outcome.code, len(errors), len(hints)) == (1, 1, 1), outcome.stderr
    assert hint in hints[0]
    assert "bug" not in outcome.stderr
    assert "Traceback" not in outcome.stderr


def small_disk(folder: Path, kilobytes: int) -> str:
    return f"mount -t tmpfs -o size={kilobytes}k tmpfs {shlex.quote(str(folder))}"


# --- a full disk ---

COMMANDS = {
    "sample picture": ("sample", "mnist-mlp", "--seed", "0", "--out", "disk/x.png"),
    "sample array": ("sample", "mnist-mlp", "--seed", "0", "--out", "disk/x.npy"),
    "sample folder": ("sample", "mnist-mlp", "--seed", "0", "--out", "disk/x/"),
    "sample shards": ("sample", "mnist-mlp", "--seed", "0", "--out", "disk/x/", "--shard-size", "16"),
    "import": ("import", "theirs.pth", "--recipe", "quadratic-mlp", "--out", "disk/x"),
    "train": ("train", "quadratic-mlp", "--seed", "0", "--engine", "eager", "--out", "disk/x"),
    "pull": ("pull", "quadratic-mlp"),
    "data prepare": ("data", "prepare", "mnist", "--data-dir", str(DIGITS)),
}


@may_mount
@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_is_one_line_and_the_next_try_is_right(name: str, place: Place) -> None:
    (place.cwd / "disk").mkdir()
    if name == "import":
        torch.save(ganzoo.load("quadratic-mlp").generator.state_dict(), place.cwd / "theirs.pth")
    disk = place.home if name in ("pull", "data prepare") else place.cwd / "disk"
    outcome = place.run(*COMMANDS[name], mount=small_disk(disk, 8))
    assert_one_line(outcome, "Free some disk space")
    left = [path for path in place.seen(disk).rglob("*") if path.is_file()]
    for path in left:
        read_whole(path)
    assert not [path for path in left if ".partial" in str(path)]
    again = COMMANDS[name]
    if name == "train" and (place.seen(disk) / "x" / "run.json").is_file():
        again = ("resume", "disk/x")
    outcome = place.run(*again, mount=f"mount -o remount,size=64m {shlex.quote(str(disk))}")
    assert outcome.code == 0, outcome.stderr


@may_mount
def test_a_full_disk_for_pictures_does_not_stop_a_training(place: Place) -> None:
    samples = place.cwd / "run" / "samples"
    started = place.run("train", "quadratic-mlp", "--seed", "0", "--out", "run", "--set", "checkpoint_every=4")
    assert started.code == 0, started.stderr
    for name in ("step-00000012", "step-00000008"):  # as if it had stopped at step 4
        (place.cwd / "run" / "checkpoints" / f"{name}.safetensors").unlink()
    resumed = place.run("resume", "run", mount=small_disk(samples, 4))
    assert resumed.code == 0, resumed.stderr
    assert "the sample picture cannot be written: No space left on device" in resumed.stderr
    training = json.loads((place.cwd / "run" / "training.json").read_text())
    assert training["steps"] == SHORT_STEPS


# --- a read-only store ---


@may_mount
def test_a_read_only_store_is_read(place: Place) -> None:
    assert place.run("pull", "quadratic-mlp").code == 0
    read_only = f"mount --bind {place.home} {place.home} && mount -o remount,ro,bind {place.home}"
    for arguments in (
        ("sample", "quadratic-mlp", "--seed", "0", "--out", "x.png"),
        ("eval", "quadratic-mlp", "--protocol", "quadratic-quick-v1"),
        ("verify", "quadratic-mlp"),
        ("pull", "quadratic-mlp"),
        ("list",),
    ):
        outcome = place.run(*arguments, mount=read_only)
        assert outcome.code == 0, (arguments, outcome.stderr)
    assert_one_line(place.run("pull", "mnist-mlp", mount=read_only), "read-only")
    assert_one_line(place.run("data", "prepare", "mnist", "--data-dir", str(DIGITS), mount=read_only), "read-only")


# --- little memory ---


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA counts mapped memory on Linux only")
@pytest.mark.parametrize(
    "command",
    [
        "list",
        "verify mnist-mlp cifar10-dcgan",
        "sample cifar10-dcgan --num 256 --seed 0 --out x.png",
        "sample mnist-mlp --num 20000 --seed 0 --out x.npy",
        "sample mnist-mlp --num 2000 --seed 0 --out x/",
        "eval quadratic-mlp --protocol quadratic-quick-v1",
    ],
)
def test_two_gigabytes_are_enough(place: Place, command: str) -> None:
    outcome = place.run(*command.split(), data_limit=2 << 30)
    assert outcome.code == 0, outcome.stderr


# --- an output that cannot be written ---


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize(
    "arguments",
    [["--version"], ["--help"], ["list"], ["show", "mnist-mlp", "--json"], ["pull", "quadratic-mlp"]],
    ids=" ".join,
)
@pytest.mark.parametrize("buffered", [True, False])
def test_a_full_standard_output_is_one_line(arguments: list[str], buffered: bool, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONUNBUFFERED": "" if buffered else "1"}
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "ganzoo", *arguments],
            cwd=tmp_path,
            env=environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert result.returncode == 1
    error, hint = result.stderr.splitlines()[-2:]
    assert error.startswith("Error:")
    assert error.endswith("No space left on device.")
    assert hint.startswith("Hint:  Free some disk space")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_standard_error_stops_nothing(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        for arguments, code in ((["pull", "quadratic-mlp"], 0), (["show", "nothing"], 2)):
            command = [sys.executable, "-m", "ganzoo", *arguments]
            assert (
                subprocess.run(command, cwd=tmp_path, stderr=full, stdout=subprocess.PIPE, check=False).returncode
                == code
            )
