"""Which optimiser a training uses, which weights decay, and which are looked at."""

from __future__ import annotations

from typing import Any

import torch
from torch.distributed.tensor import DTensor

from lighten.train.parallel.strategy import Strategy
from lighten.train.settings import Settings


def groups(model: torch.nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Return parameter groups: matrices decay, vectors and embeddings do not."""
    tables = {id(m.weight) for m in model.modules() if isinstance(m, torch.nn.Embedding)}
    found: list[dict[str, Any]] = []
    for split in (False, True):  # torch updates no mixture of sharded and plain tensors (tensor parallel) in one go
        decayed: list[torch.nn.Parameter] = []
        plain: list[torch.nn.Parameter] = []
        for name, parameter in model.named_parameters():
            if parameter.requires_grad and isinstance(parameter, DTensor) == split:
                whole = parameter.dim() > 1 and "embedding" not in name and id(parameter) not in tables
                (decayed if whole else plain).append(parameter)
        if decayed or plain:
            found += [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return found


def make_optimizer(
    model: torch.nn.Module, settings: Settings, strategy: Strategy | None = None
) -> torch.optim.Optimizer:
    """Return AdamW (Loshchilov and Hutter 2019), or its schedule-free form (Defazio et al. 2024).

    With a strategy it updates what this process owns of the parameters.
    """
    strategy = strategy or Strategy()
    parts = groups(model, settings.weight_decay)
    for group in parts:
        group["params"] = [own for own in map(strategy.own, group["params"]) if own is not None]
    optimizer: torch.optim.Optimizer
    if settings.optimizer == "schedule-free":
        from lighten.train.schedule_free import ScheduleFreeAdamW

        optimizer = ScheduleFreeAdamW(parts, lr=settings.learning_rate)
    else:
        optimizer = torch.optim.AdamW(parts, lr=settings.learning_rate, betas=(0.9, 0.98), eps=1e-6, fused=True)
    strategy.attach(optimizer)
    return optimizer


def averaged(optimizer: torch.optim.Optimizer, wanted: bool) -> None:
    """Switch a schedule-free optimiser between the weights it averages and those it trains; others have no switch."""
    switch = getattr(optimizer, "eval" if wanted else "train", None)
    if switch is not None:
        switch()
