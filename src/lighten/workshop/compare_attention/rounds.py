"""Which point is measured when: all kinds at a length, then the next length; then again, as long as time is left.

In the first round lengths grow, so that each says what the next will need: a point that would exceed the machine's
memory or the time that is left is skipped, and said. Later rounds repeat, in an order drawn anew, as many of the
lengths as fit, the short ones first: drift of the machine hits all kinds alike, and the longest are measured once
where time is short.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np

from lighten.errors import InputError, LightenError
from lighten.models.layout import Shape
from lighten.workshop.compare_attention.kinds import KINDS
from lighten.workshop.compare_attention.need import fitting, next_cost, predicted_mb
from lighten.workshop.compare_attention.point import CALL_SECONDS, SLOW

Ask = Callable[[str, int, list[str]], dict[str, Any]]
"""Measures a kind at a length: the answer of `lighten.workshop.compare_attention.point.attention`."""
MEMORY_SHARE = 0.9
"""Of the machine's memory that a point may be expected to take."""
STARTING = 6.0
"""Seconds until a process is ready, until the first one has shown it."""


@dataclass
class Point:
    """One kind of work with one kind of attention at one length.

    Attributes:
        seconds: per round, the seconds of its calls.
        peaks: per round, the peak memory of the process in millions of bytes.
        ready: per round, the peak before the calls that were timed.
        skipped: why it was not measured; empty where it was.
    """

    kind: str
    tokens: int
    what: str
    seconds: list[list[float]] = field(default_factory=list)
    peaks: list[float] = field(default_factory=list)
    ready: list[float] = field(default_factory=list)
    skipped: str = ""

    @property
    def median(self) -> float:
        """The median over the rounds of the median of each round's calls."""
        return median(median(calls) for calls in self.seconds)


class Rounds:
    """Measures the points of a comparison.

    Args:
        kinds: of attention.
        lengths: in tokens, ascending.
        whats: ``forward``, ``training`` or both.
        shape: of the model.
        window: tokens on each side.
        memory: of the machine in millions of bytes; None where it is not known.
        seconds: for everything.
        rounds: at most.
        seed: of the orders.
        ask: measures.
        told: called after each process with the seconds spent so far.
        now: the clock.
    """

    def __init__(
        self,
        kinds: Sequence[str],
        lengths: Sequence[int],
        whats: Sequence[str],
        *,
        shape: Shape,
        window: int,
        memory: float | None,
        seconds: float,
        rounds: int,
        seed: int,
        ask: Ask,
        told: Callable[[float], None] = lambda spent: None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.kinds, self.lengths, self.whats = tuple(kinds), tuple(lengths), tuple(whats)
        self.shape, self.window, self.memory, self.budget, self.most = shape, window, memory, seconds, rounds
        self.random = np.random.default_rng(seed)
        self.ask, self.told, self.now = ask, told, now
        self.started = now()
        self.starting = STARTING
        self.done = 0
        self.points = {(k, n, w): Point(k, n, w) for n in self.lengths for k in self.kinds for w in self.whats}

    @property
    def left(self) -> float:
        """Seconds left."""
        return self.budget - (self.now() - self.started)

    def run(self, between: Callable[[], None] = lambda: None) -> list[Point]:
        """Measure, with other work after the first round; returns every point, skipped ones too."""
        for tokens in self.lengths:
            for index in self.random.permutation(len(self.kinds)):
                self._first(self.kinds[index], tokens)
        self.done = 1
        between()
        while self.done < self.most and self._again():
            self.done += 1
        return list(self.points.values())

    def _first(self, kind: str, tokens: int) -> None:
        wanted, expected = [], self.starting
        for what in self.whats:
            point = self.points[kind, tokens, what]
            seconds = self._expected(point)
            point.skipped = self._too_big(point) or self._too_slow(expected + seconds)
            if not point.skipped:
                wanted.append(what)
                expected += seconds
        if wanted:
            self._measure(kind, tokens, wanted)

    def _shorter(self, point: Point) -> dict[int, Point]:
        return {n: p for n in self.lengths if (p := self.points[point.kind, n, point.what]).seconds}

    def _expected(self, point: Point) -> float:
        """Return the seconds that all calls of a point will take, from those at shorter lengths."""
        seconds = next_cost({n: p.median for n, p in self._shorter(point).items()}, point.tokens) or 0.0
        return seconds if seconds >= SLOW else 2 * seconds + CALL_SECONDS

    def _too_big(self, point: Point) -> str:
        shorter = self._shorter(point)
        need = next_cost({n: p.peaks[0] - p.ready[0] for n, p in shorter.items()}, point.tokens)
        if need is None or len(shorter) < 2:
            need = predicted_mb(point.kind, self.shape, point.tokens, point.what, self.window)
        else:
            need += max(p.ready[0] for p in shorter.values())
        if self.memory is not None and need > MEMORY_SHARE * self.memory:
            return f"memory: about {need / 1000:,.1f} GB needed, the machine has {self.memory / 1000:,.1f} GB"
        return ""

    def _too_slow(self, expected: float) -> str:
        if expected > self.left and self._something_measured():
            return f"time: about {expected:,.0f} s needed, {max(0.0, self.left):,.0f} s left"
        return ""

    def _something_measured(self) -> bool:
        return any(point.seconds for point in self.points.values())

    def _measure(self, kind: str, tokens: int, whats: list[str]) -> None:
        began = self.now()
        try:
            found = self.ask(kind, tokens, whats)
        except InputError:
            raise
        except LightenError as error:  # the process died: out of memory, usually
            for what in whats:
                point = self.points[kind, tokens, what]
                if not point.seconds:
                    point.skipped = f"failed: {error}"
            return
        for what, one in found.items():
            point = self.points[kind, tokens, what]
            point.seconds.append(list(one["seconds"]))
            point.peaks.append(float(one["peak_mb"]))
            point.ready.append(float(one["ready_mb"]))
        spent = self.now() - began
        self.starting = max(0.0, spent - sum(sum(one["seconds"]) for one in found.values()))
        self.told(self.now() - self.started)

    def _again(self) -> bool:
        """Measure once more what fits into the time left; False where nothing does."""
        jobs = []
        for tokens in self.lengths:
            for kind in self.kinds:
                whats = [what for what in self.whats if self.points[kind, tokens, what].seconds]
                if whats:
                    cost = sum(sum(self.points[kind, tokens, what].seconds[0]) for what in whats) + self.starting
                    jobs.append((tokens, kind, whats, cost))
        # Whole lengths: a round that repeats some kinds alone would not be a comparison.
        count = fitting([cost for *_, cost in jobs], self.left)
        if count < len(jobs):
            jobs = [job for job in jobs[:count] if job[0] < jobs[count][0]]
        for index in self.random.permutation(len(jobs)):
            tokens, kind, whats, _ = jobs[index]
            self._measure(kind, tokens, whats)
        return bool(jobs)


def described(kinds: Sequence[str]) -> dict[str, str]:
    """Return what each kind is."""
    return {kind: KINDS[kind] for kind in kinds}
