"""Times a cascade: calls that end with the first model, calls that go on to the second, weighed by the texts that do.

Random token ids would pass on an arbitrary share of themselves. So how often the second model is asked comes from
real texts (validation, in the end the sealed test), and how long a call takes that passes on so many texts is
measured, the second model run right after the first as in service. Together they are a mixture, of which mean and
percentiles follow. Texts of a batch are taken to be passed on independently of each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from lighten.measure.latency import Latency, winsorised_mean
from lighten.measure.mixture import counts_to_time, weighted_percentile, weights_of
from lighten.measure.statistics import Floats
from lighten.runtime.cascade import Cascade, Flags, unsure
from lighten.runtime.classifier import Classifier
from lighten.runtime.tokens import Ids

Call = Callable[[], object]
Inputs = Callable[[Classifier, int, int, np.random.Generator], tuple[Ids, Ids]]

RESAMPLES = 500
_CHUNK = 2_000_000
"""Numbers drawn at a time: bounds the memory."""


@dataclass(frozen=True)
class Kind:
    """Calls that pass on equally many texts: how many, their share of all calls, milliseconds [rounds, calls]."""

    passed: int
    weight: float
    samples: Floats


@dataclass(frozen=True)
class Mixed(Latency):
    """The latency of a cascade: percentiles and mean over calls of several kinds, each with its weight.

    Attributes:
        share: of the texts that are passed on.
        kinds: of calls; their weights sum to 1.
    """

    share: float
    kinds: tuple[Kind, ...]

    @property
    def mean(self) -> float:
        """The mean over all kinds, each one's slowest calls counted as its p95; see `latency.winsorised_mean`."""
        return float(sum(kind.weight * winsorised_mean(kind.samples) for kind in self.kinds))

    @property
    def per_round(self) -> Floats:
        """The mean over all kinds of their typical call in each round, [rounds]."""
        return np.sum([kind.weight * np.median(kind.samples, axis=1) for kind in self.kinds], axis=0)

    @property
    def per_second(self) -> float:
        """Texts per second: a median call may be one that passes on nothing, so the mean counts."""
        return self.batch * 1000.0 / self.mean

    def to_dict(self) -> dict[str, object]:
        """Return the ``latency_ms`` object of ``result.json``, with the share passed on and each kind of call."""
        kinds = [
            {
                "passed_on": kind.passed,
                "share": round(kind.weight, 4),
                "p50": round(float(np.median(kind.samples)), 4),
                "p95": round(float(np.percentile(kind.samples, 95)), 4),
            }
            for kind in self.kinds
        ]
        return {**super().to_dict(), "passed_on": round(self.share, 4), "calls": kinds}

    def with_share(self, share: float, examples: int, seed: int) -> Mixed:
        """Return the same timings for another share of texts passed on; see `mix`."""
        timed = {kind.passed: kind.samples for kind in self.kinds}
        return mix(timed, share, examples, self.batch, self.tokens, self.threads, seed)


def mix(
    timed: Mapping[int, Floats], share: float, examples: int, batch: int, tokens: int, threads: int, seed: int
) -> Mixed:
    """Make the latency of a cascade of timings in milliseconds.

    The interval of p95 is over rounds, and over the share: another sample of as many texts would pass on another one.

    Args:
        timed: by how many texts of the batch were passed on, [rounds, calls per round]; all of the same rounds.
        share: of the texts that are passed on.
        examples: texts that the share was counted on.
        batch: texts per call.
        tokens: tokens per text.
        threads: threads of the call.
        seed: of the resampling.
    """
    passed = sorted(timed)
    samples = [np.asarray(timed[count], dtype=np.float64) for count in passed]
    weights = weights_of(passed, batch, share)
    each = np.concatenate([np.full(s.size, w / s.size) for s, w in zip(samples, weights, strict=True)])
    pooled = np.concatenate([s.ravel() for s in samples])
    p50, p95 = (weighted_percentile(pooled, each, percent) for percent in (50, 95))
    random = np.random.default_rng(seed)
    low, high = np.quantile(_drawn_p95(samples, passed, batch, share, examples, random), [0.025, 0.975])
    kinds = tuple(Kind(c, float(w), s) for c, w, s in zip(passed, weights, samples, strict=True))
    return Mixed(
        p50=p50,
        p95=p95,
        ci95=(min(float(low), p95), max(float(high), p95)),
        batch=batch,
        tokens=tokens,
        threads=threads,
        samples=np.concatenate(samples, axis=1),
        share=share,
        kinds=kinds,
    )


def with_shares(timed: Mapping[str, Latency], passed_on: Mapping[str, Flags], seed: int) -> dict[str, Latency]:
    """Return the latencies with cascades weighed by the examples that they really passed on.

    Args:
        timed: by name.
        passed_on: of each cascade, for which examples its second model answered.
        seed: of the resampling.
    """
    weighed: dict[str, Latency] = dict(timed)
    for name, flags in passed_on.items():
        found = timed.get(name)
        if isinstance(found, Mixed):
            weighed[name] = found.with_share(float(flags.mean()), len(flags), seed)
    return weighed


def calls_of(
    cascade: Cascade, batch: int, tokens: int, random: np.random.Generator, inputs: Inputs
) -> dict[int, Call]:
    """Return calls of a cascade on random token ids, by how many texts of the batch they pass on.

    Args:
        cascade: to time.
        batch: texts per call.
        tokens: of each text, by each model's own count.
        random: draws the token ids.
        inputs: makes them.
    """
    assert cascade.folder.cascade is not None
    first = inputs(cascade.first, batch, tokens, random)

    def call(count: int) -> Call:
        second = inputs(cascade.second, count, tokens, random) if count else None

        def run() -> None:
            unsure(cascade.first.run(*first), cascade.threshold)  # the decision is part of what a text costs
            if second is not None:
                cascade.second.run(*second)

        return run

    return {count: call(count) for count in counts_to_time(batch, cascade.folder.cascade.passed_on)}


def _drawn_p95(
    samples: list[Floats], passed: list[int], batch: int, share: float, examples: int, random: np.random.Generator
) -> Floats:
    """Return p95 of resampled rounds with a resampled share, [resamples]."""
    rounds = len(samples[0])
    values = np.concatenate([s.ravel() for s in samples])
    order = np.argsort(values, kind="stable")
    owner = np.concatenate([np.repeat(np.arange(rounds), s.shape[1]) for s in samples])[order]
    kind = np.concatenate([np.full(s.size, number) for number, s in enumerate(samples)])[order]
    shares = random.binomial(examples, share, RESAMPLES) / examples
    known = {float(value): weights_of(passed, batch, float(value)) for value in set(shares.tolist())}
    sizes = np.array([s.size for s in samples])
    found = []
    part = max(1, _CHUNK // len(values))
    for start in range(0, RESAMPLES, part):
        drawn = shares[start : start + part]
        often = random.multinomial(rounds, np.full(rounds, 1 / rounds), size=len(drawn))
        heavy = np.stack([known[float(value)] / sizes for value in drawn])
        reached = np.cumsum(often[:, owner] * heavy[:, kind], axis=1)
        places = (reached < 0.95 * reached[:, -1:] - 1e-9).sum(axis=1)
        found.append(values[order[np.minimum(places, len(order) - 1)]])
    return np.concatenate(found)
