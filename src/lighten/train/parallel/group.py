"""Joins and leaves the group of processes that train together, as the launcher's environment describes it."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist

from lighten.errors import InputError
from lighten.measure.machine import usable_cores

LAUNCHED = "lighten-"
"""How run ids of our own launcher start (environment variable TORCHELASTIC_RUN_ID)."""
PATIENCE = timedelta(days=1)
"""How long processes wait for the first one's work (tokens, cached activations, the sealed test); gloo's own half an
hour is too short for it. Who waits for a process that has died is told at once by its closed connection."""
LOCAL = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Process:
    """This process among those that train together.

    Attributes:
        rank: among all.
        world_size: how many there are.
        local_rank: among those of this machine.
        local_size: how many of them this machine runs.
    """

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @property
    def device(self) -> torch.device:
        """The GPU of this process where there is one for each, else the CPU."""
        if torch.cuda.is_available() and torch.cuda.device_count() >= self.local_size:
            return torch.device("cuda", self.local_rank)
        return torch.device("cpu")


def process() -> Process:
    """Read ``RANK``, ``WORLD_SIZE``, ``LOCAL_RANK`` and ``LOCAL_WORLD_SIZE``, which torchrun and others set.

    Raises:
        InputError: one of them is no number, or the rank is outside the world.
    """
    world = _number("WORLD_SIZE", 1)
    rank = _number("RANK", 0)
    local_size = _number("LOCAL_WORLD_SIZE", world)
    if not 0 <= rank < world:
        raise InputError(f"RANK is {rank}; with WORLD_SIZE {world} it must be 0 to {world - 1}", "environment")
    return Process(rank, world, _number("LOCAL_RANK", rank % max(1, local_size)), max(1, local_size))


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, str(default))
    if not text.isdigit():
        raise InputError(f"{name} must be a number; got {text!r}", "environment")
    return int(text)


def threads(local_size: int) -> int | None:
    """Return the threads of each process: the machine's cores shared out; None where the user has said.

    torchrun sets OMP_NUM_THREADS=1 where the user has not, which would leave cores idle: under it, 1 says nothing.
    """
    said = os.environ.get("OMP_NUM_THREADS")
    run = os.environ.get("TORCHELASTIC_RUN_ID")
    torchrun = run is not None and not run.startswith(LAUNCHED)
    if said is not None and not (torchrun and said == "1"):
        return None
    return max(1, usable_cores() // local_size)


def join(here: Process | None = None, rendezvous: str = "env://") -> Process:
    """Join the group: nccl between GPUs, gloo between CPUs; does nothing for a single process.

    Args:
        here: this process; read from the environment when left out.
        rendezvous: where the processes meet: ``env://`` (MASTER_ADDR, MASTER_PORT) or ``file://...``.
    """
    here = here or process()
    if here.world_size == 1 or dist.is_initialized():
        return here
    share = threads(here.local_size)
    if share is not None:
        torch.set_num_threads(share)
    loopback = _loopback(here, rendezvous)
    if loopback is not None:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback)
    store, _, _ = next(dist.rendezvous(rendezvous, here.rank, here.world_size))
    # Started again, processes find the same store (torch 2.13), with the addresses of those that have died.
    store = dist.PrefixStore(f"start-{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)
    if here.device.type == "cuda":
        torch.cuda.set_device(here.device)
        # Small decisions go over gloo: on the CPU they do not wait for the GPU's queue.
        backend, device = "cpu:gloo,cuda:nccl", here.device
    else:
        backend, device = "gloo", None
    dist.init_process_group(
        backend, store=store, world_size=here.world_size, rank=here.rank, device_id=device, timeout=PATIENCE
    )
    return here


def _loopback(here: Process, rendezvous: str) -> str | None:
    """Return the loopback interface where all processes are on this machine: host names may resolve to nothing."""
    alone = here.local_size == here.world_size
    address = os.environ.get("MASTER_ADDR", "localhost")
    if not alone or not (rendezvous.startswith("file:") or address in LOCAL or address == socket.gethostname()):
        return None
    names = [name for _, name in socket.if_nameindex()]
    return next((name for name in ("lo", "lo0") if name in names), None)


def leave() -> None:
    """Leave the group."""
    if dist.is_initialized():
        dist.destroy_process_group()


def alike(model: torch.nn.Module) -> None:
    """Give every process the first one's parameters and buffers."""
    with torch.no_grad():
        for tensor in [*model.parameters(), *model.buffers()]:
            whole = tensor.detach().contiguous()
            dist.broadcast(whole, 0)
            tensor.copy_(whole)
