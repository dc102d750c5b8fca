"""Notices a training that runs away before its loss is no number any more."""

from __future__ import annotations

from collections.abc import Sequence

FADE = 0.95
"""Of the running mean of the loss."""
FIRST = 20
"""Steps before anything is said: a loss starts where it starts."""
FEW = 5
"""Steps whose mean is no measure yet of how low the loss has been."""
TIMES = 3.0
"""A running mean of so many times the lowest one is no noise, where it is also ..."""
ABOVE = 1.0
"""... so many nats above it, and above where the training started."""


class Divergence:
    """Keeps the running mean of the loss and its lowest value.

    A single loss counts for `TIMES` the mean at most, or `ABOVE` over it: hard examples come alone, a training that
    runs away keeps on.

    Args:
        seen: what another one had `seen`: part of a checkpoint, as a resumed training must notice the same.
    """

    def __init__(self, seen: Sequence[float] = ()) -> None:
        self.mean, self.lowest, self.first, steps = seen or (0.0, 0.0, 0.0, 0)
        self.steps, self.last = int(steps), 0.0

    def add(self, loss: float) -> bool:
        """Return whether the training has diverged, after a step with this mean loss."""
        self.steps, self.last = self.steps + 1, loss
        loss = loss if self.steps == 1 else min(loss, max(TIMES * self.mean, self.mean + ABOVE))
        self.mean += max(1 - FADE, 1 / self.steps) * (loss - self.mean)  # at first the plain mean
        if self.steps <= FIRST:
            self.first = self.mean
        self.lowest = self.mean if self.steps <= FEW else min(self.lowest, self.mean)
        return self.steps > FIRST and self.mean > self._limit

    @property
    def rising(self) -> bool:
        """Whether this may be the beginning: no state to go back to. So after a single high loss, for one step."""
        half_way = (self.lowest + self._limit) / 2
        return self.steps > FIRST and (self.mean > half_way or self.last > self._limit)

    @property
    def seen(self) -> list[float]:
        """All that is known, as numbers; nothing before the first step."""
        return [self.mean, self.lowest, self.first, float(self.steps)] if self.steps else []

    @property
    def _limit(self) -> float:
        return max(TIMES * self.lowest, self.lowest + ABOVE, self.first + ABOVE)
