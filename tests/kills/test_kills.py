"""Commands are killed (SIGKILL) before each of their changes to files and connections, and at random moments.

After each kill every file that is there is whole; after the next try the files are those of an undisturbed run, and
no others.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import ganzoo
from tests.conftest import DIGITS
from tests.hub.conftest import NAME
from tests.hub.faults import Fault, Reply
from tests.hub.faults import Request as HubRequest
from tests.hub.repository import File
from tests.hub.server import HubServer
from tests.kills.client import Worker, read_whole
from tests.kills.worker import Outcome, Request
from tests.test_model import make_gan

WORDS = Path(__file__).parents[1] / "data" / "mjsynth"
PUSHED = "you/pushed"
TOKEN = "hf_kills"
TRAINING = ("--seed", "0", "--engine", "eager", "--set", "checkpoint_every=4", "--set", "log_every=3")


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubServer]:
    with HubServer() as hub:
        hub.add_user("you", TOKEN)
        tiny = make_gan().save(tmp_path_factory.mktemp("tiny") / "tiny")
        hub.add_repo(NAME, {path.name: path.read_bytes() for path in tiny.iterdir()})
        yield hub


@pytest.fixture(scope="module")
def worker(hub: HubServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    folder = tmp_path_factory.mktemp("worker")
    worker = Worker(
        {
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(folder / "hf"),
            "HF_TOKEN": TOKEN,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_UPDATE_CHECK": "1",
            "XDG_CONFIG_HOME": str(folder / "config"),
            "TMPDIR": str(folder),
        }
    )
    yield worker
    worker.close()
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []  # of the folders for pushes


@dataclass(frozen=True)
class Case:
    """A command, and how it is tried again after a kill."""

    arguments: tuple[str, ...]
    num_kills: int
    prepare: Callable[[Path], object] = lambda folder: None
    """Called with the folder that the command runs in."""
    again: Callable[[Path], tuple[str, ...]] | None = None
    """The next try, by what the kill left; None for the same command."""


def _write_state_dict(folder: Path) -> None:
    torch.save(ganzoo.load("quadratic-mlp").generator.state_dict(), folder / "theirs.pth")


def _save(folder: Path) -> None:
    make_gan().save(folder / "weights")


def _resume(folder: Path) -> tuple[str, ...]:
    return ("resume", "run") if (folder / "run" / "run.json").is_file() else CASES["train"].arguments


def _sample(*out: str, num_kills: int, prepare: Callable[[Path], object] = lambda folder: None) -> Case:
    return Case(("sample", "mnist-mlp", "--seed", "0", "--num", "6", "--out", *out), num_kills, prepare)


CASES = {
    "pull": Case(("pull", f"hf:{NAME}"), 24),
    "train": Case(("train", "quadratic-mlp", "--out", "run", *TRAINING), 32, again=_resume),
    "prepare": Case(("data", "prepare", "mnist", "--data-dir", str(DIGITS)), 24),
    "prepare-streamed": Case(("data", "prepare", "mjsynth", "--data-dir", str(WORDS), "--workers", "1"), 40),
    "sample-picture": _sample("x.png", num_kills=4),
    "sample-array": _sample("x.npy", num_kills=4),
    "sample-folder": _sample("new/", num_kills=10),
    "sample-into-a-folder": _sample("old/", num_kills=16, prepare=lambda folder: (folder / "old").mkdir()),
    "sample-shards": _sample("shards/", "--shard-size", "2", num_kills=6),
    "import": Case(
        ("import", "theirs.pth", "--recipe", "quadratic-mlp", "--out", "ours"), 8, prepare=_write_state_dict
    ),
    "push": Case(("push", "./weights", PUSHED, "--license", "mit", "--yes"), 20, prepare=_save),
    "bundle": Case(
        ("zoo", "bundle", "run", "package", "--version", "v9", "--license", "MIT", "--protocol", "quadratic-quick-v1"),
        12,
        prepare=lambda folder: shutil.copytree(folder.parent.parent / "finished", folder / "run"),
    ),
}


@dataclass(frozen=True)
class Place:
    """A folder to run commands in, a store, and the Hub."""

    root: Path
    worker: Worker
    hub: HubServer

    @classmethod
    def new(cls, root: Path, worker: Worker, case: Case, hub: HubServer) -> Place:
        """Make a folder in which a command has not run; the Hub holds one repository, and none of an earlier push."""
        place = cls(root, worker, hub)
        place.cwd.mkdir(parents=True)
        case.prepare(place.cwd)
        hub.repositories.pop(PUSHED, None)
        return place

    @property
    def cwd(self) -> Path:
        return self.root / "cwd"

    def run(self, arguments: Sequence[str], kill_at: int | None = None, kill_after: float | None = None) -> Outcome:
        home = str(self.root / "home")
        return self.worker.run(Request(tuple(arguments), str(self.cwd), home, kill_at, kill_after))

    def kill(self, case: Case, kill_at: int | None = None, kill_after: float | None = None) -> int:
        """Kill the command, unless it ends before; return how often it was killed."""
        arguments = case.arguments if case.again is None else case.again(self.cwd)
        outcome = self.run(arguments, kill_at, kill_after)
        assert outcome.code == -signal.SIGKILL or is_done(outcome), outcome.stderr
        self.check_whole()
        return int(outcome.code == -signal.SIGKILL)

    def try_again(self, case: Case) -> None:
        outcome = self.run(case.arguments if case.again is None else case.again(self.cwd))
        assert is_done(outcome), outcome.stderr

    def files(self) -> dict[str, Path]:
        """Return what was written, without lock files."""
        found = {}
        for top in (self.cwd, self.root / "home"):
            for path in top.rglob("*"):
                if is_file_of_work(path):
                    found[path.relative_to(self.root).as_posix()] = path
        return found

    def contents(self) -> dict[str, object]:
        """Return what every file holds, without times, and the repository that was pushed."""
        contents = {name: content_of(path) for name, path in self.files().items()}
        if PUSHED in self.hub.repositories:
            contents |= {f"{PUSHED}/{name}": file.sha256 for name, file in self.pushed().items()}
        return contents

    def pushed(self) -> Mapping[str, File]:
        return self.hub.repo(PUSHED).head().files

    def check_whole(self) -> None:
        """Every file with a name of its own can be read; blobs have the digest that they are named by."""
        for name, path in self.files().items():
            if not any(part.endswith((".partial", ".packing")) or part == "staging" for part in Path(name).parts):
                read_whole(path)
        if PUSHED in self.hub.repositories:
            assert len(self.pushed()) in (1, 5)  # .gitattributes alone, or all


def is_done(outcome: Outcome) -> bool:
    """Whether a command did its work, or found it done: the kill came after the work, and before the end."""
    found = ("already exists", "already has", "is not empty")
    return outcome.code == 0 or any(words in outcome.stderr for words in found)


def is_file_of_work(path: Path) -> bool:
    return path.is_file() and not path.name.endswith(".lock")


def content_of(path: Path) -> object:
    if path.suffix in (".json", ".jsonl"):
        return [without_times(json.loads(line)) for line in documents(path)]
    if path.suffix == ".safetensors":
        tensors = {name: tensor for name, tensor in load_file(path).items() if not name.endswith("seconds")}
        return {name: (tensor.dtype, tensor.shape, tensor.numpy().tobytes()) for name, tensor in tensors.items()}
    if path.name == "report.html":
        return path.stat().st_size > 0  # it states the seconds of its run
    return hashlib.sha256(path.read_bytes()).hexdigest()


def documents(path: Path) -> list[str]:
    text = path.read_text()
    return text.splitlines() if path.suffix == ".jsonl" else [text]


TIMES = {"created", "resumed", "seconds", "steps_per_second", "files", "at", "time"}
"""Keys whose values differ between two runs; `files` of a packed copy holds modification times."""


def without_times(document: object) -> object:
    if isinstance(document, dict):
        return {key: without_times(value) for key, value in document.items() if key not in TIMES}
    return document


@pytest.fixture(scope="module")
def folder(worker: Worker, hub: HubServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run in it."""
    folder = tmp_path_factory.mktemp("places")
    (folder / "start" / "cwd").mkdir(parents=True)
    outcome = Place(folder / "start", worker, hub).run(
        ("train", "quadratic-mlp", "--out", "../../finished", "--seed", "0")
    )
    assert outcome.code == 0, outcome.stderr
    return folder


@pytest.mark.parametrize("name", CASES)
def test_after_kills_all_files_are_whole_and_the_next_try_is_right(
    name: str, worker: Worker, hub: HubServer, folder: Path
) -> None:
    case = CASES[name]
    undisturbed = Place.new(folder / name, worker, case, hub)
    outcome = undisturbed.run(case.arguments)
    assert outcome.code == 0, outcome.stderr
    expected = undisturbed.contents()

    # Moments over the whole command, in pairs: every second kill hits the next try. Some of those come at random times.
    chosen, num_kills = random.Random(name), 0
    moments = [1 + index * outcome.num_changes // case.num_kills for index in range(case.num_kills)]
    chosen.shuffle(moments)
    for index in range(0, case.num_kills, 2):
        place = Place.new(folder / f"{name}-{index}", worker, case, hub)
        num_kills += place.kill(case, moments[index])
        at_random = chosen.random() * outcome.seconds if index % 8 == 6 else None
        num_kills += place.kill(case, moments[index + 1] if at_random is None else None, at_random)
        place.try_again(case)
        assert place.contents() == expected
        shutil.rmtree(place.root)
    assert num_kills >= 0.7 * case.num_kills


class KillAfter(Fault):
    """Kills the client after the Hub has done what a request of this number asks for, and before it can say so."""

    def __init__(self, number: int, process: Path) -> None:
        self.left, self.process = number, process

    def change(self, request: HubRequest, reply: Reply) -> Reply | None:
        self.left -= 1
        if self.left:
            return None
        os.kill(int(self.process.read_text()), signal.SIGKILL)
        return Reply(0, ending="close")


@pytest.mark.parametrize("name", ["pull", "push"])
def test_after_a_kill_at_each_request_the_next_try_is_right(
    name: str, worker: Worker, hub: HubServer, folder: Path
) -> None:
    case = CASES[name]
    undisturbed = Place.new(folder / f"{name}-requests", worker, case, hub)
    hub.requests.clear()
    assert undisturbed.run(case.arguments).code == 0
    expected, num_requests = undisturbed.contents(), len(hub.requests)
    for number in range(1, num_requests + 1):
        place = Place.new(folder / f"{name}-request-{number}", worker, case, hub)
        planned = hub.misbehave("* *", KillAfter(number, place.root / "log" / "process"))
        assert place.kill(case) == 1
        hub.planned.remove(planned)
        place.try_again(case)
        assert place.contents() == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "quadratic-mlp", "--out", "run", "--seed", "0", "--steps", "400", "--set", "checkpoint_every=50"),
        ("sample", "mnist-mlp-small", "--num", "6000", "--seed", "0", "--out", "many/"),  # with worker processes
    ],
    ids=["train", "sample"],
)
def test_real_processes_and_their_workers_end_and_the_next_try_is_right(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "ganzoo", *arguments]
    (tmp_path / "expected").mkdir()
    assert subprocess.run(command, cwd=tmp_path / "expected", check=False).returncode == 0
    cwd = tmp_path / "cwd"
    cwd.mkdir()
    started = subprocess.Popen(command, cwd=cwd, start_new_session=True)
    while not list(cwd.rglob("step-00000050.safetensors")) and len(list(cwd.rglob("*.png"))) < 500:
        assert started.poll() is None
        time.sleep(0.01)
    started.kill()
    started.wait()
    deadline = time.monotonic() + 60
    while session_lives(started.pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    again = ["resume", "run"] if (cwd / "run").is_dir() else arguments
    assert subprocess.run([*command[:3], *again], cwd=cwd, check=False).returncode == 0
    found, expected = (
        {path.relative_to(top).as_posix(): content_of(path) for path in top.rglob("*") if is_file_of_work(path)}
        for top in (cwd, tmp_path / "expected")
    )
    assert found == expected


def session_lives(leader: int) -> bool:
    """Whether a process of a session is left: a killed program's workers must end, too."""
    try:
        os.killpg(leader, 0)
    except ProcessLookupError:
        return False
    return True
