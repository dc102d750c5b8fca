"""How a cost grows with a length: the slope of its logarithm over the logarithm of the length.

A cost that is linear in the length has slope 1, one that goes by its square slope 2. A slope says more than a single
ratio on a noisy machine: every length takes part, and a constant factor cancels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# Quantiles of Student's t at 97.5% for 1, 2, ... degrees of freedom.
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)


class Slope(NamedTuple):
    """A slope with its 95% interval; `low` and `high` are None where two lengths leave nothing to judge it by."""

    value: float
    low: float | None
    high: float | None
    points: int


def log_slope(lengths: Sequence[float], costs: Sequence[float]) -> Slope | None:
    """Fit ``log cost = a + slope log length`` by least squares.

    The interval is that of the slope of a regression (Student's t). A curve that bends widens it as noise does.

    Args:
        lengths: above zero.
        costs: of the same number, above zero.

    Returns:
        None where fewer than two different lengths are given.
    """
    x, y = np.log(np.asarray(lengths, dtype=np.float64)), np.log(np.asarray(costs, dtype=np.float64))
    if x.shape != y.shape:
        raise ValueError(f"as many costs as lengths expected; got {len(y)} and {len(x)}")
    if len(np.unique(x)) < 2:
        return None
    around = x - x.mean()
    spread = float((around**2).sum())
    slope = float((around * y).sum() / spread)
    free = len(x) - 2
    if not free:
        return Slope(slope, None, None, len(x))
    rest = y - y.mean() - slope * around
    half = _t(free) * math.sqrt(float((rest**2).sum()) / free / spread)
    return Slope(slope, slope - half, slope + half, len(x))


def _t(free: int) -> float:
    """Return the 97.5% quantile of Student's t; beyond the table by the first two terms of its expansion."""
    if free <= len(_T):
        return _T[free - 1]
    z = 1.959964
    return z + (z**3 + z) / (4 * free) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * free**2)
