"""How much of a training's seconds and steps is used: the same answer on every process."""

from __future__ import annotations

import time

from lighten.train.parallel.strategy import Strategy
from lighten.train.schedule import budget_share
from lighten.train.settings import Settings
from lighten.train.state import State

MIN_SECONDS = 1.0
"""A clock is never shorter than this."""


class TrainingClock:
    """Counts seconds, those before an interruption included, and steps.

    Args:
        settings: its `seconds` are the limit, `last_looks` what of it is kept free.
        total_steps: None where the clock alone ends the training.
        strategy: the processes that train together.
    """

    def __init__(self, settings: Settings, total_steps: int | None, strategy: Strategy) -> None:
        self.settings, self.total_steps, self.strategy = settings, total_steps, strategy
        self.start(0.0)

    def start(self, before: float) -> None:
        """Count from now on, and what was spent before."""
        self._before, self._started = before, time.monotonic()

    @property
    def spent(self) -> float:
        """Seconds since the start in this process."""
        return time.monotonic() - self._started

    @property
    def elapsed(self) -> float:
        """Seconds of the whole training, as this process counts them."""
        return self._before + self.spent

    def share(self, state: State, due: float) -> tuple[float, float]:
        """Return how much of the budget is used, 0 to 1, and the first process's `due`, in one exchange."""
        limit = self.settings.seconds
        if limit is None:
            due = self.strategy.agree(due)
            return budget_share(state.step, self.total_steps, 0.0, None), due
        # Room for the last look, and for what the caller still wants to look at.
        limit = max(MIN_SECONDS, limit - self.settings.last_looks * state.validation_seconds)
        elapsed, due = self.strategy.agree_all([self.elapsed, due])
        return budget_share(state.step, self.total_steps, elapsed, limit), due

    def share_here(self, state: State) -> float:
        """Return the share of the budget for the eye: without asking the other processes."""
        limit = self.settings.seconds
        return budget_share(state.step, self.total_steps, 0.0 if limit is None else self.elapsed, limit)
