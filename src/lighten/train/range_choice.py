"""Reads a learning rate off the sweeps of a range test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Curve = npt.NDArray[np.float64]

DESCENT = 0.01
"""Nats per unit by which a loss must have fallen for its descent to say anything."""
LOST = 0.5
"""A sweep has diverged where so much of the largest descent is lost again."""
SURE = 3.0
"""A descent or rise is believed where it is so many standard errors."""
MARGIN = 10.0
"""A rate this many times below divergence is safe (Smith 2017 takes a third to a tenth)."""


@dataclass(frozen=True)
class Sweep:
    """One exponential sweep.

    Attributes:
        rates: ascending [steps].
        changes: loss per unit, less that of the same batch under the first weights [steps]; the last one may be
            no finite number.
        broken: whether it ended because the loss broke out.
    """

    rates: list[float]
    changes: list[float]
    broken: bool


def choose_rate(sweeps: Sequence[Sweep], fallback: float) -> tuple[float, list[tuple[float, float]], list[float], str]:
    """Return the rate, the mean smoothed curve, each sweep's own rate, and how it was chosen.

    A sweep's rate is where its smoothed loss falls most steeply over the logarithm of the rate, at most a tenth of
    where it diverges. The median over the sweeps counts (in logarithms): one odd batch moves one sweep. Where most
    sweeps are too noisy to show a descent, their mean is read instead.

    Args:
        sweeps: at least one, over the same rates; some may have ended early.
        fallback: the rate where no loss fell; at most a tenth of where one diverged.
    """
    mean = _mean(sweeps)
    curve = [
        (rate, round(float(level), 6))
        for rate, level in zip(mean.rates, smooth(_finite(mean.changes), _half(len(mean.rates))), strict=True)
    ]
    found = [read(sweep) for sweep in sweeps]
    how = f"of {len(sweeps)} sweeps"
    if sum(steepest is not None for steepest, _ in found) * 2 <= len(sweeps):
        found, how = [read(mean)], f"of the mean of {len(sweeps)} sweeps"
    diverged = [limit for _, limit in found if limit is not None]
    rates = [min(steepest, limit / MARGIN if limit else steepest) for steepest, limit in found if steepest is not None]
    end = f"diverged at {_middle(diverged):.1e}" if diverged else "none diverged"
    if not rates:
        rate = min([fallback, *(limit / MARGIN for limit in diverged)])
        return rate, curve, [], f"the loss fell in no sweep for certain, {end}: {rate:.1e} without a probe"
    spread = f" ({min(rates):.1e} to {max(rates):.1e})" if len(rates) > 1 else ""
    said = f"steepest descent {how}{spread}, at most a tenth of divergence; {end}"
    return _middle(rates), curve, rates, said


def _middle(rates: Sequence[float]) -> float:
    return float(np.exp(np.median(np.log(rates))))


def read(sweep: Sweep) -> tuple[float | None, float | None]:
    """Return where the loss falls most steeply (None: it does not fall) and where it diverges (None: nowhere)."""
    values, half = _finite(sweep.changes), _half(len(sweep.changes))
    end = sweep.rates[-1] if sweep.broken else None
    if len(values) <= 2 * half:
        return None, end
    smoothed = smooth(values, half)
    # What is left of the batches' own noise in the mean of a whole window; narrower ones say nothing.
    error = float(np.std(values - smoothed)) / (2 * half + 1) ** 0.5
    level, rates = smoothed[half:-half], sweep.rates[half : len(values) - half]
    bottom = int(level.argmin())
    depth = -float(level[bottom])
    falls = depth > max(DESCENT, SURE * error)
    # Where nothing fell, a rise is measured from the start.
    low, first, gain = (-depth, bottom, depth * LOST) if falls else (0.0, 0, DESCENT)
    risen = np.flatnonzero(level[first:] > low + max(gain, SURE * error))
    limit = rates[first + int(risen[0])] if len(risen) else end
    if not falls:
        return None, limit
    return rates[int(_slopes(values, half)[: bottom + 1].argmin())], limit


def smooth(values: Curve, half: int) -> Curve:
    """Return centred means over windows of ``2 half + 1``, narrower towards both ends."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(len(values))
    reach = np.minimum(half, np.minimum(at, len(values) - 1 - at))
    return (sums[at + reach + 1] - sums[at - reach]) / (2 * reach + 1)


def _slopes(values: Curve, half: int) -> Curve:
    """Return the slope per step of the straight line through each whole window."""
    offsets = np.arange(-half, half + 1)
    windows = np.lib.stride_tricks.sliding_window_view(values, 2 * half + 1)
    return windows @ offsets / float((offsets**2).sum())


def _half(count: int) -> int:
    """Return half a window of about a quarter of the sweep: of 60 steps over four decades, one decade."""
    return max(1, count // 8)


def _finite(changes: Sequence[float]) -> Curve:
    """Return the changes; what is no finite number counts as the worst seen, at least one nat."""
    values = np.asarray(changes, np.float64)
    finite = np.isfinite(values)
    worst = max(1.0, float(values[finite].max())) if finite.any() else 1.0
    return np.where(finite, values, worst)


def _mean(sweeps: Sequence[Sweep]) -> Sweep:
    """Return the mean of the sweeps, at each rate of those that came so far."""
    rates = max((sweep.rates for sweep in sweeps), key=len)
    values = [_finite(sweep.changes) for sweep in sweeps]
    changes = [float(np.mean([each[i] for each in values if i < len(each)])) for i in range(len(rates))]
    return Sweep(rates, changes, all(sweep.broken for sweep in sweeps))
