"""The loss on a held-out part, batch by batch, shared among processes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from lighten.train.batches import plan_batches
from lighten.train.datasets.dataset import Dataset
from lighten.train.objectives import Objective
from lighten.train.parallel.strategy import Strategy
from lighten.train.precision import Precision


@dataclass(frozen=True)
class Losses:
    """Sum of the loss and number of units (texts, or predicted tokens) of each batch."""

    sums: list[float]
    units: list[float]

    @property
    def mean(self) -> float:
        """Loss per unit."""
        return sum(self.sums) / max(1e-9, sum(self.units))

    @property
    def total(self) -> int:
        """Number of units."""
        return round(sum(self.units))


def mean_loss(model: Any, dataset: Dataset, objective: Objective, precision: Precision, **options: Any) -> float:
    """Return the loss per unit without gradients; see `losses_of`."""
    return losses_of(model, dataset, objective, precision, **options).mean


def losses_of(
    model: Any,
    dataset: Dataset,
    objective: Objective,
    precision: Precision,
    *,
    budget: int = 4096,
    strategy: Strategy | None = None,
    tick: Callable[[], None] = lambda: None,
) -> Losses:
    """Return the loss of every batch without gradients; the same on every process.

    Args:
        model: what forward passes go through, on any device; left in evaluation mode.
        dataset: the held-out part.
        objective: the loss.
        precision: of the forward pass.
        budget: tokens per batch, padding included.
        strategy: the processes among which rows are dealt; without one, this process and the model's device.
        tick: called after every batch.
    """
    strategy = strategy or Strategy(device=place(model))
    model.eval()
    sums: list[float] = []
    units: list[float] = []
    with torch.no_grad(), precision.context():
        for index in plan_batches(dataset.lengths, budget, None):
            rows = index[strategy.share_of(strategy.copy, len(index))]
            ghost = not len(rows)
            batch = dataset.batch(index[:1] if ghost else rows)
            value = float(objective.loss(model, batch.to(strategy.device)))
            sums.append(0.0 if ghost else value)
            units.append(0.0 if ghost else batch.units)
            tick()
    both = strategy.total([*sums, *units])
    return Losses(both[: len(sums)], both[len(sums) :])


def place(model: Any) -> torch.device:
    """Return the device a model is on, the CPU for one without parameters."""
    first = next(model.parameters(), None)
    return torch.device("cpu") if first is None else first.device
