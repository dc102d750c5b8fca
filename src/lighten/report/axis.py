"""Scales and ticks of the plots: pure functions from numbers to places."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from lighten.report.words import number


@dataclass(frozen=True)
class Axis:
    """Maps values to pixels.

    Attributes:
        low: the value at `start`.
        high: the value at `end`.
        start: pixel of `low` (for a vertical axis the larger one).
        end: pixel of `high`.
        log: whether equal factors are equal distances; `low` must then be above zero.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """Return the pixel of a value, held inside the axis."""
        low, high, value = (math.log(max(v, 1e-12)) if self.log else v for v in (self.low, self.high, value))
        share = 0.5 if high == low else (value - low) / (high - low)
        return round(self.start + (self.end - self.start) * min(1.0, max(0.0, share)), 1)

    def ticks(self, most: int = 7) -> list[tuple[float, str]]:
        """Return the pixel and the text of round values inside the axis."""
        values = _log_ticks(self.low, self.high, most) if self.log else _linear_ticks(self.low, self.high, most)
        return [(self.at(value), number(value, 4)) for value in values]


def linear(values: Iterable[float], start: float, end: float, pad: float = 0.08) -> Axis:
    """Return a linear axis around the values, with `pad` of their span added on both sides."""
    known = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(known), max(known)
    room = (high - low) * pad or max(abs(high) * 0.1, 0.5)
    return Axis(low - room, high + room, start, end)


def logarithmic(values: Iterable[float], start: float, end: float, pad: float = 0.08) -> Axis:
    """Return a logarithmic axis around those of the values that are above zero."""
    known = [math.log(value) for value in values if value > 0 and math.isfinite(value)] or [0.0, 1.0]
    low, high = min(known), max(known)
    room = (high - low) * pad or 0.4
    return Axis(math.exp(low - room), math.exp(high + room), start, end, log=True)


def _linear_ticks(low: float, high: float, most: int) -> list[float]:
    rough = (high - low) / max(1, most - 1)
    if rough <= 0:
        return [low]
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(index * step, 10) for index in range(first, math.floor(high / step + 1e-9) + 1)]


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found: list[float] = []
    for factors in ((1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
        found = [f * 10.0**p for p in powers for f in factors if low <= f * 10.0**p <= high]
        if len(found) <= most:
            break
    return found or [math.sqrt(low * high)]
