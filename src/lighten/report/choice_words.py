"""Why this one, in sentences, the same on screen and on the page. What comes from data is not escaped here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lighten.report.limits import AT_LEAST
from lighten.report.words import listed, number, points, signed, unit_of

COST_NAMES = {
    "latency_ms": "latency",
    "size_mb": "size",
    "peak_memory_mb": "peak memory",
    "throughput_per_s": "throughput",
}
OBJECTIVES = {
    "latency_ms": "the lowest latency",
    "size_mb": "the smallest size",
    "peak_memory_mb": "the least memory",
    "throughput_per_s": "the most texts per second",
    "quality": "the best quality on validation",
}
_COUNTS = {
    "tied": "{n} lost a tie",
    "failed_cheaper": "{n} {was} cheaper and failed the floor",
    "unsure": "{n} held it less surely",
    "dearer": "{n} kept every limit and {was} dearer",
    "worse": "{n} kept every limit with less quality",
    "failed": "{n} failed the floor without being cheaper",
    "over_cost": "{n} {was} over a limit on cost",
    "farther": "{n} {was} farther from the budget",
    "set_aside": "{n} turned out over a limit when measured again",
    "unexplained": "{n} would come first by the numbers kept here",
}


def rule_words(why: Mapping[str, Any]) -> str:
    """Return the rule by which a build chooses."""
    holding = "every limit on cost"
    floors = [floor_words(why["floor"])] if why["floor"] is not None else []
    floors += ["one of its own for classes"] if why["class_floors"] is not None else []
    if floors:
        holding += f" that hold the quality floor ({listed(floors)}) on validation with a chance of at least "
        holding += f"{why['confidence']:.0%}"
    if why["objective"] == "quality":
        return (
            f"The rule: of the models within {holding}, the one with the best quality there; ties go to the simpler."
        )
    if why["by_shape"]:
        shape = "the simplest by its shape: no timing decides, because the recipe sets search.candidates"
        return f"The rule: of the models within {holding}, {shape}."
    wanted = OBJECTIVES[why["objective"]]
    if why["objective"] == "latency_ms":
        wanted += f" ({why['percentile']})"
    ties = (
        f"Costs within about {why['tie']:.0%} of each other are ties: the better quality wins, then the simpler model"
    )
    return f"The rule: of the models within {holding}, the one with {wanted}. {ties}."


def choice_words(why: Mapping[str, Any]) -> list[str]:
    """Return why the chosen model came first: what it has, and how many others fell behind for which reason."""
    chosen = why["chosen"]
    if chosen is None:
        return ["No model was measured, so there was nothing to choose from."]
    had = [f"{points(chosen['quality'])} points on validation"] if chosen["quality"] is not None else []
    if chosen["delta"] is not None and chosen["rung"] != "reference":
        had.append(f"{signed(chosen['delta'])} against the reference")
    if (why["floor"], why["class_floors"]) != (None, None) and chosen["chance"] is not None:
        had.append(f"the floor holds with a chance of {_chance(chosen['chance'])}")
    had.append(costs_words(chosen["costs"], why["percentile"]))
    first = {
        "safe": "It came first by the rule",
        "unsure": "None held the floor so surely; it is the surest of those that more likely hold it than not",
        "miss": "None kept every limit; it is the nearest miss, by the sum of the shares by which limits are missed",
    }[why["safety"]]
    return [f"{chosen['name']}: {', '.join(part for part in had if part)}.", f"{first}. {_counts(why)}".strip()]


def _counts(why: Mapping[str, Any]) -> str:
    """Return how many measured models fell behind for each reason."""
    standings = [one["standing"] for one in why["others"]]
    told = []
    for code, text in _COUNTS.items():
        if count := standings.count(code):
            told.append(text.format(n=count, was="was" if count == 1 else "were"))
    of = "the one other that was measured" if len(standings) == 1 else f"{len(standings)} others that were measured"
    return f"Of {of}, {listed(told)}." if told else ""


def other_words(one: Mapping[str, Any], why: Mapping[str, Any], budget: Mapping[str, Any]) -> str:
    """Return why one other measured model was not chosen.

    Args:
        one: of the ``others`` of `explain_choice`.
        why: all of it.
        budget: limits by name.
    """
    chosen, standing, percentile = why["chosen"], one["standing"], why["percentile"]
    price = f"{cost_words(one['costs'], why['cost'], percentile)} against {_number(chosen['costs'], why['cost'])}"
    missed = [_over(one["costs"], name, budget[name], percentile) for name in one["missed"]]
    short = _short(one, why)
    said = {
        "tied": f"a tie ({price}): {_tie(one, chosen)}",
        "failed_cheaper": f"cheaper ({price}), but fails the floor: {short}",
        "failed": f"fails the floor: {short}; nor is it cheaper ({price})",
        "unsure": f"holds the floor with a chance of {_chance(one['chance'])} only ({price}): {short}",
        "dearer": "comes later by its shape" if why["by_shape"] else f"keeps every limit, but is dearer ({price})",
        "worse": f"keeps every limit, with {points(one['quality'])} points against {points(chosen['quality'])}",
        "over_cost": f"over a limit: {', '.join(missed)}",
        "farther": f"farther from the budget: {', '.join([*missed, short] if _fails(one, why) else missed) or price}",
        "set_aside": "ranked higher until its costs were measured again: then it was over a limit",
    }
    unexplained = f"would come first by the numbers kept here ({price}); what set it aside is not recorded"
    return said.get(standing, unexplained)


def _tie(one: Mapping[str, Any], chosen: Mapping[str, Any]) -> str:
    if one["quality"] is not None and chosen["quality"] is not None and one["quality"] < chosen["quality"]:
        return f"it has {points(one['quality'])} points on validation, the chosen one {points(chosen['quality'])}"
    return "equal in quality too, and the chosen one is simpler"


def _fails(one: Mapping[str, Any], why: Mapping[str, Any]) -> bool:
    floor = why["floor"]
    value = None if floor is None else one["delta"] if floor < 0 else one["quality"]
    return bool(one["classes"]) or (value is not None and value < floor)


def _short(one: Mapping[str, Any], why: Mapping[str, Any]) -> str:
    """Return how a model stands to the floors: classes that miss their own where there are such, else all texts."""
    told = [f"{c['label']} {_against(c['value'], c['floor'])}" for c in one["classes"]]
    floor = why["floor"]
    value = None if floor is None else one["delta"] if floor < 0 else one["quality"]
    if value is not None and (value < floor or not told):
        told.insert(0, _against(value, floor, " on validation"))
    return ", ".join(told) or "by the chance on validation"


def _against(value: float, floor: float, where: str = "") -> str:
    if floor < 0:
        return f"{signed(value)} points{where}, {number(-floor)} may be lost"
    return f"{points(value)} points{where}, the floor is {number(floor)}"


def _over(costs: Mapping[str, float], name: str, bound: float, percentile: str) -> str:
    rule = "at least" if name in AT_LEAST else "at most"
    return f"{cost_words(costs, name, percentile)}, {rule} {number(bound)} allowed"


def floor_words(floor: float) -> str:
    """Return a quality floor: points under the reference, or absolute."""
    return f"{number(-floor)} points under the reference" if floor < 0 else f"{number(floor)} points"


def costs_words(costs: Mapping[str, float], percentile: str = "p95") -> str:
    """Return the costs that are known, such as ``p95 1.16 ms, size 10 MB``."""
    return ", ".join(cost_words(costs, name, percentile) for name in COST_NAMES if costs.get(name) is not None)


def cost_words(costs: Mapping[str, float], name: str, percentile: str = "p95") -> str:
    """Return one cost with its name."""
    return f"{percentile if name == 'latency_ms' else COST_NAMES[name]} {_number(costs, name)}"


def _number(costs: Mapping[str, float], name: str) -> str:
    value = costs.get(name)
    return "not measured" if value is None else f"{number(value)} {unit_of(name)}"


def _chance(value: float | None) -> str:
    if value is None:
        return "unknown size"
    return "over 99%" if value > 0.99 else "under 1%" if value < 0.01 else f"{value:.0%}"


def tied_words(frontier: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return which members of the frontier measurement cannot tell apart, each pair once."""
    found = []
    for place, member in enumerate(frontier):  # the simplest first
        for other in frontier[place + 1 :]:
            if other["name"] in member["ties"]:
                simpler = f"; {member['name']} is the simpler" if other["simpler"] else ""
                found.append(
                    f"{member['name']} and {other['name']}: these measurements cannot tell them apart{simpler}."
                )
    return found
