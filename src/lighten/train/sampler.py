"""Joins a data set with an order: which examples make up step p of epoch e."""

from __future__ import annotations

import math

import numpy as np

from lighten.train.batches import Batch, Index
from lighten.train.datasets.dataset import Dataset
from lighten.train.orders import Order, Planned, Shuffled

PLANNED = 12
"""Epochs whose steps are counted one by one."""


class Sampler:
    """Gives the same batches for the same seed and epoch, so that resuming costs nothing.

    Args:
        dataset: the examples.
        budget: tokens per optimiser step, padding included, over all processes together.
        seed: of the order.
        order: how an epoch is planned.
    """

    def __init__(self, dataset: Dataset, budget: int, seed: int, order: Order | None = None) -> None:
        self.dataset, self.budget, self.seed, self.order = dataset, budget, seed, order or Shuffled()
        self._epoch = 0
        self._plans: dict[int, list[Planned]] = {}

    def batches(self, epoch: int) -> list[Planned]:
        """Return the plan of an epoch."""
        # Two are kept, and none is changed: a thread that works ahead asks for the next epoch meanwhile.
        plans = self._plans
        if epoch not in plans:
            kept = {other: plan for other, plan in plans.items() if abs(other - epoch) == 1}
            self._plans = plans = {**kept, epoch: self._planned(epoch)}
        self._epoch = epoch
        return plans[epoch]

    def steps(self, epochs: float) -> int:
        """Return the steps in so many epochs, at least one.

        Epochs of a length warm-up differ in their steps; from `PLANNED` on they are taken to be alike.
        """
        whole = int(epochs)
        sizes = [len(self._planned(at)) for at in range(min(whole + 1, PLANNED))]
        steps = sum(sizes[:whole]) + max(0, whole - len(sizes)) * sizes[-1]
        return max(1, steps + math.ceil((epochs - whole) * sizes[-1] - 1e-9))

    def _planned(self, epoch: int) -> list[Planned]:
        return self.order.plan(self.dataset.lengths, self.budget, self.seed, epoch)

    def lengths(self, planned: Planned) -> Index:
        """Return the tokens of each example of a step, after its limit."""
        lengths = self.dataset.lengths[planned.index]
        return lengths if planned.limit is None else np.minimum(lengths, planned.limit)

    def batch(self, epoch: int, planned: Planned, rows: Index | None = None) -> Batch:
        """Return a step's examples, or only some of its rows, as one padded batch."""
        index = planned.index if rows is None else planned.index[rows]
        return self.dataset.batch(index, epoch, planned.limit)

    @property
    def units_per_batch(self) -> float:
        """Mean units of a step: the constant the loss is divided by, so that every unit weighs the same."""
        plan = self.batches(self._epoch)
        return sum(self.dataset.units(step.index, step.limit) for step in plan) / len(plan)

    @property
    def padded_share(self) -> float:
        """Share of the tokens computed that are padding."""
        real = padded = 0
        for step in self.batches(self._epoch):
            lengths = self.lengths(step)
            real += int(lengths.sum())
            padded += len(lengths) * int(lengths.max())
        return 1 - real / padded
