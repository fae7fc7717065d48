"""Several processes: real ones, started by torchrun, that exchange tensors through gloo."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch

import ganzoo
from ganzoo.config import Layer
from ganzoo.distributed.processes import SINGLE_PROCESS
from ganzoo.distributed.torch_processes import TorchProcesses
from ganzoo.distributed.torchrun import init_processes
from ganzoo.errors import DeviceError, SettingsError, TrainingError
from ganzoo.training import Run, Training
from ganzoo.weights.tensors import deserialize
from tests.conftest import set_options

ROOT = Path(__file__).parent.parent.parent

# Some parameters have no gradient but rounding, which Adam would blow up.
STEADY = {"optimizers.generator.eps": 1e-3, "optimizers.discriminator.eps": 1e-3}
TINY: dict[str, Any] = {
    **STEADY,
    "seed": 3,
    "steps": 30,
    "device": "cpu",
    "log_every": 10,
    "batch_size": 16,
    "config.generator_hidden": [8, 8],
    "config.discriminator_hidden": [8],
}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "drawn": (
        "quadratic-mlp",
        {
            "ema_decay": 0.9,
            "optimizers.generator.learning_rate": {"kind": "linear", "start": 1e-4, "end": 0},
            "eval_every": 15,
        },
    ),
    "kept state": (
        "mnist-mlp",
        {
            "share_fakes": False,
            "accumulate": 2,
            "config.batch_norm": False,  # would see other parts of the batch in each process
            "augment": ["mirror", "translation"],
            "augment_probability": {"kind": "adaptive", "every": 2, "images": 500, "target": 0.1},
            "regularizers.r1": {"weight": 0.1, "every": 4},
            "regularizers.path_length": {"weight": 0.1, "every": 3},
            "optimizers.generator.clip_norm": 1.0,
            "optimizers.discriminator.kind": "rmsprop",
            "optimizers.discriminator.eps": 1e-3,
        },
    ),
    "streamed": ("mnist-mlp", {"data": "streamed", "config.batch_norm": True, "batch_size": 48, "drop_last": False}),
    "paired": (
        "mnist-mlp",
        {
            "loss": "relativistic",
            "conditional": True,
            "share_fakes": False,
            "discriminator_steps": 2,
            "update_order": "discriminator_first",
            "regularizers.r1": 0.1,
            "regularizers.gradient_penalty": 0.1,
        },
    ),
}
"""Name -> recipe and settings."""

LONG = {**TINY, "steps": 300, "checkpoint_every": 50, "sample_every": 100, "config.batch_norm": True}


def train(out: Path, digits: Path, name: str) -> Run:
    recipe, settings = CASES[name]
    data_dir = None if recipe == "quadratic-mlp" else digits
    return ganzoo.train(recipe, out=out, data_dir=data_dir, settings={**TINY, **settings})


def torchrun(*arguments: str | Path, options: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    """Start two processes."""
    with socket.socket() as found:
        found.bind(("localhost", 0))
        port = str(found.getsockname()[1])
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", port]
    return subprocess.Popen(
        [*launcher, *options, *map(str, arguments)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def start_long(out: Path, digits: Path, *options: str) -> subprocess.Popen[str]:
    command = ("train", "mnist-mlp", "--out", out, "--data-dir", digits, *set_options(LONG))
    return torchrun("-m", "ganzoo", *command, options=options)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    nets = {}
    for name in ("model.safetensors", "discriminator.safetensors"):
        tensors, _ = deserialize((folder / name).read_bytes(), name)
        nets |= {f"{name}/{key}": tensor for key, tensor in tensors.items()}
    return nets


def assert_same_run(found: Path, expected: Path) -> None:
    for name, tensor in weights(expected).items():
        torch.testing.assert_close(weights(found)[name], tensor, rtol=1e-3, atol=1e-4, msg=name)
    pairs = list(zip(Run.open(found).records(), Run.open(expected).records(), strict=True))
    assert pairs
    for ours, theirs in pairs:
        assert ours.keys() == theirs.keys()
        numbers = {key for key, value in theirs.items() if isinstance(value, float) and "second" not in key}
        assert {key: ours[key] for key in numbers} == pytest.approx({key: theirs[key] for key in numbers}, rel=0.01)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """The folder of a run of two processes, and what they said."""
    folder = tmp_path_factory.mktemp("ranks")
    digits = ROOT / "tests" / "data" / "mnist"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANZOO_HOME", str(folder / "home"))
        process = start_long(folder / "run", digits)
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    return folder / "run", stdout, stderr


@pytest.mark.slow
def test_two_processes_do_what_one_does_with_the_joint_batch(tmp_path: Path, digits: Path) -> None:
    process = torchrun(Path(__file__).with_name("rank.py"), tmp_path, digits)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    for name in CASES:
        alone = train(tmp_path / f"{name}-alone", digits, name)
        assert_same_run(tmp_path / name, alone.path)


@pytest.mark.slow
def test_one_process_writes_and_speaks(undisturbed: tuple[Path, str, str]) -> None:
    path, stdout, stderr = undisturbed
    assert stdout == f"{path}\n"
    assert stderr.count("mnist-mlp on cpu, 2 processes") == 1
    assert stderr.count("Done in") == 1
    assert [record["step"] for record in Run.open(path).records()] == list(range(10, 301, 10))
    assert Run.open(path).checkpoints.steps() == [250, 300]
    assert sorted(file.name for file in (path / "samples").iterdir()) == [
        "step-00000100.png",
        "step-00000200.png",
        "step-00000300.png",
    ]
    assert ganzoo.load(path).sample(2, seed=0).shape == (2, 1, 28, 28)


def wait_for_records(path: Path, num: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not path.exists() or path.read_text().count("\n") < num:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def worker(launcher: int, rank: int) -> int:
    """Return the process id of a rank."""
    for task in Path(f"/proc/{launcher}/task").iterdir():
        for child in (task / "children").read_text().split():
            if f"RANK={rank}".encode() in Path(f"/proc/{child}/environ").read_bytes().split(b"\0"):
                return int(child)
    raise AssertionError(f"no rank {rank}")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes in /proc")
def test_a_killed_process_is_started_again_and_nothing_is_lost(
    tmp_path: Path, digits: Path, undisturbed: tuple[Path, str, str]
) -> None:
    process = start_long(tmp_path / "run", digits, "--max-restarts", "1")
    wait_for_records(tmp_path / "run" / "metrics.jsonl", 12, process)
    os.kill(worker(process.pid, 1), signal.SIGKILL)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    assert "from step " in stderr
    assert "Traceback" not in stderr
    found, expected = weights(tmp_path / "run"), weights(undisturbed[0])
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    assert [record["step"] for record in Run.open(tmp_path / "run").records()] == list(range(10, 301, 10))


@pytest.mark.slow
def test_a_stopped_run_goes_on_with_another_number_of_processes(
    tmp_path: Path, digits: Path, undisturbed: tuple[Path, str, str]
) -> None:
    process = start_long(tmp_path / "run", digits)
    wait_for_records(tmp_path / "run" / "metrics.jsonl", 4, process)
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=60)
    assert stdout == f"{tmp_path / 'run'}\n"
    assert f"Continue: ganzoo resume {tmp_path / 'run'}" in stderr
    assert Run.open(tmp_path / "run").checkpoints.steps()[-1] < 300
    ganzoo.resume(tmp_path / "run")
    assert_same_run(tmp_path / "run", undisturbed[0])


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_two_gpus_record_a_step_with_its_exchanges(tmp_path: Path, digits: Path) -> None:
    settings = {**LONG, "device": "cuda", "steps": 60}
    command = ("train", "mnist-mlp", "--out", tmp_path / "run", "--data-dir", digits, *set_options(settings))
    process = torchrun("-m", "ganzoo", *command)
    _, stderr = process.communicate(timeout=200)
    assert process.returncode == 0, stderr
    assert "engine graph" in stderr
    alone = ganzoo.train("mnist-mlp", out=tmp_path / "alone", data_dir=digits, settings=settings)
    assert_same_run(tmp_path / "run", alone.path)


def processes_of(world_size: int, rank: int = 0) -> TorchProcesses:
    """One of several processes that are not there: for what needs no exchange."""
    return TorchProcesses(rank, world_size, local_rank=rank, local_world_size=world_size)


def test_all_processes_stop_after_the_same_step() -> None:
    class Pair(TorchProcesses):
        def all_reduce_max(self, numbers: Any) -> list[float]:
            return [float(len(steps) >= 20), numbers[1]]

    steps: list[int] = []
    should_stop = Pair(0, 2, 0, 2).agreed(lambda: False)
    while not should_stop():
        steps.append(len(steps) + 1)
    assert steps[-1] == 30  # asked after steps 1, 3, 7, 15 and 31


def test_a_single_process_stops_at_once() -> None:
    assert SINGLE_PROCESS.agreed(lambda: True)()


def test_what_several_processes_cannot_share_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="batch_size 64 cannot be split evenly among 3 processes") as caught:
        processes_of(3).check_batch(64)
    assert "multiple of 3" in caught.value.hint
    monkeypatch.setattr("ganzoo.distributed.torch_processes.find_device", torch.device)
    for name in ("mps", "cuda:1"):
        with pytest.raises(DeviceError, match="2 processes cannot train on"):
            processes_of(2).device(name)


def test_shards_join_to_the_whole() -> None:
    rows = torch.arange(12).view(6, 2)
    assert torch.equal(torch.cat([processes_of(3, rank).local_rows(rows) for rank in range(3)]), rows)
    for num in (1, 5, 64, 65, 1000):
        assert SINGLE_PROCESS.shards(num, 16) == [slice(0, num)]
        for world_size in (2, 3, 8):
            shards = processes_of(world_size).shards(num, 16)
            assert [row for shard in shards for row in range(num)[shard]] == list(range(num))
            assert all(shard.start % 16 == 0 or shard.start == num for shard in shards)
            assert shards[0].stop > 0


def test_processes_that_cannot_meet_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "two")
    with pytest.raises(TrainingError, match="WORLD_SIZE is 'two'"):
        init_processes()
    for name, value in {"WORLD_SIZE": "2", "RANK": "1", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("ganzoo.distributed.torchrun.RENDEZVOUS_TIMEOUT", timedelta(seconds=1))
    with pytest.raises(TrainingError, match="cannot reach the other processes through localhost:1"):
        init_processes()


def test_a_restart_without_a_folder_is_no_new_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    with pytest.raises(TrainingError, match="cannot know its run's folder"):
        Training.start_or_resume("quadratic-mlp", None, [])


def test_a_command_that_torchrun_may_restart_takes_up_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layers = [Layer("test", {"steps": 4, "device": "cpu"})]
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "1")
    for steps in (0, 3):
        job = Training.start_or_resume("quadratic-mlp", tmp_path / "run", layers)
        assert job.state.step == steps
        job.should_stop = lambda job=job: job.state.step == 3  # type: ignore[misc]
        list(job)
    assert job.finished
    monkeypatch.delenv("TORCHELASTIC_MAX_RESTARTS")
    with pytest.raises(TrainingError, match="already holds a run"):
        Training.start_or_resume("quadratic-mlp", tmp_path / "run", layers)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["resumed"]
