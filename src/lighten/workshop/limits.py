"""The budget against the measurements: which limits hold, which one binds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from lighten.errors import InputError, nearest
from lighten.recipe import Budget

PER_CLASS = "quality_per_class"
"""Limits are called so with the label in brackets: ``quality_per_class[fresh]``."""
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


def value_of(metrics: dict[str, Any], name: str, percentile: str = "p95") -> float | None:
    """Return the number that a limit is about: that percentile (or the mean) for latency, the plain number otherwise.

    A cost that was measured before means were kept has its median instead; what is delivered is measured anew.
    """
    value = metrics.get(name)
    if name == "latency_ms":
        return None if value is None else float(value.get(percentile, value["p50"]))
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
    percentile = budget.latency_percentile
    values = {name: value_of(metrics, name, percentile) for name in COSTS if wanted[name] is not None}
    found = [check(name, wanted[name], value) for name, value in values.items()]
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


def class_limits(budget: Budget, quality: dict[str, Any] | None) -> list[Limit]:
    """Return the floors under the recall of classes, compared with a measurement's ``per_class``.

    A class without examples there is not compared: `check_class_floors` sees to it that the test has some.
    """
    floors = budget.quality_per_class
    if floors is None:
        return []
    known: dict[str, Any] = (quality or {}).get("per_class") or {}
    if not isinstance(floors, dict):
        floors = dict.fromkeys(known, floors)
    found = []
    for label, floor in floors.items():
        recall = known.get(label, {"value": None, "delta": None, "n": None})
        if recall["n"] != 0:
            limit = check("quality", floor, recall["delta" if floor < 0 else "value"])
            found.append(replace(limit, name=f"{PER_CLASS}[{label}]", unit=UNITS["quality"]))
    return found


def class_words(name: str) -> str:
    """Return ``recall of 'fresh'`` for ``quality_per_class[fresh]``, and any other name of a limit as it is."""
    return f"recall of {name[len(PER_CLASS) + 1 : -1]!r}" if name.startswith(f"{PER_CLASS}[") else name


def check_class_floors(budget: Budget, counts: Mapping[str, int]) -> None:
    """Refuse floors for classes that there are not, or that the test says nothing about.

    Args:
        budget: with or without such floors.
        counts: examples on test by label.

    Raises:
        InputError: a label that the data do not have, or without a single example on test.
    """
    if not isinstance(budget.quality_per_class, dict):
        return
    for label in budget.quality_per_class:
        where = f"budget.{PER_CLASS}"
        if label not in counts:
            raise InputError(
                f"label {label!r} is not one of {', '.join(list(counts)[:20])}{nearest(label, counts)}", where
            )
        if not counts[label]:
            raise InputError(f"label {label!r} has no example on test, so its floor cannot be checked", where)


def unchecked_classes(budget: Budget, counts: Mapping[str, int]) -> list[str]:
    """Return the classes of which a floor under every class says nothing: those without an example on test.

    Args:
        budget: with or without such a floor.
        counts: examples on test by label.
    """
    floors = budget.quality_per_class
    return [] if floors is None or isinstance(floors, dict) else [label for label, n in counts.items() if not n]


def all_limits(budget: Budget, metrics: dict[str, Any]) -> list[Limit]:
    """Return every limit that one model can meet or miss."""
    quality = metrics.get("quality")
    overall = quality_limit(budget, quality)
    return [*cost_limits(budget, metrics), *([] if overall is None else [overall]), *class_limits(budget, quality)]


def total_excess(limits: list[Limit]) -> float:
    """Return how far from fitting a candidate is: 0 when it fits, the sum of the missed shares otherwise."""
    return sum(limit.excess for limit in limits)


def binding(limits: list[Limit]) -> str | None:
    """Return the name of the limit that is missed by most, or None when all hold.

    What was not measured binds only if nothing that was measured does: a shape over the size limit is not timed.
    """
    missed = [limit for limit in limits if not limit.met]
    return max(missed, key=lambda limit: (limit.value is not None, limit.excess)).name if missed else None
