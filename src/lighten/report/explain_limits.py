"""What bound: the slack of every limit, the nearest one, and what a looser one would have allowed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lighten.report.explain_facts import Facts, facts_of
from lighten.report.limits import AT_LEAST, value_of
from lighten.workshop.limits import COSTS, check

SHOWN = 3
"""Models named for each limit that would have to give way."""
FAR = 0.5
"""Share by which a limit would have to be looser from which only the nearest model is named."""
CLOCK = "build_minutes"


def explain_limits(result: Mapping[str, Any], choice: Mapping[str, Any]) -> dict[str, Any]:
    """Return how the limits of the budget shaped the choice.

    Args:
        result: the content of ``result.json``.
        choice: from `explain_choice`.

    Returns:
        ``percentile`` of the latency; ``limited``, the costs that have a limit; ``binding`` limit of an infeasible
        build; ``limits``: those of the result with ``slack``, the share of the limit that is left, negative where it
        is missed, and ``excludes``, how many models miss it; ``nearest`` limit, the clock left out: a build uses it
        up; ``relaxed``: by limit, the models that only this limit kept out, the nearest first, each with the
        ``limit`` it would need and ``change``, the share by which that is looser (of quality: points).
    """
    budget = result["budget"]
    rows = [
        {**limit, "slack": _slack(limit), "excludes": _excluded(result, limit["name"])} for limit in result["limits"]
    ]
    near = [row for row in rows if row["name"] != CLOCK and row["slack"] is not None]
    relaxed = {name: _kept_out(result, name) for name in COSTS if budget.get(name) is not None}
    if budget.get("quality") is not None:
        relaxed["quality"] = _below_the_floor(result, choice)
    return {
        "percentile": _percentile(budget),
        "limited": [name for name in COSTS if budget.get(name) is not None],
        "binding": result["binding_limit"],
        "limits": rows,
        "nearest": min(near, key=lambda row: row["slack"])["name"] if near else None,
        "relaxed": {name: found for name, found in relaxed.items() if found},
    }


def _slack(limit: Mapping[str, Any]) -> float | None:
    """Return the share of a limit that is left; of a floor, the share that is there above it."""
    bound, value = limit["limit"], limit["value"]
    if value is None or not bound:
        return None
    at_least = limit["name"] in AT_LEAST or limit["name"].startswith("quality")
    return round((value - bound if at_least else bound - value) / abs(bound), 4)


def _misses(candidate: Mapping[str, Any], budget: Mapping[str, Any]) -> list[str]:
    """Return the limits on cost that a model is known to miss."""
    found = []
    for name in COSTS:
        value = value_of(dict(candidate), name, _percentile(budget))
        if budget.get(name) is not None and value is not None and not check(name, budget[name], value).met:
            found.append(name)
    return found


def _excluded(result: Mapping[str, Any], name: str) -> int:
    """Return how many of the models considered miss a limit."""
    budget = result["budget"]
    if name.startswith("quality_per_class["):
        missed = [one["label"] for facts in facts_of(result).values() for one in facts.missed_classes(budget)]
        return missed.count(name[len("quality_per_class[") : -1])
    if name == "quality":
        floors = [facts.floor(budget) for facts in facts_of(result).values()]
        return sum(floor is not None and floor.value is not None and not floor.met for floor in floors)
    return sum(name in _misses(one, budget) for one in _everyone(result))


def _kept_out(result: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """Return the models that only one limit on cost keeps out."""
    budget, known, found = result["budget"], facts_of(result), []
    for one in _everyone(result):
        if _misses(one, budget) != [name]:
            continue
        needed = value_of(one, name, _percentile(budget))
        assert needed is not None
        facts = known.get(one["name"])
        floor = None if facts is None else facts.floor(budget)
        if facts is not None and (facts.missed_classes(budget) or (floor is not None and not floor.met)):
            continue  # a floor would keep it out
        entry = {"limit": round(needed, 4), "change": round(check(name, budget[name], needed).excess, 4)}
        found.append({**_told(one, facts, budget), **entry})
    found.sort(key=lambda entry: entry["change"])
    return [entry for entry in found[:SHOWN] if entry is found[0] or entry["change"] <= FAR]


def _below_the_floor(result: Mapping[str, Any], choice: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the models that only the quality floor keeps out, where a lower one would change the choice.

    They are cheaper than the chosen one; where that misses the budget itself, all of them count.
    """
    budget, found = result["budget"], []
    cheaper = {one["name"] for one in choice["others"] if one["standing"] == "failed_cheaper"}
    candidates = {one["name"]: one for one in _everyone(result)}
    for name, facts in facts_of(result).items():
        floor, missed = facts.floor(budget), [limit for limit in facts.cost_limits(budget) if not limit.met]
        if floor is None or floor.value is None or floor.met or missed or facts.missed_classes(budget):
            continue
        if choice["safety"] != "miss" and (name not in cheaper or choice["objective"] == "quality"):
            continue
        entry = {"limit": round(floor.value, 4), "change": round(floor.limit - floor.value, 4)}
        found.append({**_told(candidates[name], facts, budget), **entry})
    return sorted(found, key=lambda entry: entry["change"])[:SHOWN]


def _everyone(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    named = {one["name"]: one for one in (result["reference"],) if one}
    named.update({one["name"]: one for one in result["candidates"] if one["status"] != "failed"})
    if result["chosen"]:
        named.setdefault(result["chosen"]["name"], result["chosen"])
    return list(named.values())


def _percentile(budget: Mapping[str, Any]) -> str:
    """Return what of a latency is limited."""
    return str(budget.get("latency_percentile", "p95"))


def _told(candidate: Mapping[str, Any], facts: Facts | None, budget: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known of a model: its costs, and its quality on validation where it was trained."""
    costs = {name: value_of(dict(candidate), name, _percentile(budget)) for name in COSTS}
    return {
        "name": candidate["name"],
        "trained": candidate["status"] == "measured",
        "predicted": candidate.get("costs") == "predicted",
        "quality": None if facts is None else facts.quality,
        "delta": None if facts is None else facts.delta,
        "costs": {name: value for name, value in costs.items() if value is not None},
    }
