"""The latency of a model, and the ratio of two that were timed side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lighten.measure.statistics import Floats, Interval, bootstrap_interval, percentile_interval


@dataclass(frozen=True)
class Latency:
    """Milliseconds of one call.

    Attributes:
        p50: the median.
        p95: the 95th percentile.
        ci95: the interval of p95.
        batch: texts per call.
        tokens: tokens per text.
        threads: threads of the call.
        samples: every timing in the order taken, [rounds, calls per round].
    """

    p50: float
    p95: float
    ci95: tuple[float, float]
    batch: int
    tokens: int
    threads: int
    samples: Floats

    @property
    def calls(self) -> int:
        """How many calls were timed."""
        return int(self.samples.size)

    @property
    def per_second(self) -> float:
        """Texts per second at the median call."""
        return self.batch * 1000.0 / self.p50

    def to_dict(self) -> dict[str, object]:
        """Return the ``latency_ms`` object of ``result.json``."""
        low, high = self.ci95
        return {
            "p50": round(self.p50, 4),
            "p95": round(self.p95, 4),
            "ci95": [round(low, 4), round(high, 4)],
            "batch": self.batch,
            "tokens": self.tokens,
            "threads": self.threads,
        }


def summarise(samples: Floats, batch: int, tokens: int, threads: int, seed: int) -> Latency:
    """Make a `Latency` of timings in milliseconds, [rounds, calls per round]."""
    p95 = percentile_interval(samples.ravel(), 95, samples.shape[1], seed)
    return Latency(float(np.median(samples)), p95.value, (p95.low, p95.high), batch, tokens, threads, samples)


def ratio_interval(latencies: Mapping[str, Latency], reference: str, name: str, seed: int = 0) -> Interval:
    """Return how many times faster `name` is than `reference`: the median ratio of the rounds, with its interval.

    Both must come from one call of `time_models`: only then do their rounds share the machine's mood.
    """
    slow = np.median(latencies[reference].samples, axis=1)
    fast = np.median(latencies[name].samples, axis=1)
    return bootstrap_interval(slow / fast, np.median, seed)
