"""The latency of a model, and the ratio of two that were timed side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lighten.measure.statistics import Floats, Interval, bootstrap_interval, percentile_interval


@dataclass(frozen=True)
class Latency:
    """Milliseconds of one call.

    A cascade's is a `cascade.Mixed`: its calls are of two kinds, and count as often as texts make them so.

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
    def mean(self) -> float:
        """The mean; see `winsorised_mean`."""
        return winsorised_mean(self.samples)

    @property
    def per_round(self) -> Floats:
        """A typical call of each round, [rounds]."""
        return np.asarray(np.median(self.samples, axis=1))

    @property
    def per_second(self) -> float:
        """Texts per second at the median call."""
        return self.batch * 1000.0 / self.p50

    def to_dict(self) -> dict[str, object]:
        """Return the ``latency_ms`` object of ``result.json``."""
        low, high = self.ci95
        return {
            "mean": round(self.mean, 4),
            "p50": round(self.p50, 4),
            "p95": round(self.p95, 4),
            "ci95": [round(low, 4), round(high, 4)],
            "batch": self.batch,
            "tokens": self.tokens,
            "threads": self.threads,
        }


def winsorised_mean(samples: Floats) -> float:
    """Return the mean of timings, the slowest twentieth counted as p95.

    One call in a hundred that waits for another process can double a plain mean of short calls. What a model itself
    takes hardly varies, and what is beyond p95 is in no other number here either.
    """
    return float(np.minimum(samples, np.percentile(samples, 95)).mean())


def summarise(samples: Floats, batch: int, tokens: int, threads: int, seed: int) -> Latency:
    """Make a `Latency` of timings in milliseconds, [rounds, calls per round]."""
    p95 = percentile_interval(samples.ravel(), 95, samples.shape[1], seed)
    return Latency(float(np.median(samples)), p95.value, (p95.low, p95.high), batch, tokens, threads, samples)


def ratio_interval(latencies: Mapping[str, Latency], reference: str, name: str, seed: int = 0) -> Interval:
    """Return how many times faster `name` is than `reference`: the median ratio of the rounds, with its interval.

    Of a cascade the typical call is the mean over its kinds: its median would leave out the texts it passes on.

    Both must come from one call of `time_models`: only then do their rounds share the machine's mood.
    """
    slow, fast = latencies[reference].per_round, latencies[name].per_round
    return bootstrap_interval(slow / fast, np.median, seed)
