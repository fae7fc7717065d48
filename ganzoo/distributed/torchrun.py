"""What torchrun tells the processes that it starts, and how they meet."""

from __future__ import annotations

import atexit
import os
import secrets
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from ganzoo.distributed.processes import SINGLE_PROCESS, Processes, group
from ganzoo.errors import TrainingError, first_sentence

if TYPE_CHECKING:
    from torch.distributed import Store  # type: ignore[attr-defined]

MEETING = timedelta(minutes=5)
"""How long the processes wait for each other at the beginning."""


def init_processes() -> Processes:
    """Meet the other processes, of which torchrun's variables tell. Raises TrainingError when they do not come."""
    world = _variable("WORLD_SIZE", 1)
    if world == 1:
        return SINGLE_PROCESS
    processes = Processes(_variable("RANK"), world, _variable("LOCAL_RANK", 0), _variable("LOCAL_WORLD_SIZE", 1))
    try:
        _meet(processes)
    except (RuntimeError, ValueError) as error:
        where = f"{os.environ.get('MASTER_ADDR', '')}:{os.environ.get('MASTER_PORT', '')}"
        raise TrainingError(
            f"the other processes cannot be reached through {where}: {first_sentence(error)}.",
            hint="Start all of them with torchrun, and check address, port and firewall.",
        ) from error
    return processes


def follows() -> bool:
    """Whether this process is one of several and leaves speaking to another."""
    return os.environ.get("WORLD_SIZE", "1") != "1" and os.environ.get("RANK", "0") != "0"


def num_restarts() -> int:
    """Return how often torchrun has started this program anew."""
    return _variable("TORCHELASTIC_RESTART_COUNT", 0)


def may_restart() -> bool:
    """Whether torchrun starts the same command again when a process fails, or has done so."""
    return num_restarts() > 0 or _variable("TORCHELASTIC_MAX_RESTARTS", 0) > 0


def _variable(name: str, default: int | None = None) -> int:
    text = os.environ.get(name)
    if text is None and default is not None:
        return default
    try:
        return int(text or "")
    except ValueError:
        raise TrainingError(
            f"the variable {name} is {text!r}, no number.",
            hint="Start the processes with torchrun, or unset WORLD_SIZE.",
        ) from None


def _meet(processes: Processes) -> None:
    """Join the other processes, once for this process. Raises RuntimeError, ValueError."""
    from torch import distributed
    from torch.distributed import PrefixStore  # type: ignore[attr-defined]
    from torch.distributed.rendezvous import rendezvous

    if not distributed.is_initialized():
        store, rank, world = next(rendezvous("env://", processes.rank, processes.world_size, timeout=MEETING))
        own = PrefixStore(_round(store, processes), store)
        distributed.init_process_group("gloo", store=own, rank=rank, world_size=world, timeout=MEETING)
        atexit.register(distributed.destroy_process_group)
    group(False)


def _round(store: Store, processes: Processes) -> str:
    """Agree on a name that no earlier start of these processes has used.

    torchrun keeps its store over restarts, and with it the addresses of processes that are gone.
    """
    own = secrets.token_hex(8)
    if processes.is_main:
        store.set("ganzoo/leader", own)
        for rank in range(1, processes.world_size):
            store.wait([f"ganzoo/{own}/{rank}"], MEETING)
            answered = store.get(f"ganzoo/{own}/{rank}").decode()
            store.set(f"ganzoo/{own}/{answered}", "")
        return own
    deadline = time.monotonic() + MEETING.total_seconds()
    while time.monotonic() < deadline:
        if store.check(["ganzoo/leader"]):
            leader = store.get("ganzoo/leader").decode()  # the last one's, until the new one has come
            store.set(f"ganzoo/{leader}/{processes.rank}", own)
            if store.check([f"ganzoo/{leader}/{own}"]):
                return leader
        time.sleep(0.02)
    raise RuntimeError("the first one did not come")
