"""What a cascade is expected to cost, from what its parts were measured to; a promise, measured later."""

from __future__ import annotations

from typing import Any

import numpy as np

from lighten.measure.mixture import binomial
from lighten.recipe import Budget
from lighten.search.candidate import Candidate
from lighten.search.cost.shapes import REFERENCE
from lighten.search.standing import Standing
from lighten.workshop.limits import cost_limits

STEP = 1e-3
"""By how much a cascade is less simple than the less simple of its parts."""


def mixed_metrics(first: dict[str, Any], second: dict[str, Any], share: float, batch: int) -> dict[str, Any]:
    """Return the expected metrics on cost of a cascade.

    A percentile of the calls has as many texts passed on as that percentile of the binomial says, each with its share
    of a whole batch of the second model; that is exact for one text per call where the parts do not vary, and a little
    too much otherwise.

    Args:
        first: metrics of the model that is asked of every text.
        second: metrics of the one that is asked of the rest.
        share: of the texts that are passed on.
        batch: texts per call.
    """
    found: dict[str, Any] = {"size_mb": first["size_mb"] + second["size_mb"]}
    one, other = first.get("latency_ms"), second.get("latency_ms")
    if one and other:
        reached = np.cumsum(binomial(batch, share))
        passed = {name: int(np.searchsorted(reached, q - 1e-9)) / batch for name, q in (("p50", 0.5), ("p95", 0.95))}
        found["latency_ms"] = {name: one[name] + min(1.0, part) * other[name] for name, part in passed.items()}
        found["latency_ms"]["mean"] = one.get("mean", one["p50"]) + share * other.get("mean", other["p50"])
    if first.get("throughput_per_s") and second.get("throughput_per_s"):
        found["throughput_per_s"] = 1 / (1 / first["throughput_per_s"] + share / second["throughput_per_s"])
    memory = [part["peak_memory_mb"] for part in (first, second) if part.get("peak_memory_mb") is not None]
    if len(memory) == 2:
        # The process itself is in both numbers; what the smaller model adds is about its files.
        found["peak_memory_mb"] = max(memory) + min(first["size_mb"], second["size_mb"])
    return found


def within(budget: Budget, metrics: dict[str, Any]) -> bool:
    """Return whether all limits on cost hold."""
    return all(limit.met for limit in cost_limits(budget, metrics))


def order_of(standing: Standing, first: Candidate, second: Candidate, share: float) -> float:
    """Return a cascade's position from the simplest up.

    Behind both its parts, so that ties go to a single model. In a reproducible build, where the order stands for cost,
    it is the cost of both by their shapes.
    """
    if standing.run.by_clock:
        return max(first.order, second.order) + STEP
    return 1 + _shape_cost(standing, first) + share * _shape_cost(standing, second) + STEP


def _shape_cost(standing: Standing, candidate: Candidate) -> float:
    """Return about how much of the reference's latency a model has, from its shape alone."""
    if candidate.rung == REFERENCE:
        return 1.0
    name = candidate.name.removeprefix("frozen, ")
    return standing.order(name) - 1 if name in standing.points else 0.0
