"""Bootstrap intervals: of a statistic, of a difference on the same examples, of a percentile of timings.

All are percentile intervals (Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapters 13 and 8.6
for blocks); the same seed gives the same interval.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Statistic = Callable[..., Any]

RESAMPLES = 2000
_CHUNK = 2_000_000
"""Numbers drawn at a time: bounds the memory of a bootstrap over many examples."""


class Interval(NamedTuple):
    """An estimate with its 95% interval."""

    value: float
    low: float
    high: float


def interval_of(value: float, draws: Floats, level: float = 0.95) -> Interval:
    """Return the percentile interval of bootstrap draws around an estimate."""
    tail = (1 - level) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return Interval(float(value), float(low), float(high))


def bootstrap_interval(values: npt.ArrayLike, statistic: Statistic, seed: int, resamples: int = RESAMPLES) -> Interval:
    """Return the interval of a statistic of independent values.

    Args:
        values: [n], at least one.
        statistic: takes an array and ``axis`` (`numpy.mean`, `numpy.median`, ...).
        seed: of the resampling.
        resamples: bootstrap samples to draw.
    """
    sample = _sample(values)
    random = np.random.default_rng(seed)
    draws = []
    for size in _chunks(resamples, len(sample)):
        draws.append(statistic(sample[random.integers(0, len(sample), (size, len(sample)))], axis=1))
    return interval_of(statistic(sample, axis=0), np.concatenate(draws))


def mean_interval(
    values: npt.ArrayLike, groups: npt.ArrayLike | None, seed: int, resamples: int = RESAMPLES
) -> Interval:
    """Return the interval of the mean of values, whole groups resampled where there are any (cluster bootstrap).

    Args:
        values: [n], at least one.
        groups: what each value belongs to, [n]; None where they are independent.
        seed: of the resampling.
        resamples: bootstrap samples to draw.
    """
    if groups is None:
        return bootstrap_interval(values, np.mean, seed, resamples)
    return interval_of(float(_sample(values).mean()), cluster_means(values, groups, seed, resamples))


def cluster_means(values: npt.ArrayLike, groups: npt.ArrayLike, seed: int, resamples: int = RESAMPLES) -> Floats:
    """Draw the bootstrap distribution of the mean of values of which whole groups are resampled, [resamples].

    Args:
        values: [n], at least one.
        groups: what each value belongs to, [n].
        seed: of the resampling.
        resamples: bootstrap samples to draw.
    """
    sample, owner = _sample(values), np.unique(np.asarray(groups), return_inverse=True)[1].ravel()
    sums, sizes = np.bincount(owner, weights=sample), np.bincount(owner)
    random, draws = np.random.default_rng(seed), []
    for size in _chunks(resamples, len(sizes)):
        often = resample_counts(np.ones(len(sizes), np.int64), random, size)
        draws.append((often @ sums) / (often @ sizes))
    return np.concatenate(draws)


def paired_differences(a: npt.ArrayLike, b: npt.ArrayLike, seed: int, resamples: int = RESAMPLES) -> Floats:
    """Draw the bootstrap distribution of ``mean(b) - mean(a)`` for scores of the same examples.

    Examples are resampled in pairs, so what makes an example hard for both cancels. Where the differences take
    few values (0/1 scores: three), counting how often each is drawn is the same distribution and much faster.

    Args:
        a: the score of each example under the one model, [n].
        b: the score of each example under the other.
        seed: of the resampling.
        resamples: bootstrap samples to draw.

    Returns:
        [resamples].
    """
    first, second = _sample(a), _sample(b)
    if first.shape != second.shape:
        raise ValueError(f"scores of the same examples expected; got {len(first)} and {len(second)}")
    random = np.random.default_rng(seed)
    difference = second - first
    kinds, counts = np.unique(difference, return_counts=True)
    if len(kinds) <= 32:
        drawn = resample_counts(counts, random, resamples)
        return np.asarray(drawn @ kinds / len(difference))
    draws = []
    for size in _chunks(resamples, len(difference)):
        draws.append(difference[random.integers(0, len(difference), (size, len(difference)))].mean(axis=1))
    return np.concatenate(draws)


def paired_bootstrap(
    a: npt.ArrayLike, b: npt.ArrayLike, seed: int, resamples: int = RESAMPLES, groups: npt.ArrayLike | None = None
) -> Interval:
    """Return the interval of ``mean(b) - mean(a)`` for scores of the same examples; see `paired_differences`.

    With `groups` [n] whole groups are resampled, as `cluster_means` does.
    """
    if groups is None:
        draws = paired_differences(a, b, seed, resamples)
    else:
        draws = cluster_means(_sample(b) - _sample(a), groups, seed, resamples)
    return interval_of(float(_sample(b).mean() - _sample(a).mean()), draws)


def probability_at_least(differences: npt.ArrayLike, floor: float) -> float:
    """Return the share of bootstrap differences that reach a floor (rounding errors forgiven)."""
    return float(np.mean(_sample(differences) >= floor - 1e-9))


def resample_counts(counts: npt.ArrayLike, random: np.random.Generator, resamples: int) -> npt.NDArray[np.int64]:
    """Resample examples of which only the kind matters: how often each kind is drawn, [resamples, kinds]."""
    kinds = np.asarray(counts, dtype=np.int64)
    total = int(kinds.sum())
    return np.asarray(random.multinomial(total, kinds / total, size=resamples))


def percentile_interval(
    samples: npt.ArrayLike, percent: float, block: int, seed: int, resamples: int = 1000
) -> Interval:
    """Return the interval of a percentile of timings.

    Consecutive timings resemble each other (another process, the clock frequency), so blocks of consecutive ones
    are resampled (Künsch 1989): single ones would promise too narrow an interval.

    Args:
        samples: timings in the order they were taken, [n].
        percent: 50 for the median, 95 for p95.
        block: timings per block; cut to n.
        seed: of the resampling.
        resamples: bootstrap samples to draw.
    """
    series = _sample(samples)
    count = len(series)
    block = max(1, min(block, count))
    blocks = -(-count // block)
    random = np.random.default_rng(seed)
    draws = []
    for size in _chunks(resamples, blocks * block):
        starts = random.integers(0, count - block + 1, (size, blocks, 1))
        picked = (starts + np.arange(block)).reshape(size, -1)[:, :count]
        draws.append(np.percentile(series[picked], percent, axis=1))
    return interval_of(float(np.percentile(series, percent)), np.concatenate(draws))


def _sample(values: npt.ArrayLike) -> Floats:
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or not sample.size:
        raise ValueError(f"at least one value in one dimension expected; got shape {sample.shape}")
    return sample


def _chunks(resamples: int, width: int) -> list[int]:
    size = max(1, _CHUNK // width)
    return [min(size, resamples - start) for start in range(0, resamples, size)]
