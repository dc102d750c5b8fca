"""Learning curves of students: points lost after so many epochs, and what more epochs would bring.

The loss of a distilled student falls about as ``final * (1 + SHORTNESS / epochs)``. A curve of one point is
continued with that prior; with more points their own slope counts as much as the prior does, so that the noise of a
validation split promises nothing on its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

SHORTNESS = 0.5
"""Prior: training for e epochs multiplies the loss by 1 + SHORTNESS / e."""


@dataclass(frozen=True)
class Curve:
    """Measured ``(epochs in all, points lost on validation)``, in the order of training."""

    points: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        """Refuse a curve that says nothing.

        Raises:
            ValueError: no point, or epochs that do not grow.
        """
        epochs = [epoch for epoch, _ in self.points]
        if not epochs or epochs[0] <= 0 or any(b <= a for a, b in pairwise(epochs)):
            raise ValueError(f"a curve has at least one point, and its epochs grow from above 0; got {self.points}")

    @property
    def epochs(self) -> float:
        """Epochs trained so far."""
        return self.points[-1][0]

    @property
    def lost(self) -> float:
        """Points lost by the best of its models: each is kept."""
        return min(lost for _, lost in self.points)

    def then(self, epochs: float, lost: float) -> Curve:
        """Return the curve after so many epochs more."""
        return Curve((*self.points, (self.epochs + epochs, lost)))

    def at(self, epochs: float) -> float:
        """Return the points expected to be lost after so many epochs in all; never more than by the best model."""
        if epochs <= self.epochs:
            return self.lost
        ahead = 1 / self.epochs - 1 / epochs
        return min(self.lost, self.points[-1][1] - _slope(self.points) * ahead)


def _slope(points: Sequence[tuple[float, float]]) -> float:
    """Return by how much the loss falls per fall of ``1 / epochs``; never below zero."""
    epochs, lost = points[-1]
    prior = SHORTNESS * max(0.0, lost) / (1 + SHORTNESS / epochs)
    if len(points) == 1:
        return prior
    before, then = points[-2]
    own = (then - lost) / (1 / before - 1 / epochs)
    return max(0.0, (prior + own) / 2)
