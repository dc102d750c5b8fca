"""The budget against the measurements: which limits hold, which one binds."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from lighten.recipe import Budget

COSTS = ("latency_ms", "size_mb", "peak_memory_mb", "throughput_per_s")
UNITS = {
    "latency_ms": "ms",
    "size_mb": "MB",
    "peak_memory_mb": "MB",
    "throughput_per_s": "texts/s",
    "quality": "points",
    "build_minutes": "minutes",
}


@dataclass(frozen=True)
class Limit:
    """One limit of the budget and how it is met.

    `excess` is the share by which it is missed (0 if met); `unit` is that of the name where it is left out.
    """

    name: str
    limit: float
    value: float | None
    met: bool
    excess: float
    unit: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the entry of result.json."""
        unit = self.unit or UNITS[self.name]
        return {"name": self.name, "limit": self.limit, "value": self.value, "met": self.met, "unit": unit}


def value_of(metrics: dict[str, Any], name: str) -> float | None:
    """Return the number that a limit is about: p95 for latency, the plain number otherwise."""
    value = metrics.get(name)
    if name == "latency_ms":
        return None if value is None else float(value["p95"])
    return None if value is None else float(value)


def check(name: str, limit: float, value: float | None) -> Limit:
    """Compare one value with its limit; more is better for throughput and quality, less for all else."""
    if value is None:
        return Limit(name, limit, None, False, math.inf)  # unknown is not near
    if name == "throughput_per_s":
        return Limit(name, limit, value, value >= limit, max(0.0, limit / max(value, 1e-9) - 1))
    if name == "quality":
        # In points; 10 points short counts as much as a cost of twice its limit.
        return Limit(name, limit, value, value >= limit, max(0.0, (limit - value) / 10))
    return Limit(name, limit, value, value <= limit, max(0.0, value / limit - 1))


def cost_limits(budget: Budget, metrics: dict[str, Any]) -> list[Limit]:
    """Return the limits on cost that the budget sets, compared with a candidate's metrics."""
    wanted = budget.model_dump()
    found = [check(name, wanted[name], value_of(metrics, name)) for name in COSTS if wanted[name] is not None]
    if "decode_per_s" not in metrics:
        return found
    return [replace(limit, unit="tokens/s") if limit.name == "throughput_per_s" else limit for limit in found]


def quality_limit(budget: Budget, quality: dict[str, Any] | None) -> Limit | None:
    """Return the quality floor compared with a measurement: points under the reference, or absolute points.

    Of perplexity, where less is better, percent over the reference's take the place of points under it.
    """
    if budget.quality is None:
        return None
    if quality is None:
        return check("quality", budget.quality, None)
    if quality.get("better") == "lower":
        return replace(check("quality", budget.quality, -float(quality["delta"])), unit="%")
    return check("quality", budget.quality, float(quality["delta"] if budget.quality < 0 else quality["value"]))


def all_limits(budget: Budget, metrics: dict[str, Any]) -> list[Limit]:
    """Return every limit that one model can meet or miss."""
    limits = cost_limits(budget, metrics)
    quality = quality_limit(budget, metrics.get("quality"))
    return [*limits, quality] if quality is not None else limits


def total_excess(limits: list[Limit]) -> float:
    """Return how far from fitting a candidate is: 0 when it fits, the sum of the missed shares otherwise."""
    return sum(limit.excess for limit in limits)


def binding(limits: list[Limit]) -> str | None:
    """Return the name of the limit that is missed by most, or None when all hold.

    What was not measured binds only if nothing that was measured does: a shape over the size limit is not timed.
    """
    missed = [limit for limit in limits if not limit.met]
    return max(missed, key=lambda limit: (limit.value is not None, limit.excess)).name if missed else None
