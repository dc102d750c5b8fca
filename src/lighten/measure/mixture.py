"""Mixtures of calls of several kinds: how often each kind occurs, and percentiles over all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lighten.measure.statistics import Floats


def weighted_percentile(values: npt.ArrayLike, weights: npt.ArrayLike, percent: float) -> float:
    """Return the smallest value that `percent` of the weight does not exceed.

    Nothing is interpolated: between quick calls and slow ones lies no call at all.
    """
    series, heavy = np.asarray(values, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    order = np.argsort(series, kind="stable")
    reached = np.cumsum(heavy[order])
    place = int(np.searchsorted(reached, (percent / 100 - 1e-9) * reached[-1]))
    return float(series[order[min(place, len(order) - 1)]])


def binomial(batch: int, share: float) -> Floats:
    """Return the chance that 0, 1, ... texts of a batch are among a share of all texts, [batch + 1]."""
    if share <= 0 or share >= 1:
        return np.asarray(np.eye(batch + 1)[batch if share >= 1 else 0])
    factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, batch + 1)))])
    count = np.arange(batch + 1)
    ways = factorials[batch] - factorials - factorials[::-1]
    chances = np.exp(ways + count * np.log(share) + (batch - count) * np.log1p(-share))
    return np.asarray(chances / chances.sum())


def counts_to_time(batch: int, share: float) -> list[int]:
    """Return how many texts of a batch are passed on in the calls to time: few, usual and many, by the binomial."""
    if batch == 1:
        return [0, 1]
    reached = np.cumsum(binomial(batch, share))
    found = {min(batch, int(np.searchsorted(reached, quantile))) for quantile in (0.02, 0.5, 0.98)}
    if len(found) == 1:
        (only,) = found
        found.add(only + 1 if only < batch else only - 1)
    return sorted(found)


def weights_of(passed: Sequence[int], batch: int, share: float) -> Floats:
    """Return how often a call is of each kind, [kinds].

    What lies between two kinds counts for both, for the nearer one more; what lies outside for the outermost.

    Args:
        passed: texts that the calls of each kind pass on, ascending.
        batch: texts per call.
        share: of the texts that are passed on.
    """
    chances, places = binomial(batch, share), np.arange(batch + 1)
    return np.array([float(chances @ np.interp(places, passed, row)) for row in np.eye(len(passed))])
