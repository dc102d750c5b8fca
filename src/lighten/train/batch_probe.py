"""How many tokens go into a step: a few timed steps at the start, never a search in mid-training."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from lighten.train.batches import Batch
from lighten.train.datasets.dataset import Dataset
from lighten.train.micro_probe import largest_micro
from lighten.train.objectives import Objective
from lighten.train.orders import Order
from lighten.train.precision import Precision
from lighten.train.probing import seconds_of, step, still_optimizer, untouched
from lighten.train.sampler import Sampler

__all__ = ["BudgetProbe", "choose_budget", "largest_micro"]

BUDGETS = (512, 1024, 2048, 4096, 8192)
STEPS_PER_EPOCH = 50
"""A budget that leaves fewer trains badly, however fast it is."""
SLACK = 0.1
"""Share of the best speed that a smaller budget may miss: more steps are worth that."""


@dataclass(frozen=True)
class BudgetProbe:
    """What a probe found: padded tokens per step, real tokens per second at each budget timed, and why."""

    budget: int
    tokens_per_second: dict[int, float]
    reason: str


def choose_budget(
    model: Any,
    dataset: Dataset,
    objective: Objective,
    precision: Precision,
    *,
    seed: int = 0,
    order: Order | None = None,
    candidates: Sequence[int] = BUDGETS,
    most: int | None = None,
    steps_per_epoch: int = STEPS_PER_EPOCH,
    seconds: float = 5.0,
    device: torch.device | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> BudgetProbe:
    """Choose the padded tokens per step: the smallest that trains at most 10% slower than the fastest.

    The middle batch of each budget is timed, from the smallest up, until the time is over. What a machine measures
    differs from run to run: keep the answer with the training.

    Args:
        model: any model of transformers; left as it was, on `device`.
        dataset: the examples.
        objective: the loss.
        precision: of the matrix products.
        seed: of the order.
        order: how an epoch is planned.
        candidates: budgets; those below the longest text are passed over.
        most: tokens that fit in memory (`largest_micro`).
        steps_per_epoch: larger budgets leave fewer and are passed over; the smallest one stays.
        seconds: after which no further budget is begun; the smallest is always timed where there is a choice.
        device: None is where the model is.
        clock: time in seconds.
    """
    device = device or next(model.parameters()).device
    longest, total = int(dataset.lengths.max()), int(dataset.lengths.sum())
    usable = [b for b in sorted(candidates) if b >= longest and (most is None or b <= most)] or [longest]
    usable = [b for b in usable if total >= b * steps_per_epoch] or usable[:1]
    if len(usable) == 1:
        why = f"more would leave fewer than {steps_per_epoch} steps per epoch, or not fit in memory"
        return BudgetProbe(usable[0], {}, f"{usable[0]} tokens per step: {why}")
    speeds: dict[int, float] = {}
    started = clock()
    model.to(device)
    with untouched(model, objective):
        model.train()
        optimizer = still_optimizer(model)
        for budget in usable:
            batch = _middle(Sampler(dataset, budget, seed, order))

            def work(batch: Batch = batch) -> None:
                step(model, batch, objective, precision, optimizer, device)

            speeds[budget] = round(batch.tokens / max(seconds_of(work, device, clock=clock), 1e-9), 1)
            if clock() - started >= seconds:
                break
    fastest = max(speeds.values())
    chosen = min(budget for budget, speed in speeds.items() if speed >= (1 - SLACK) * fastest)
    figures = ", ".join(f"{speed:,.0f} at {budget}" for budget, speed in speeds.items())
    why = f"the fewest within {SLACK:.0%} of the fastest (tokens per second: {figures})"
    return BudgetProbe(chosen, speeds, f"{chosen} tokens per step, {why}")


def _middle(sampler: Sampler) -> Batch:
    """Return the batch of middle size of the first epoch."""
    plan = sampler.batches(0)
    sizes = [len(planned.index) * int(sampler.lengths(planned).max()) for planned in plan]
    return sampler.batch(0, plan[int(np.argsort(sizes, kind="stable")[len(sizes) // 2])])
