"""Why this model and no other: the rule of the choice carried out again on the numbers it was made by."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from lighten.report.explain_facts import CONFIDENCE, TIE, Facts, facts_of
from lighten.report.limits import AT_LEAST

STANDINGS = (
    "tied",
    "failed_cheaper",
    "unsure",
    "dearer",
    "worse",
    "failed",
    "over_cost",
    "farther",
    "set_aside",
    "unexplained",
)
"""What can be said of a model that was not chosen; the order in which they are told."""


def explain_choice(result: Mapping[str, Any], demoted: Sequence[str] = ()) -> dict[str, Any]:
    """Return what the choice was made by.

    Args:
        result: the content of ``result.json``.
        demoted: names of models that were over a limit when measured again.

    Returns:
        ``objective``, ``cost`` (the one that models are compared in), ``percentile`` of the latency, ``floor``,
        ``class_floors``, ``confidence``, ``tie``, ``by_shape`` (whether no timing decided), ``safety`` of the chosen
        one (``safe``, ``unsure`` or ``miss``), ``chosen`` with its facts, and ``others``: facts and ``standing`` of
        every other measured model, the limits on cost it ``missed``, and the ``classes`` whose floor it misses.
    """
    rule = (result.get("selection") or {}).get("rule") or {}
    budget, objective = result["budget"], result["objective"]
    known = facts_of(result)
    chosen = known.get((result["chosen"] or {}).get("name", ""))
    found: dict[str, Any] = {
        "objective": objective,
        "cost": "latency_ms" if objective == "quality" else objective,
        "percentile": budget.get("latency_percentile", "p95"),
        "floor": budget.get("quality"),
        "class_floors": budget.get("quality_per_class"),
        "confidence": rule.get("confidence", CONFIDENCE),
        "tie": rule.get("tie", TIE),
        "by_shape": bool(((result.get("recipe") or {}).get("search") or {}).get("candidates")),
        "safety": None,
        "chosen": None,
        "others": [],
    }
    if chosen is None:
        return found
    found["chosen"] = chosen.to_dict()
    found["safety"] = _safety(chosen, budget, found["confidence"])
    for name, other in known.items():
        if name != chosen.name:
            standing = "set_aside" if name in demoted else _standing(other, chosen, found, budget)
            missed = [limit.name for limit in other.cost_limits(budget) if not limit.met and limit.value is not None]
            classes = other.missed_classes(budget)
            found["others"].append({**other.to_dict(), "standing": standing, "missed": missed, "classes": classes})
    found["others"].sort(key=lambda one: (STANDINGS.index(one["standing"]), _cost(one["costs"], found["cost"])))
    return found


def _safety(facts: Facts, budget: Mapping[str, Any], confidence: float) -> str:
    if any(not limit.met for limit in facts.cost_limits(budget)):
        return "miss"
    if budget.get("quality") is None and budget.get("quality_per_class") is None:
        return "safe"
    chance = facts.chance if facts.chance is not None else 0.0
    return "safe" if chance >= confidence else "unsure" if chance >= 0.5 else "miss"


def _standing(other: Facts, chosen: Facts, rule: Mapping[str, Any], budget: Mapping[str, Any]) -> str:
    """Return the first thing that puts the other model behind the chosen one."""
    own, safety = rule["safety"], _safety(other, budget, rule["confidence"])
    cheaper = _cost(other.costs, rule["cost"]) < _cost(chosen.costs, rule["cost"])
    if own == "miss":
        return "farther" if safety == "miss" else "unexplained"
    if safety == "miss":
        if any(not limit.met for limit in other.cost_limits(budget)):
            return "over_cost"
        return "failed_cheaper" if cheaper else "failed"
    if safety == "unsure":
        return "unsure" if own == "safe" or (other.chance or 0) <= (chosen.chance or 0) else "unexplained"
    if own == "unsure":
        return "unexplained"  # a safe one comes before
    if rule["objective"] == "quality":
        return "tied" if other.quality == chosen.quality else "worse" if _less(other, chosen) else "unexplained"
    if rule["by_shape"]:
        return "dearer" if (other.order or 0) >= (chosen.order or 0) else "unexplained"
    if _step(other, rule) == _step(chosen, rule):
        return "tied"
    return "unexplained" if cheaper else "dearer"


def _less(other: Facts, chosen: Facts) -> bool:
    return (other.quality or 0.0) < (chosen.quality or 0.0)


def _step(facts: Facts, rule: Mapping[str, Any]) -> int | None:
    """Return the cost as the choice rounds it: equal steps are ties."""
    value = facts.costs.get(rule["objective"])
    return None if value is None else round(math.log(max(value, 1e-9)) / math.log1p(rule["tie"]))


def _cost(costs: Mapping[str, float | None], name: str) -> float:
    """Return a cost so that less is better; what was not measured comes last."""
    value = costs.get(name)
    if value is None:
        return math.inf
    return -value if name in AT_LEAST else value
