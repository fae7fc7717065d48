"""What each of two processes does in test_processes.py: `torchrun … rank.py FOLDER DIGITS`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

import ganzoo
from ganzoo.distributed.processes import Processes
from ganzoo.distributed.sync_batch_norm import convert_sync_batch_norm
from ganzoo.distributed.torchrun import init_processes
from ganzoo.errors import DatasetError, EvaluationError, OtherProcessError, SettingsError
from ganzoo.evaluation.measurement import Evaluator, evaluate_gan
from ganzoo.losses import squared_gradient
from ganzoo.registry import datasets
from ganzoo.specs import EvaluationProtocol
from tests.distributed.test_processes import CASES, train

CPU = torch.device("cpu")


def raises(kind: type[Exception], processes: Processes, speaker: int, call: Callable[[], object]) -> None:
    """The speaker gets the error, the other one word of it."""
    with pytest.raises(kind if processes.rank == speaker else OtherProcessError):
        processes.run_on_all(call)


def check_on_main(processes: Processes) -> None:
    with processes.on_main() as main:
        assert main == processes.is_main


def fail_on_main(processes: Processes) -> None:
    with processes.on_main() as main:
        if main:
            raise DatasetError("gone")


def fail_on(processes: Processes, rank: int) -> None:
    if processes.rank == rank:
        raise DatasetError("gone")


def check_batch_norm(processes: Processes) -> None:
    """Outputs, statistics, gradients, and gradients of gradients are those of one process with the joint batch."""
    source = torch.Generator().manual_seed(0)
    samples = torch.randn(8, 3, 5, generator=source) * 2 + 100  # far from zero, where squares would cancel
    torch.manual_seed(0)
    layers = [nn.BatchNorm1d(3), nn.Flatten(), nn.Linear(15, 4), nn.BatchNorm1d(4, momentum=None), nn.Tanh()]
    whole = nn.Sequential(*layers, nn.Linear(4, 1))
    shared = deepcopy(whole)
    convert_sync_batch_norm(shared, processes)
    assert list(shared.state_dict()) == list(whole.state_dict())
    discriminators = [lambda x, net=net: net(x).squeeze(1) for net in (whole, shared)]
    for _ in range(2):
        outputs = whole(samples), shared(processes.local_rows(samples))
        torch.testing.assert_close(outputs[1], processes.local_rows(outputs[0]), rtol=1e-3, atol=1e-5)
        losses = [
            output.square().mean() + squared_gradient(function, rows).mean() / 2
            for output, function, rows in zip(
                outputs, discriminators, (samples, processes.local_rows(samples)), strict=True
            )
        ]
        expected = torch.autograd.grad(losses[0], list(whole.parameters()))
        found = processes.all_reduce_mean(torch.autograd.grad(losses[1], list(shared.parameters())))
        for one, other in zip(expected, found, strict=True):
            torch.testing.assert_close(other, one, rtol=1e-3, atol=1e-4)
    for name, tensor in whole.state_dict().items():
        torch.testing.assert_close(shared.state_dict()[name], tensor, rtol=1e-4, atol=1e-5, msg=name)
    torch.testing.assert_close(shared.eval()(samples), whole.eval()(samples), rtol=1e-3, atol=1e-4)


def check_exchanges(processes: Processes) -> None:
    assert processes.broadcast({"seed": processes.rank}) == {"seed": 0}
    assert processes.all_reduce_max([processes.rank, -processes.rank]) == [1, 0]
    exact, rough = torch.tensor([[1.0, 2], [3, 4]]).t() * (processes.rank + 1), torch.ones(()).double().expand(3)
    means = processes.all_reduce_mean([exact, rough])
    assert means[0].stride() == exact.stride()
    assert means[0].tolist() == [[1.5, 4.5], [3, 6]]
    assert means[1].tolist() == [1, 1, 1]
    for num in (1, 7, 64):  # with an empty shard, with one that is not whole, with all
        shards = processes.shards(num, 4)
        rows = torch.arange(num * 3).view(num, 3)
        own = rows[shards[processes.rank]]
        gathered = processes.all_gather_rows(own if len(own) else torch.empty(0), shards)
        assert torch.equal(gathered, rows)
    raises(DatasetError, processes, 0, lambda: fail_on_main(processes))
    for rank in (0, 1):
        raises(DatasetError, processes, rank, lambda rank=rank: fail_on(processes, rank))
        raises(DatasetError, processes, rank, lambda rank=rank: processes.main_first(lambda: fail_on(processes, rank)))


def check_evaluation(processes: Processes, run: Path, digits: Path) -> None:
    """Numbers of two processes are those of one, samples and features being of several blocks."""
    gan, dataset = ganzoo.load(run), datasets.get("mnist")
    metrics = ("fd-lenet", "class-imbalance", "label-accuracy")
    protocol = EvaluationProtocol(
        name="test", metrics=metrics, num_samples=1500, seeds=(0, 1), num_real=128, split="test"
    )
    shared = evaluate_gan(gan, "gan", protocol, digits)
    alone = Evaluator(dataset, protocol, CPU, digits).measure(gan, "gan")
    assert shared == replace(alone, samples_per_second=shared.samples_per_second)
    with pytest.raises(EvaluationError if processes.is_main else OtherProcessError):  # too few real samples
        evaluate_gan(gan, "gan", "mnist-lenet-quick-v1", digits)


def main() -> None:
    folder, digits = map(Path, sys.argv[1:])
    processes = init_processes()
    check_exchanges(processes)
    check_on_main(processes)
    check_batch_norm(processes)
    raises(SettingsError, processes, 0, lambda: ganzoo.train("quadratic-mlp", settings={"batch_size": 5}))
    for name in CASES:
        train(folder / name, digits, name)
    check_evaluation(processes, folder / "paired", digits)


main()
