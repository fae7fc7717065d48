"""Several processes, on top of `torch.distributed`: gloo for tensors on CPUs, NCCL for tensors on GPUs."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

import torch
from torch import Tensor, distributed
from torch.distributed import ProcessGroup

from ganzoo.distributed.processes import Processes
from ganzoo.distributed.stopping import AgreedStop
from ganzoo.errors import DeviceError, OtherProcessError, SettingsError, TrainingError, first_sentence
from ganzoo.system.devices import find_device
from ganzoo.system.torch_private import foreach_copy_

TIMEOUT = timedelta(days=1)
"""Longest wait of one rank for another: the main one may be packing a dataset. A dead process is noticed at once."""


@dataclass(frozen=True)
class TorchProcesses(Processes):
    """One process of several."""

    rank: int
    world_size: int
    local_rank: int
    local_world_size: int

    def check_batch(self, batch_size: int) -> None:
        if batch_size % self.world_size:
            raise SettingsError(
                f"batch_size {batch_size} cannot be split evenly among {self.world_size} processes.",
                hint=f"Set batch_size to a multiple of {self.world_size}, or start another number of processes.",
            )

    def device(self, name: str | torch.device) -> torch.device:
        device = find_device(name)
        if device.type == "cpu":
            return device
        # `cuda` is the GPU of each rank; `cuda:1` would be the same one for all ranks of a machine.
        named = device.index is not None
        if device.type != "cuda" or (named and self.local_world_size > 1):
            raise DeviceError(
                f"{self.world_size} processes cannot train on {device}.", hint="Write --device cuda or cpu."
            )
        own = device if named else find_device(f"cuda:{self.local_rank}")
        # NCCL, and whatever allocates on `cuda` without an index, would otherwise use GPU 0 in every process.
        torch.cuda.set_device(own)
        return own

    def local_rows(self, rows: Tensor) -> Tensor:
        return rows.chunk(self.world_size)[self.rank]

    # --- tensors ---

    def all_reduce_(self, tensor: Tensor) -> Tensor:
        with _lost_contact():
            distributed.all_reduce(tensor, group=group(tensor.is_cuda))
        return tensor

    def all_reduce_mean(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        # Grouped by dtype, because a flat buffer has one, and put back in the given order.
        means: dict[int, Tensor] = {}
        for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
            chosen = [index for index, tensor in enumerate(tensors) if tensor.dtype == dtype]
            means |= zip(chosen, self._mean([tensors[index] for index in chosen]), strict=True)
        return [means[index] for index in range(len(tensors))]

    def _mean(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Average tensors of one dtype as one flat buffer: one exchange instead of one for each parameter."""
        flat = tensors[0].new_empty(sum(tensor.numel() for tensor in tensors))
        pieces = flat.split([tensor.numel() for tensor in tensors])
        # On the meta device, empty_like gives the strides of a dense tensor without taking memory.
        like = [torch.empty_like(tensor, device="meta") for tensor in tensors]
        views = [piece.as_strided(one.shape, one.stride()) for piece, one in zip(pieces, like, strict=True)]
        foreach_copy_(views, tensors)
        self.all_reduce_(flat).div_(self.world_size)
        return views

    def broadcast_tensors_(self, tensors: Sequence[Tensor]) -> None:
        for tensor in tensors:
            # Weights in channels_last are not contiguous; dense ones are returned as they are, without a copy.
            dense = tensor.contiguous()
            with _lost_contact():
                distributed.broadcast(dense, 0, group=group(tensor.is_cuda))
            tensor.copy_(dense)

    def all_gather_rows(self, own: Tensor, shards: Sequence[slice]) -> Tensor:
        shape, dtype = self.broadcast([list(own.shape[1:]), _name_of(own.dtype)])
        rows = torch.empty(shards[-1].stop, *shape, dtype=getattr(torch, dtype))
        if len(own):
            rows[shards[self.rank]] = own
        # gloo's all_gather wants parts of one size; one broadcast for each rank needs no padding.
        for rank, shard in enumerate(shards):
            if shard.stop > shard.start:
                with _lost_contact():
                    distributed.broadcast(rows[shard], rank, group=group(False))
        return rows

    # --- agreement ---

    def broadcast(self, document: Any = None) -> Any:
        # JSON and not torch's broadcast_object_list, which unpickles: whoever reaches the port of the processes could
        # make them run code. And what is JSON is plain data, checked like a file where it is read.
        content = bytearray(json.dumps(document if self.is_main else None).encode())
        # The length first: a receiver has to provide a buffer of the right size.
        size = torch.tensor([len(content)])
        self.broadcast_tensors_([size])
        if not self.is_main:
            content = bytearray(int(size))
        self.broadcast_tensors_([torch.frombuffer(content, dtype=torch.uint8)])  # shares the memory of `content`
        return json.loads(content)

    def all_reduce_max(self, numbers: Sequence[float]) -> list[float]:
        tensor = torch.tensor(numbers, dtype=torch.float64)
        with _lost_contact():
            distributed.all_reduce(tensor, distributed.ReduceOp.MAX, group=group(False))
        return tensor.tolist()

    @contextlib.contextmanager
    def sharing_errors(self) -> Iterator[None]:
        error: Exception | None = None
        try:
            yield
        except Exception as caught:
            error = caught
        # 0: fine, 1: only repeats that another rank failed (in a block inside this one), 2: failed itself.
        own = [0.0] * self.world_size
        if error is not None:
            own[self.rank] = 1.0 if isinstance(error, OtherProcessError) else 2.0
        # Each rank has filled in its own place, so the maximum is a list of what happened on all of them.
        failed = self.all_reduce_max(own)
        if not any(failed):
            return
        # A 2 before any 1: the rank that has the error itself should be the one to explain it.
        first = failed.index(max(failed))
        if error is not None and first == self.rank:
            raise error
        raise OtherProcessError(f"process {first} failed.", hint="See its message.") from error

    def agreed(self, should_stop: Callable[[], bool]) -> Callable[[], bool]:
        return AgreedStop(self, should_stop)


@cache
def group(on_gpu: bool) -> ProcessGroup:
    """Return the group of all ranks for tensors on GPUs or on CPUs. All ranks must make the first call together."""
    if on_gpu:
        return distributed.new_group(backend="nccl")  # type: ignore[return-value]  # an int only for ranks outside
    return distributed.new_group(timeout=TIMEOUT, backend="gloo")  # type: ignore[return-value]


@contextlib.contextmanager
def _lost_contact() -> Iterator[None]:
    """Turn torch's error about a process that is gone into one line and what to do."""
    try:
        yield
    except RuntimeError as error:
        raise TrainingError(
            f"lost contact with another process: {first_sentence(error)}.",
            hint="See its message. With torchrun --max-restarts, training continues from the newest checkpoint.",
        ) from error


def _name_of(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
