"""Chooses how processes train together, and says why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lighten.errors import InputError, nearest

if TYPE_CHECKING:
    from lighten.train.parallel.group import Process
    from lighten.train.parallel.strategy import Strategy

KINDS = ("none", "ddp", "fsdp", "pipeline", "tensor", "auto")
BYTES_PER_PARAMETER = 16
"""Weights, gradients and the two moments of AdamW, in fp32."""
SHARE = 0.6
"""Of a device's memory that these may take; the rest is for activations, the data and the libraries."""


@dataclass(frozen=True)
class Choice:
    """A strategy by name, why, and whether its parts lie in the machine's memory instead of the GPU's."""

    name: str
    reason: str
    cpu_offload: bool = False


def choose(kind: str, parameters: int, memory: float | None, world_size: int, gpu: bool = False) -> Choice:
    """Return how to train.

    Data parallel moves the least and has nothing to wait for, so it is taken where the model fits into each process;
    sharding is next; pipeline and tensor parallel are for whom they are asked by.

    Args:
        kind: what the recipe says, a name of `KINDS`.
        parameters: of the model.
        memory: bytes that each process may use on its device; None where unknown.
        world_size: processes.
        gpu: whether each has a GPU.

    Raises:
        InputError: an unknown kind, or one process asked for where there are several.
    """
    if kind not in KINDS:
        raise InputError(
            f"{kind!r} is no way to train in parallel ({', '.join(KINDS)}){nearest(kind, KINDS)}",
            "train.parallel.kind",
        )
    if world_size == 1:
        asked = "" if kind in ("none", "auto") else f": {kind} takes effect with --processes"
        return Choice("none", f"one process{asked}")
    if kind == "none":
        raise InputError(
            f"{world_size} processes were started, but train.parallel.kind is none; choose auto, or start one",
            "train.parallel.kind",
        )
    if kind != "auto":
        return Choice(kind, "asked for")
    need = parameters * BYTES_PER_PARAMETER
    what = f"weights, gradients and optimiser take {_size(need)}"
    if memory is None:
        return Choice("ddp", f"{what} in each process; how much memory there is could not be found out")
    where = "GPU" if gpu else "process"
    room = f"{SHARE:.0%} of the {_size(memory)} of each {where}"
    if need <= SHARE * memory:
        return Choice("ddp", f"{what}, within {room}")
    part = need / world_size
    if part <= SHARE * memory:
        return Choice("fsdp", f"{what}, over {room}; a part of {world_size} takes {_size(part)}")
    if gpu:
        return Choice("fsdp", f"{what}, {_size(part)} sharded, over {room}: kept in the machine's memory", True)
    return Choice("fsdp", f"{what}, even sharded {_size(part)}, over {room}: sharding comes nearest")


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def make(
    kind: str,
    parameters: int = 0,
    *,
    precision: str = "fp32",
    cpu_offload: bool = False,
    schedule: str = "1f1b",
    chunks: int | None = None,
    here: Process | None = None,
    rendezvous: str = "env://",
) -> Strategy:
    """Join the other processes and return how they train together.

    Args:
        kind: a name of `KINDS`.
        parameters: of the model, for ``auto``.
        precision: of the training, for ``fsdp`` on GPUs.
        cpu_offload: see `FSDP`; ``auto`` may switch it on.
        schedule: see `Pipeline`.
        chunks: see `Pipeline`.
        here: this process; found from the environment when left out.
        rendezvous: where the processes meet.

    Raises:
        InputError: see `choose`; or the environment does not make sense.
    """
    from lighten.train.parallel import group
    from lighten.train.parallel.strategy import Strategy

    here = here or group.process()
    gpu = here.device.type == "cuda"
    choice = choose(kind, parameters, memory_per_process(here), here.world_size, gpu)
    if choice.name == "none":
        return Strategy(choice.reason, here.device)
    common: dict[str, Any] = {"reason": choice.reason, "here": here, "rendezvous": rendezvous}
    if choice.name == "ddp" and not gpu:
        from lighten.train.parallel.shared import Shared
        from lighten.train.parallel.shared_memory import obstacle

        group.join(here, rendezvous)
        why = obstacle(here)
        if why is None:
            return Shared(**{**common, "reason": f"{choice.reason}; through shared memory"})
        common["reason"] = f"{choice.reason}; through sockets: {why}"
    if choice.name == "ddp":
        from lighten.train.parallel.ddp import DDP

        return DDP(**common)
    if choice.name == "fsdp":
        from lighten.train.parallel.fsdp import FSDP

        return FSDP(**common, precision=precision, cpu_offload=cpu_offload or choice.cpu_offload)
    if choice.name == "pipeline":
        from lighten.train.parallel.pipeline import Pipeline

        return Pipeline(**common, schedule=schedule, chunks=chunks)
    from lighten.train.parallel.tensor import Tensor

    return Tensor(**common)


def memory_per_process(here: Process) -> float | None:
    """Return the bytes a process may use: of its GPU, or its share of the machine's memory."""
    import torch

    from lighten.measure.machine import memory_mb

    if here.device.type == "cuda":
        return float(torch.cuda.get_device_properties(here.device).total_memory)
    memory = memory_mb()
    return None if memory is None else memory * 1e6 / here.local_size
