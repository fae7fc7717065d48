"""The variables that torchrun sets for the processes that it starts, and how these processes meet."""

from __future__ import annotations

import atexit
import os
import secrets
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from ganzoo.distributed.processes import SINGLE_PROCESS, Processes
from ganzoo.errors import TrainingError, first_sentence

if TYPE_CHECKING:
    from torch.distributed import Store  # type: ignore[attr-defined]

RENDEZVOUS_TIMEOUT = timedelta(minutes=5)
"""How long the processes wait for each other at the start."""


def init_processes() -> Processes:
    """Return the processes that torchrun's variables describe, connected; without them, `SINGLE_PROCESS`.

    Raises TrainingError when the others cannot be reached.
    """
    world_size = _variable("WORLD_SIZE", 1)
    # Before torch.distributed is imported, which a single process does not need.
    if world_size == 1:
        return SINGLE_PROCESS
    from ganzoo.distributed.torch_processes import TorchProcesses

    processes = TorchProcesses(
        _variable("RANK"), world_size, _variable("LOCAL_RANK", 0), _variable("LOCAL_WORLD_SIZE", 1)
    )
    try:
        _connect(processes)
    except (RuntimeError, ValueError) as error:
        address = f"{os.environ.get('MASTER_ADDR', '')}:{os.environ.get('MASTER_PORT', '')}"
        raise TrainingError(
            f"cannot reach the other processes through {address}: {first_sentence(error)}.",
            hint="Start all of them with torchrun, and check address, port and firewall.",
        ) from error
    return processes


def is_main_process() -> bool:
    """Whether this is the process that writes messages: rank 0, or the only one. Reads torchrun's variables alone."""
    return os.environ.get("WORLD_SIZE", "1") == "1" or os.environ.get("RANK", "0") == "0"


def num_restarts() -> int:
    """Return how often torchrun has restarted this program."""
    return _variable("TORCHELASTIC_RESTART_COUNT", 0)


def may_restart() -> bool:
    """Whether torchrun runs the same command again when a process fails, or has done so."""
    return num_restarts() > 0 or _variable("TORCHELASTIC_MAX_RESTARTS", 0) > 0


def _variable(name: str, default: int | None = None) -> int:
    text = os.environ.get(name)
    if text is None and default is not None:
        return default
    try:
        return int(text or "")
    except ValueError:
        raise TrainingError(
            f"the environment variable {name} is {text!r}, not a number.",
            hint="Start the processes with torchrun, or unset WORLD_SIZE.",
        ) from None


def _connect(processes: Processes) -> None:
    """Join the other processes, once in the life of this one. Raises RuntimeError, ValueError."""
    from torch import distributed
    from torch.distributed import PrefixStore  # type: ignore[attr-defined]
    from torch.distributed.rendezvous import rendezvous

    from ganzoo.distributed.torch_processes import group

    if not distributed.is_initialized():
        timeout = RENDEZVOUS_TIMEOUT
        store, rank, world_size = next(rendezvous("env://", processes.rank, processes.world_size, timeout=timeout))
        round_store = PrefixStore(_agree_on_round(store, processes), store)
        distributed.init_process_group("gloo", store=round_store, rank=rank, world_size=world_size, timeout=timeout)
        atexit.register(distributed.destroy_process_group)  # torch warns of groups left open
    # Made here, where all ranks are known to be: whichever of them needed the group first would otherwise wait for the
    # rest to ask for it.
    group(False)


def _agree_on_round(store: Store, processes: Processes) -> str:
    """Agree on a prefix for the keys of this start, one that no earlier start of these processes has used.

    torchrun keeps its store when it restarts the processes. Without a prefix of their own, the new ones would find the
    addresses of dead ones there and try to connect to them. The restart count cannot serve as the prefix: on several
    machines, each agent counts for itself. So the main rank draws a random name, and each other rank answers under that
    name with one of its own; once the main rank has confirmed the answer, both know that the other is alive.
    """
    own = secrets.token_hex(8)
    if processes.is_main:
        store.set("ganzoo/round", own)
        for rank in range(1, processes.world_size):
            store.wait([f"ganzoo/{own}/{rank}"], RENDEZVOUS_TIMEOUT)
            answer = store.get(f"ganzoo/{own}/{rank}").decode()
            store.set(f"ganzoo/{own}/{answer}", "")
        # Every rank has answered under this name since it was drawn, which no process of an earlier start can have
        # done.
        return own
    deadline = time.monotonic() + RENDEZVOUS_TIMEOUT.total_seconds()
    while time.monotonic() < deadline:
        if store.check(["ganzoo/round"]):
            offered = store.get("ganzoo/round").decode()  # that of the last start, until the main rank is back
            store.set(f"ganzoo/{offered}/{processes.rank}", own)
            if store.check([f"ganzoo/{offered}/{own}"]):
                return offered
        time.sleep(0.02)
    raise RuntimeError("the main process did not come")
