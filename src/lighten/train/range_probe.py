"""Looks for a learning rate: raises it over a few steps and sees where the loss falls and where it breaks out.

Source: Smith 2017, "Cyclical Learning Rates for Training Neural Networks" (the range test). What is looked at here
is not the loss but by how much it is lower than the same batch's loss under the first weights: a short sweep
would otherwise follow how hard its batches happen to be.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lighten.train.objectives import Objective
from lighten.train.parallel.strategy import Strategy
from lighten.train.precision import Precision
from lighten.train.probing import untouched
from lighten.train.range_choice import choose_rate
from lighten.train.range_sweep import FEWEST, Runner
from lighten.train.sampler import Sampler
from lighten.train.settings import Settings


@dataclass(frozen=True)
class RateProbe:
    """What a probe found.

    Attributes:
        rate: to train with, as the peak of a schedule.
        curve: (rate, change of the loss per unit against the first weights, smoothed), the mean of the sweeps.
        reason: how it was chosen.
        rates: what each sweep alone would have chosen.
        steps: training steps done.
        seconds: they took.
    """

    rate: float
    curve: list[tuple[float, float]]
    reason: str
    rates: list[float]
    steps: int
    seconds: float


def probe_rate(
    model: Any,
    sampler: Sampler,
    objective: Objective,
    precision: Precision,
    *,
    lowest: float = 1e-6,
    highest: float = 1e-2,
    steps: int = 60,
    sweeps: int = 3,
    seconds: float | None = None,
    seed: int = 0,
    strategy: Strategy | None = None,
    settings: Settings | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> RateProbe:
    """Find a learning rate by short exponential sweeps, each from the same weights on other batches.

    Weights, gradients, random numbers and the objective's state are afterwards what they were. All processes of a
    strategy must call it; they find the same. Without `seconds` the same seed finds the same.

    Args:
        model: as the strategy prepared it (any model on the CPU without one).
        sampler: the examples; its batches of the first epoch are used.
        objective: the loss.
        precision: of the matrix products.
        lowest: first rate of a sweep.
        highest: last rate of a sweep.
        steps: of one sweep at most.
        sweeps: how many; the median of what they find counts.
        seconds: all of them may take: the time of a step decides how many there are, at least one sweep of `FEWEST`.
        seed: which batches, and the dropout.
        strategy: the processes that train together.
        settings: weight decay, clipping and micro-batches of the training that follows.
        clock: time in seconds.
    """
    strategy, settings = strategy or _alone(model), settings or Settings()
    runner = Runner(model, sampler, objective, precision, strategy, settings)
    started, done, found = clock(), 0, []
    if seconds is not None:
        with untouched(model, objective):
            cost = strategy.agree(runner.cost(lowest, clock))
        sweeps = max(1, min(sweeps, int(seconds / (FEWEST * cost))))
        steps = max(FEWEST, min(steps, int(seconds / (sweeps * cost))))
    rates = [float(rate) for rate in np.geomspace(lowest, highest, steps)]
    for number in range(sweeps):
        with untouched(model, objective):
            found.append(runner.sweep(rates, np.random.default_rng([seed, number])))
        done += len(found[-1].rates)
    rate, curve, each, reason = choose_rate(found, settings.learning_rate)
    return RateProbe(rate, curve, reason, each, done, round(clock() - started, 3))


def _alone(model: Any) -> Strategy:
    strategy = Strategy(device=next(model.parameters()).device)
    strategy.model = model
    return strategy
