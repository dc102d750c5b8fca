"""The space of a build with costs: predicted for all, measured for the few that decide whether the budget holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from lighten.models.layout import Shape
from lighten.recipe import Budget
from lighten.search.cost.shapes import REFERENCE
from lighten.search.students.space import Point, capacity
from lighten.workshop.limits import binding, cost_limits, total_excess, value_of

ROUNDS = 2
"""Measurements: the first may show that what was thought to fit does not."""
AT_ONCE = 6
"""Points of a round."""

Measure = Callable[[Sequence[Point]], Mapping[str, dict[str, Any]]]
"""Returns the metrics by name of the points."""


@dataclass(frozen=True)
class Costed:
    """A candidate and what it costs.

    Attributes:
        name: as in a build.
        metrics: as in result.json, quality left out.
        point: where in the space it is; None for what is no student.
        shape: of the exported model; None for what is no encoder.
        measured: with random weights, else predicted by the cost model.
    """

    name: str
    metrics: dict[str, Any]
    point: Point | None = None
    shape: Shape | None = None
    measured: bool = False

    @property
    def int8(self) -> bool:
        """Whether its products are int8."""
        return self.point is not None and self.point.int8

    def fits(self, budget: Budget) -> bool:
        """Whether every limit on cost holds."""
        return all(limit.met for limit in cost_limits(budget, self.metrics))

    def excess(self, budget: Budget) -> float:
        """Return by how much it misses the limits on cost, as shares summed up."""
        return total_excess(cost_limits(budget, self.metrics))

    def missed(self, budget: Budget) -> str | None:
        """Return the limit on cost that it misses by most."""
        return binding(cost_limits(budget, self.metrics))

    def value(self, budget: Budget, name: str) -> float | None:
        """Return the number that a limit on cost is about."""
        return value_of(self.metrics, name, budget.latency_percentile)

    def to_dict(self, budget: Budget) -> dict[str, Any]:
        """Return its entry in the plan."""
        shape = None if self.shape is None else dict(vars(self.shape))
        evidence = "measured" if self.measured else "predicted"
        return {
            "name": self.name,
            "evidence": evidence,
            "fits": self.fits(budget),
            "missed": self.missed(budget),
            "shape": shape,
            "metrics": self.metrics,
        }


@dataclass
class Costs:
    """All candidates of a space, by name; `verify` measures those that matter."""

    budget: Budget
    full: Shape
    all: dict[str, Costed]
    asked: set[str] = field(default_factory=set)
    """Names that `verify` has chosen; those too large to be worth exporting stay as predicted."""

    def verify(self, measure: Measure) -> None:
        """Measure the points that decide: the best of those that should fit, or those that miss by least.

        What was not measured is corrected by how far the predictions of its precision were off.
        """
        predicted = {name: one.metrics for name, one in self.all.items()}
        for _ in range(ROUNDS):
            chosen = self.deciding()
            if not chosen:
                break
            self.asked.update(one.name for one in chosen)
            for name, metrics in measure([one.point for one in chosen if one.point is not None]).items():
                if name in self.all and "latency_ms" in metrics:
                    self.all[name] = replace(self.all[name], metrics=metrics, measured=True)
            self._correct(predicted)
            if any(one.measured and one.fits(self.budget) for one in self.all.values()):
                break

    def deciding(self) -> list[Costed]:
        """Return the points to measure next: the most capable and the cheapest that fit, else the nearest misses."""
        left = [one for one in self.all.values() if one.point is not None and one.name not in self.asked]
        fitting = [one for one in left if one.fits(self.budget)]
        if not fitting:
            return sorted(left, key=lambda one: (one.excess(self.budget), one.name))[:AT_ONCE]
        able = sorted(fitting, key=lambda one: (-self._capacity(one), one.name))
        quick = sorted(fitting, key=lambda one: (one.metrics["latency_ms"]["p50"], one.name))
        near = sorted(fitting, key=lambda one: (-self.tightness(one), one.name))
        found = dict.fromkeys(one.name for trio in zip(able, quick, near, strict=True) for one in trio)
        return [self.all[name] for name in list(found)[:AT_ONCE]]

    def tightness(self, one: Costed) -> float:
        """Return the largest share of a limit on cost that a candidate uses up."""
        shares = [0.0]
        for limit in cost_limits(self.budget, one.metrics):
            if limit.value:
                used = limit.value / limit.limit
                shares.append(1 / used if limit.name == "throughput_per_s" else used)
        return max(shares)

    def fitting(self) -> list[Costed]:
        """Return the candidates within every limit on cost: the measured ones first, then the most capable."""
        fits = [one for one in self.all.values() if one.fits(self.budget)]
        return sorted(
            fits, key=lambda one: (not one.measured, -self._capacity(one), one.excess(self.budget), one.name)
        )

    def nearest(self) -> Costed:
        """Return the candidate that misses the limits on cost by least, the most capable where several fit."""
        return min(self.all.values(), key=lambda o: (o.excess(self.budget), -self._capacity(o), o.name))

    def reach(self, name: str) -> tuple[Costed, float] | None:
        """Return the candidate that comes farthest below one limit (above, for throughput) and its value."""
        known = [(one, value) for one in self.all.values() if (value := one.value(self.budget, name)) is not None]
        if not known:
            return None
        pick = max if name == "throughput_per_s" else min
        return pick(known, key=lambda pair: pair[1])

    def _capacity(self, one: Costed) -> float:
        return 0.0 if one.point is None else capacity(one.point.student, self.full)

    def _latency(self, metrics: dict[str, Any]) -> float:
        """Return the milliseconds that the budget's limit on latency is about."""
        return value_of(metrics, "latency_ms", self.budget.latency_percentile) or 0.0

    def _correct(self, predicted: Mapping[str, dict[str, Any]]) -> None:
        for int8 in (False, True):
            own = [one for one in self.all.values() if one.point is not None and one.int8 == int8]
            pairs = [(one.metrics, predicted[one.name]) for one in own if one.measured]
            if not pairs:
                continue
            slower = float(np.median([self._latency(seen) / self._latency(said) for seen, said in pairs]))
            large = [(seen[key], said[key]) for seen, said in pairs if (key := "throughput_per_s") in seen]
            more = float(np.median([seen / said for seen, said in large])) if large else 1 / slower
            for one in own:
                if not one.measured:
                    self.all[one.name] = replace(one, metrics=_scaled(predicted[one.name], slower, more))


def verify_beside_reference(costs: Costs, measure: Measure) -> dict[str, Any]:
    """Measure the points that decide, see `Costs.verify`; returns the reference's metrics from the latest session.

    Args:
        costs: the space, predicted; changed in place.
        measure: measures points beside the reference, which it returns under `REFERENCE`.
    """
    reference: dict[str, Any] = {}

    def beside(points: Sequence[Point]) -> Mapping[str, dict[str, Any]]:
        found = measure(points)
        reference.update(found[REFERENCE])
        return found

    costs.verify(beside)
    if not reference:  # no point was worth measuring
        beside([])
    return reference


def _scaled(metrics: dict[str, Any], slower: float, more: float) -> dict[str, Any]:
    """Return predicted metrics with every latency times `slower` and the throughput times `more`."""
    latency = dict(metrics["latency_ms"])
    latency.update({key: round(latency[key] * slower, 4) for key in ("mean", "p50", "p95")})
    latency["ci95"] = [round(value * slower, 4) for value in latency["ci95"]]
    return {**metrics, "latency_ms": latency, "throughput_per_s": round(metrics["throughput_per_s"] * more, 2)}
