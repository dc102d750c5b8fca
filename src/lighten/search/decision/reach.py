"""What of a budget no model can meet, known from costs alone, before anything is trained."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import combinations
from typing import Any

from lighten.recipe import Budget
from lighten.search.run import Run
from lighten.workshop.limits import UNITS, Limit, cost_limits

NEAREST_MISS = 60.0
"""Seconds that the reference, and the students together, train for where costs alone prove that nothing fits."""
NEAR = 0.1
"""Share by which a limit may be missed in one session and met in another."""
SUPERLATIVES = {
    "latency_ms": "fastest",
    "size_mb": "smallest",
    "peak_memory_mb": "smallest in memory",
    "throughput_per_s": "one with the highest throughput",
}


def unreachable(budget: Budget, costs: Mapping[str, Mapping[str, Any]], predicted: Collection[str] = ()) -> list[str]:
    """Say which limits on cost no model meets, or which contradict each other; nothing where one model meets them all.

    Costs do not depend on weights, so this is known of models that were never trained. They vary from session to
    session, so a limit that is missed by less than `NEAR` may still be met. One that a model was not measured against
    (a shape over the size limit is not timed) counts as missed: it fits in no case.

    Args:
        budget: the limits.
        costs: metrics by name of everything that could be built.
        predicted: names of those whose metrics are the cost model's: the sentences say so.

    Returns:
        Sentences with the limits, the best values and the models that have them, the plainest contradiction first.
    """
    limits = {name: {limit.name: limit for limit in cost_limits(budget, dict(m))} for name, m in costs.items()}
    wanted = list(next(iter(limits.values()), {}))
    if not wanted or any(all(_near(limit) for limit in found.values()) for found in limits.values()):
        return []
    alone = [name for name in wanted if not any(_near(found[name]) for found in limits.values())]
    if alone:
        return [_alone(name, limits, predicted) for name in alone]
    pairs = [
        (one, other)
        for one, other in combinations(wanted, 2)
        if not any(_near(found[one]) and _near(found[other]) for found in limits.values())
    ]
    if pairs:
        return [_together(one, other, limits, predicted) for one, other in pairs]
    return [f"{' and '.join(_said(next(iter(limits.values()))[name]) for name in wanted)} are never met by one model"]


def look_ahead(run: Run, costs: Mapping[str, Mapping[str, Any]], predicted: Collection[str] = ()) -> None:
    """Note on the build what no model can meet: then only the nearest miss is looked for, in little time."""
    run.unreachable = unreachable(run.recipe.budget, costs, predicted)
    for sentence in run.unreachable:
        run.progress.note(f"nothing fits: {sentence}")


def _alone(name: str, limits: Mapping[str, Mapping[str, Limit]], predicted: Collection[str]) -> str:
    known = {model: found[name] for model, found in limits.items() if found[name].value is not None}
    any_limit = next(iter(limits.values()))[name]
    if not known:
        return f"{_said(any_limit)}: no model was measured against it"
    best = min(known, key=lambda model: known[model].excess)
    return f"{_said(any_limit)}: the {SUPERLATIVES[name]} model, {best}, {_has(best, predicted)} {_value(known[best])}"


def _together(one: str, other: str, limits: Mapping[str, Mapping[str, Limit]], predicted: Collection[str]) -> str:
    within = {model: found[other] for model, found in limits.items() if _near(found[one])}
    first, second = (next(iter(limits.values()))[name] for name in (one, other))
    known = {model: limit for model, limit in within.items() if limit.value is not None}
    said = f"{_said(first)} and {_said(second)} contradict each other"
    if not known:
        return said
    best = min(known, key=lambda model: known[model].excess)
    return f"{said}: of the models within the first the best, {best}, {_has(best, predicted)} {_value(known[best])}"


def _has(model: str, predicted: Collection[str]) -> str:
    return "is predicted to have" if model in predicted else "has"


def _near(limit: Limit) -> bool:
    return limit.excess <= NEAR


def _said(limit: Limit) -> str:
    return f"{limit.name}={limit.limit:g}"


def _value(limit: Limit) -> str:
    value = limit.value or 0.0
    return f"{value:.3g} {limit.unit or UNITS[limit.name]}"
