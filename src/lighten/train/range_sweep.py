"""One sweep of a range test: steps as the loop does them, at a rate that rises, without the loop's state."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from lighten.train.batches import Batch
from lighten.train.microbatch import split
from lighten.train.objectives import Objective
from lighten.train.optimizer import make_optimizer
from lighten.train.orders import Planned
from lighten.train.parallel.strategy import Strategy
from lighten.train.precision import Precision
from lighten.train.range_choice import Sweep
from lighten.train.sampler import Sampler
from lighten.train.settings import Settings

BROKEN = 2.0
"""A sweep ends where the loss is so many nats per unit above that under the first weights."""
FEWEST = 8
"""Steps of a sweep: fewer would jump over the best rate."""
SCALE = 1024.0
"""Factor on the loss in fp16 for the few steps of a sweep."""


class Runner:
    """Does the steps of a probe; the caller restores what they change.

    Args:
        model: the module that owns the parameters.
        sampler: the examples; its batches of the first epoch are used.
        objective: the loss.
        precision: of the matrix products.
        strategy: the processes that train together, its model prepared.
        settings: weight decay, clipping and micro-batches.
    """

    def __init__(
        self,
        model: Any,
        sampler: Sampler,
        objective: Objective,
        precision: Precision,
        strategy: Strategy,
        settings: Settings,
    ) -> None:
        self.model, self.sampler, self.objective, self.precision = model, sampler, objective, precision
        self.strategy, self.settings = strategy, settings
        trained = [p for p in model.parameters() if p.requires_grad]
        self.parameters = [own for own in map(strategy.own, trained) if own is not None]
        self.scale = SCALE if precision.name == "fp16" else 1.0

    def cost(self, rate: float, clock: Callable[[], float]) -> float:
        """Return the seconds of one step of a sweep on the largest batch, after a first one that warms up."""
        largest = self.sampler.batches(0)[0]
        optimizer = self._optimizer(rate)
        spent = 0.0
        for _ in range(2):
            started = clock()
            self._loss(largest, 0, learn=False)
            self._loss(largest, 0, learn=True)
            self._update(optimizer)
            spent = clock() - started
        return max(spent, 1e-9)

    def sweep(self, rates: Sequence[float], rng: np.random.Generator) -> Sweep:
        """Train through the rates; ends early where the loss breaks out."""
        plan = self.sampler.batches(0)
        order = np.concatenate([rng.permutation(len(plan)) for _ in range(-(-len(rates) // len(plan)))])
        chosen = [(plan[i], int(rng.integers(2**31))) for i in order[: len(rates)]]
        self.model.train()
        # Every batch is judged against itself, with the same dropout, under the first weights.
        first = [self._loss(planned, seed, learn=False) for planned, seed in chosen]
        optimizer = self._optimizer(rates[0])
        changes: list[float] = []
        for rate, (planned, seed), before in zip(rates, chosen, first, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate
            changes.append(self._loss(planned, seed, learn=True) - before)
            if not math.isfinite(changes[-1]) or changes[-1] > BROKEN or not self._update(optimizer):
                return Sweep(list(rates[: len(changes)]), changes, broken=True)
        return Sweep(list(rates), changes, broken=False)

    def _optimizer(self, rate: float) -> torch.optim.Optimizer:
        settings = replace(self.settings, learning_rate=rate, optimizer="adamw")
        return make_optimizer(self.model, settings, self.strategy)

    def _loss(self, planned: Planned, seed: int, learn: bool) -> float:
        """Return the loss per unit over all processes, and leave its gradients if asked to."""
        torch.manual_seed(seed + self.strategy.copy * 7919)
        batches, units = self._batches(planned), self.sampler.dataset.units(planned.index, planned.limit)
        if learn:
            total = self.strategy.gradients(
                self.objective, batches, self.sampler.units_per_batch, self.precision, self.scale
            )
        else:
            total = self._forward(batches)
        return self.strategy.total([total])[0] / max(units, 1e-9)

    def _forward(self, batches: Sequence[Batch]) -> float:
        total = 0.0
        with torch.no_grad(), self.precision.context():
            for batch in batches:
                loss = float(self.objective.loss(self.strategy.model, batch.to(self.strategy.device)))
                total += 0.0 if batch.ghost else loss
        return total

    def _batches(self, planned: Planned) -> list[Batch]:
        """Return this process's micro-batches; ghosts where others have more."""
        strategy, lengths = self.strategy, self.sampler.lengths(planned)
        shares = [strategy.share_of(copy, len(planned.index)) for copy in range(strategy.copies)]
        parts = split(shares, lengths, self.settings.micro_tokens)[strategy.copy]
        ghost = np.zeros(1, np.int64)
        return [
            self.sampler.batch(0, planned, rows)
            if len(rows)
            else replace(self.sampler.batch(0, planned, ghost), ghost=True)
            for rows in parts
        ]

    def _update(self, optimizer: torch.optim.Optimizer) -> bool:
        """Clip and apply the gradients; returns False where they are no finite numbers, in fp16 passes over them."""
        norm = self.strategy.norm(self.parameters) / self.scale
        if math.isfinite(norm):
            by = min(1.0, self.settings.clip / (norm + 1e-6)) / self.scale
            grads = [p.grad for p in self.parameters if p.grad is not None]
            if grads:  # a process may own nothing that was trained
                torch._foreach_mul_(grads, by)
            optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return math.isfinite(norm) or self.precision.name == "fp16"
