"""How far each limit of a budget is met, for the chosen model and for every other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lighten.report.words import PER_CLASS, limit_name, number, points, unit_of

AT_LEAST = ("throughput_per_s",)
MARK = 0.72
"""Where the limit stands on a bar, as a share of its width: room is left to show by how much it is passed."""


def budget_rows(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one row per limit: words, values, and the shares of a bar at which value and limit stand."""
    percentile = percentile_of(result)
    return [_row(limit, percentile) for limit in result["limits"]]


def _row(limit: dict[str, Any], percentile: str) -> dict[str, Any]:
    name, bound, value = limit["name"], limit["limit"], limit["value"]
    is_quality = name == "quality" or name.startswith(PER_CLASS)
    relative = is_quality and bound < 0
    at_least = name in AT_LEAST or (is_quality and not relative)
    unit = limit.get("unit") or unit_of(name)
    title = "Tokens written per second" if unit == "tokens/s" else limit_title(name, percentile)
    if relative and unit == "%":
        used = None if value is None else max(0.0, -value) / -bound
        rule = f"at most {number(-bound)}% more perplexity than the reference"
        shown = "not measured" if value is None else f"{points(abs(value))}% {'more' if value < 0 else 'less'}"
    elif relative:
        used = None if value is None else max(0.0, -value) / -bound
        rule = f"at most {number(-bound)} points under the reference"
        shown = "not measured" if value is None else _relative(value)
    else:
        used = None if value is None or not bound else value / bound
        rule = f"at {'least' if at_least else 'most'} {number(bound)} {unit}"
        shown = "not measured" if value is None else f"{points(value) if is_quality else number(value)} {unit}"
    return {
        "name": name,
        "title": title,
        "rule": rule,
        "value": shown,
        "met": limit["met"],
        "known": value is not None,
        "fill": 0.0 if used is None else min(1.0, used * MARK),
        "mark": MARK,
        "margin": _margin(limit, used, at_least),
    }


def percentile_of(result: Mapping[str, Any]) -> str:
    """Return the percentile of the latency that a result was held to; a compression says it in its recipe only."""
    budget = result.get("budget") or result.get("recipe", {}).get("budget") or {}
    return str(budget.get("latency_percentile", "p95"))


def limit_title(name: str, percentile: str) -> str:
    """Return the name of a limit, the latency with its percentile."""
    return f"{limit_name(name)}, {percentile}" if name == "latency_ms" else limit_name(name)


def _relative(value: float) -> str:
    if value == 0:
        return "equal to the reference"
    return f"{points(abs(value))} points {'under' if value < 0 else 'over'} the reference"


def _margin(limit: dict[str, Any], used: float | None, at_least: bool) -> str:
    if used is None:
        return ""
    if at_least:
        change = used - 1
        return f"{abs(change):.0%} {'over' if change >= 0 else 'under'} the floor"
    return f"{used:.0%} of the limit" if limit["met"] else f"{used - 1:.0%} over the limit" if used > 1 else ""


def value_of(candidate: dict[str, Any] | None, name: str, percentile: str = "p95") -> float | None:
    """Return the value on which the limit `name` binds (that percentile, quality in points); None if not measured."""
    metric = (candidate or {}).get("metrics", {}).get(name)
    if isinstance(metric, dict):
        value: float | None = metric.get(percentile if name == "latency_ms" else "value")
        return value
    return metric


def misses(candidate: dict[str, Any], result: dict[str, Any]) -> list[str]:
    """Return in words by how much a candidate misses each limit; an empty list where nothing is known to be missed."""
    found = []
    for name, bound in result["budget"].items():
        if not isinstance(bound, (int, float)) or name == "build_minutes":
            continue
        percentile = percentile_of(result)
        value = value_of(candidate, name, percentile)
        if name == "quality":
            quality = candidate["metrics"].get("quality") or {}
            value = quality.get("delta") if bound < 0 else quality.get("value")
        if value is None:
            continue
        at_least = name in AT_LEAST or name == "quality"
        gap = bound - value if at_least else value - bound
        if gap > 0:
            side = "short" if at_least else "over"
            found.append(f"{limit_title(name, percentile)}: {number(gap)} {unit_of(name)} {side}")
    return found
