"""The processes that train or evaluate one model together, as `torchrun` starts them.

`Processes` is what the rest of the program sees, by the names of `torch.distributed`. `SINGLE_PROCESS` is the usual
case: its operations do nothing and import nothing, so that callers never ask how many processes there are.
"""

from __future__ import annotations

import contextlib
import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from ganzoo.system.devices import find_device

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Result = TypeVar("Result")


class Processes(ABC):
    """A process and the others beside it.

    Methods that communicate must be called by all ranks in the same order. They raise TrainingError when another
    process is gone. Whatever all ranks compute from the same inputs may be taken to be the same on all of them, so that
    decisions need no communication.
    """

    rank: int
    """0 is the main process: it alone writes files and messages."""
    world_size: int
    """Number of processes."""
    local_rank: int
    """Rank among the processes of this machine, and the index of this process's GPU."""
    local_world_size: int
    """Number of processes on this machine."""

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and messages."""
        return self.rank == 0

    # --- without communication ---

    @abstractmethod
    def check_batch(self, batch_size: int) -> None:
        """Refuse a global batch that cannot be split evenly. Raises SettingsError."""

    @abstractmethod
    def device(self, name: str | torch.device) -> torch.device:
        """Return the device of this rank: for "cuda", the GPU of its local rank. Raises DeviceError."""

    @abstractmethod
    def local_rows(self, rows: Tensor) -> Tensor:
        """Return this rank's rows of a global batch [batch, ...], which every rank has in the same order."""

    def shards(self, num: int, block: int) -> list[slice]:
        """Return which of `num` rows each rank takes: whole blocks, in order; later ranks may have none.

        Whole blocks, because the size of a batch changes the last bits of a net's outputs: a shard computed in blocks
        of this size has the same numbers as in one process.
        """
        # -(-a // b) is a / b rounded up. 2,500 rows in blocks of 1,000 are 3 blocks; of two ranks, the first takes rows
        # 0 to 2,000 and the second the other 500.
        blocks = -(-num // block)
        bounds = [min(num, -(-rank * blocks // self.world_size) * block) for rank in range(self.world_size + 1)]
        return [slice(start, stop) for start, stop in itertools.pairwise(bounds)]

    # --- tensors ---

    @abstractmethod
    def all_reduce_(self, tensor: Tensor) -> Tensor:
        """Replace a contiguous tensor by its sum over the ranks, and return it."""

    @abstractmethod
    def all_reduce_mean(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Return the mean of each tensor over the ranks, with the strides of the tensor."""

    @abstractmethod
    def broadcast_tensors_(self, tensors: Sequence[Tensor]) -> None:
        """Overwrite the tensors with those of the main rank."""

    @abstractmethod
    def all_gather_rows(self, own: Tensor, shards: Sequence[slice]) -> Tensor:
        """Return the rows of all ranks in order, on every rank; `own` are those of this rank's shard, on the CPU.

        A rank with an empty shard passes any empty tensor: shape and dtype are those of the main rank's rows.
        """

    # --- agreement ---

    @abstractmethod
    def broadcast(self, document: Any = None) -> Any:
        """Return the JSON data that the main rank passes; what the others pass is ignored."""

    @abstractmethod
    def all_reduce_max(self, numbers: Sequence[float]) -> list[float]:
        """Return the maximum of each number over the ranks."""

    @abstractmethod
    def sharing_errors(self) -> contextlib.AbstractContextManager[object]:
        """Wait at the end of the block for all ranks; if it failed on some, it fails on all.

        The first rank that failed raises its own error, the others raise OtherProcessError.
        """

    @abstractmethod
    def agreed(self, should_stop: Callable[[], bool]) -> Callable[[], bool]:
        """Return a function that all ranks call after every step: true on all after the same one, once any wants it."""

    @contextlib.contextmanager
    def on_main(self) -> Iterator[bool]:
        """Give True on the main rank and False on the others, sharing errors: `with … as main: if main: …`.

        Without the exchange at the end of the block, the others would wait for a main rank that has failed.
        """
        with self.sharing_errors():
            yield self.is_main

    def run_on_all(self, call: Callable[[], Result]) -> Result:
        """Return what a call on every rank returns, sharing errors."""
        with self.sharing_errors():
            return call()

    def main_first(self, call: Callable[[], Result]) -> Result:
        """Return what a call on every rank returns, made on the first rank of each machine before the others.

        What the first one downloads or writes to the disk, the others find there.
        """
        with self.sharing_errors():
            # Two blocks: the second begins when the first ranks of all machines have finished theirs, or one has
            # failed.
            if self.local_rank == 0:
                result = call()
        with self.sharing_errors():
            if self.local_rank != 0:
                result = call()
        return result


class SingleProcess(Processes):
    """The only process: nothing to exchange."""

    rank = 0
    world_size = 1
    local_rank = 0
    local_world_size = 1

    def check_batch(self, batch_size: int) -> None:
        pass

    def device(self, name: str | torch.device) -> torch.device:
        return find_device(name)

    def local_rows(self, rows: Tensor) -> Tensor:
        return rows

    def all_reduce_(self, tensor: Tensor) -> Tensor:
        return tensor

    def all_reduce_mean(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        return list(tensors)

    def broadcast_tensors_(self, tensors: Sequence[Tensor]) -> None:
        pass

    def all_gather_rows(self, own: Tensor, shards: Sequence[slice]) -> Tensor:
        return own

    def broadcast(self, document: Any = None) -> Any:
        return document

    def all_reduce_max(self, numbers: Sequence[float]) -> list[float]:
        return list(numbers)

    def sharing_errors(self) -> contextlib.AbstractContextManager[object]:
        return contextlib.nullcontext()

    def agreed(self, should_stop: Callable[[], bool]) -> Callable[[], bool]:
        return should_stop


SINGLE_PROCESS = SingleProcess()
