"""The processes of one training, each with its part of every batch, as `torchrun` starts them.

A rank is one of them; the first leads: it alone writes and speaks. A process without others is a rank too, whose
exchanges do nothing; it does not even import `torch.distributed`.
"""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from ganzoo.errors import DeviceError, OtherProcessError, SettingsError, TrainingError, first_sentence
from ganzoo.system.devices import find_device

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from torch.distributed import ProcessGroup

Result = TypeVar("Result")

PATIENCE = timedelta(days=1)
"""How long ranks wait for each other: one may pack a dataset. One that ends is noticed at once all the same."""


@dataclass(frozen=True)
class Processes:
    """One process among the others: what is computed from the same inputs is the same on every rank.

    Unless said otherwise, each method must be called by all ranks in the same order. They raise TrainingError when
    another process is gone.
    """

    rank: int = 0
    """0 is the one that leads."""
    world_size: int = 1
    """How many there are."""
    local_rank: int = 0
    """This one's number among those of its machine, and that of its GPU."""
    local_world_size: int = 1
    """How many there are on this machine."""

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.rank == 0

    # --- without talking to others ---

    def check_batch(self, batch_size: int) -> None:
        """Refuse a joint batch that cannot be split evenly. Raises SettingsError."""
        if batch_size % self.world_size:
            raise SettingsError(
                f"batch_size {batch_size} cannot be split evenly among {self.world_size} processes.",
                hint=f"Set batch_size to a multiple of {self.world_size}, or start another number of processes.",
            )

    def device(self, name: str) -> torch.device:
        """Return this rank's own device of that name: each takes the GPU of its local number. Raises DeviceError."""
        device = find_device(name)
        if self.world_size == 1 or device.type == "cpu":
            return device
        named = device.index is not None
        if device.type != "cuda" or (named and self.local_world_size > 1):
            raise DeviceError(
                f"{self.world_size} processes cannot train on {device}.", hint="Write --device cuda or cpu."
            )
        import torch

        own = device if named else find_device(f"cuda:{self.local_rank}")
        torch.cuda.set_device(own)
        return own

    def local_rows(self, rows: Tensor) -> Tensor:
        """Return this rank's rows of a joint batch [batch, ...], which every rank has in the same order."""
        return rows if self.world_size == 1 else rows.chunk(self.world_size)[self.rank]

    def shards(self, num: int, block: int) -> list[slice]:
        """Return which of `num` rows each rank takes: whole blocks from the first row on. The first rank has some."""
        blocks = -(-num // block)
        bounds = [min(num, -(-rank * blocks // self.world_size) * block) for rank in range(self.world_size + 1)]
        return [slice(start, stop) for start, stop in itertools.pairwise(bounds)]

    # --- tensors ---

    def all_reduce_(self, tensor: Tensor) -> Tensor:
        """Replace a contiguous tensor by its sum over the ranks, and return it."""
        from torch import distributed

        with _contact():
            distributed.all_reduce(tensor, group=group(tensor.is_cuda))
        return tensor

    def all_reduce_mean(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Return the mean of each tensor over the ranks, laid out as the tensor is; one exchange for each type."""
        if self.world_size == 1:
            return list(tensors)
        averaged: dict[int, Tensor] = {}
        for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
            chosen = [index for index, tensor in enumerate(tensors) if tensor.dtype == dtype]
            averaged |= zip(chosen, self._average([tensors[index] for index in chosen]), strict=True)
        return [averaged[index] for index in range(len(tensors))]

    def _average(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        import torch

        flat = tensors[0].new_empty(sum(tensor.numel() for tensor in tensors))
        pieces = flat.split([tensor.numel() for tensor in tensors])
        forms = [torch.empty_like(tensor, device="meta") for tensor in tensors]  # dense, whatever the tensor is
        views = [piece.as_strided(form.shape, form.stride()) for piece, form in zip(pieces, forms, strict=True)]
        torch._foreach_copy_(views, list(tensors))
        self.all_reduce_(flat).div_(self.world_size)
        return views

    def broadcast_tensors_(self, tensors: Sequence[Tensor]) -> None:
        """Fill tensors with what is in those of the first rank."""
        if self.world_size == 1:
            return
        from torch import distributed

        for tensor in tensors:
            whole = tensor.contiguous()
            with _contact():
                distributed.broadcast(whole, 0, group=group(tensor.is_cuda))
            tensor.copy_(whole)

    def scatter(self, rows: Tensor | None, shares: Sequence[slice]) -> Tensor:
        """Return this rank's share of rows on the CPU that only the first rank needs to have."""
        import torch
        from torch import distributed

        form = self.broadcast(None if rows is None else [list(rows.shape[1:]), _name_of(rows.dtype)])
        if rows is None:
            own = torch.empty(_length(shares[self.rank]), *form[0], dtype=getattr(torch, form[1]))
            with _contact():
                distributed.recv(own, 0, group=group(False))
            return own
        for rank in range(1, self.world_size):
            with _contact():
                distributed.send(rows[shares[rank]].contiguous(), rank, group=group(False))
        return rows[shares[0]]

    def gather(self, own: Tensor | None, shares: Sequence[slice]) -> Tensor | None:
        """Return on the first rank what all have computed of their shares, in order; on the CPU.

        A rank whose share is empty has nothing to give.
        """
        import torch
        from torch import distributed

        form = self.broadcast(None if own is None else [list(own.shape[1:]), _name_of(own.dtype)])
        if not self.is_main:
            if own is not None:
                with _contact():
                    distributed.send(own.contiguous(), 0, group=group(False))
            return None
        assert own is not None
        parts = [own]
        for rank in range(1, self.world_size):
            part = torch.empty(_length(shares[rank]), *form[0], dtype=own.dtype)
            if len(part):
                with _contact():
                    distributed.recv(part, rank, group=group(False))
            parts.append(part)
        return torch.cat(parts)

    # --- agreement ---

    def broadcast(self, document: Any = None) -> Any:
        """Return what the first rank passes here, as plain JSON data; what the others pass does not matter."""
        if self.world_size == 1:
            return document
        import torch

        content = bytearray(json.dumps(document if self.is_main else None).encode())
        size = torch.tensor([len(content)])
        self.broadcast_tensors_([size])
        if not self.is_main:
            content = bytearray(int(size))
        self.broadcast_tensors_(
            [torch.frombuffer(content, dtype=torch.uint8)]
        )  # which shares the memory of its content
        return json.loads(content)

    def all_reduce_max(self, numbers: Sequence[float]) -> list[float]:
        """Return the largest of each number over the ranks."""
        if self.world_size == 1:
            return list(numbers)
        import torch
        from torch import distributed

        tensor = torch.tensor(numbers, dtype=torch.float64)
        with _contact():
            distributed.all_reduce(tensor, distributed.ReduceOp.MAX, group=group(False))
        return tensor.tolist()

    def run_on_all(self, call: Callable[[], Result]) -> Result:
        """Return what a call returns, once it has returned on every rank.

        When it fails on some, the first of them raises its error and all the others ElsewhereError.
        """
        if self.world_size == 1:
            return call()
        error: Exception | None = None
        try:
            result = call()
        except Exception as caught:
            error = caught
        own = [0.0] * self.world_size
        if error is not None:
            own[self.rank] = 1.0 if isinstance(error, OtherProcessError) else 2.0
        failed = self.all_reduce_max(own)
        if not any(failed):
            return result
        speaker = failed.index(max(failed))
        if error is not None and speaker == self.rank:
            raise error
        raise OtherProcessError(f"process {speaker} failed.", hint="It says why.") from error

    def run_on_main(self, call: Callable[[], Result]) -> Result | None:
        """Return what a call returns on the first rank, the only one that makes it; None on the others."""
        return self.run_on_all(lambda: call() if self.is_main else None)

    def main_first(self, call: Callable[[], Result]) -> Result:
        """Make a call on every rank, on the first of each machine before the others: what it leaves there is found."""
        if self.world_size == 1:
            return call()
        if self.local_rank == 0:
            result = self.run_on_all(call)
            self.run_on_all(_nothing)
        else:
            self.run_on_all(_nothing)
            result = self.run_on_all(call)
        return result


SINGLE_PROCESS = Processes()
"""A process without others."""


@cache
def group(on_gpu: bool) -> ProcessGroup:
    """Return the ranks as those who exchange tensors of GPUs, or of CPUs; the first call is an exchange itself."""
    from torch import distributed

    if on_gpu:
        return distributed.new_group(backend="nccl")  # type: ignore[return-value]  # a number only for outsiders
    return distributed.new_group(timeout=PATIENCE, backend="gloo")  # type: ignore[return-value]


@contextlib.contextmanager
def _contact() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise TrainingError(
            f"lost contact with another process: {first_sentence(error)}.",
            hint="See what it said. torchrun --max-restarts goes on from the newest checkpoint by itself.",
        ) from error


def _nothing() -> None:
    pass


def _length(rows: slice) -> int:
    return int(rows.stop - rows.start)


def _name_of(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
