"""What every probe needs: a model that is left as it was found, and steps that can be timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from lighten.train.batches import Batch

LONG = 5.0
"""Seconds after which a first step is believed without a second one."""


@contextmanager
def untouched(model: Any, objective: Any = None) -> Iterator[None]:
    """Restore on leaving, whatever happened: weights, buffers, gradients, mode, random numbers, the objective.

    It costs the memory of one copy of the trained weights. Sharded parameters (DTensors) are restored alike.

    Args:
        model: what is trained meanwhile.
        objective: one that carries something from step to step (``state_dict``) gets that back too.
    """
    # What a forward pass may change: trained weights through an optimiser, buffers (running means) by itself.
    changing = [*(p for p in model.parameters() if p.requires_grad), *model.buffers()]
    kept = [tensor.detach().clone() for tensor in changing]
    gradients = [(parameter, parameter.grad) for parameter in model.parameters()]
    modes = [(module, module.training) for module in model.modules()]
    carried = {name: value.clone() for name, value in objective.state_dict().items()} if _carries(objective) else None
    device = next(model.parameters()).device
    beside = [] if device.type in ("cpu", "meta") else [device]
    with torch.random.fork_rng(beside, device_type=device.type if beside else "cuda"):
        try:
            for parameter, _ in gradients:
                parameter.grad = None
            yield
        finally:
            with torch.no_grad():
                for tensor, value in zip(changing, kept, strict=True):
                    tensor.copy_(value)
            for parameter, gradient in gradients:
                parameter.grad = gradient
            for module, mode in modes:
                module.training = mode
            if carried is not None:
                objective.load_state_dict(carried)


def _carries(objective: Any) -> bool:
    return hasattr(objective, "state_dict") and hasattr(objective, "load_state_dict")


def synchronize(device: torch.device) -> None:
    """Wait until a device has done what it was given."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def still_optimizer(model: Any) -> torch.optim.Optimizer:
    """Return AdamW at a rate of zero: its time and memory without its effect."""
    return torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.0, weight_decay=0.0, fused=True)


def step(
    model: Any, batch: Batch, objective: Any, precision: Any, optimizer: torch.optim.Optimizer, device: torch.device
) -> float:
    """Do a training step on one batch and return its loss per unit (not finite where a format overflows)."""
    with precision.context():
        loss = objective.loss(model, batch.to(device)) / max(batch.units, 1e-9)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return float(loss.detach())


def seconds_of(
    work: Callable[[], object],
    device: torch.device,
    repeats: int = 2,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Return the shortest time that some work takes, after a first time that warms up and does not count.

    Where already the first one took over `LONG` seconds, it is the answer: a probe must not cost a training.
    """
    best = float("inf")
    for number in range(repeats + 1):
        synchronize(device)
        started = clock()
        work()
        synchronize(device)
        spent = clock() - started
        if number == 0 and spent > LONG:
            return spent
        if number:
            best = min(best, spent)
    return best
