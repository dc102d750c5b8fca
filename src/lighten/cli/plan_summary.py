"""What the plan of a build prints: reachable or not, limit by limit, what it would take, why, and how long."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lighten.cli.summary import METRICS, metric_title, table
from lighten.report.limits import percentile_of, value_of
from lighten.report.words import MISSING, duration, number

_SHOWN = 6


def summary(plan: Mapping[str, Any]) -> str:
    """Return the lines to print, without colour: they are a result and may be piped.

    Args:
        plan: what `lighten.plan` returns for a build.
    """
    parts = [plan["sentence"]]
    if plan["limits"]:
        parts.append(table([["limit", "", "the best there is", "", "excluded"], *map(_limit, plan["limits"])]))
    parts.append(_compared(plan))
    for title, lines in (("what it takes", plan["advice"]), ("why it is not faster or smaller", plan["reasons"])):
        if lines:
            parts.append("\n".join([title, *(f"  {line}" for line in lines)]))
    if quality := _quality(plan["quality"]):
        parts.append(quality)
    parts.append(_time(plan["time"]))
    model = plan["cost_model"]
    parts.append(
        f"the reference and {model['measured']} of {len(plan['candidates'])} candidates measured, the others "
        f"predicted by a cost model of this machine ({model['source']}; median error "
        f"{100 * model['median_error']:.0f}% on shapes left out)"
    )
    if plan["notes"]:
        parts.append("\n".join(f"note: {note}" for note in plan["notes"]))
    return "\n\n".join(parts)


def _limit(row: Mapping[str, Any]) -> list[str]:
    rule = f"at {'least' if row['name'] == 'throughput_per_s' else 'most'} {number(row['limit'])} {row['unit']}"
    excluded = f"{row['excluded']} of {row['considered']}"
    return [row["name"], rule, number(row["best"]), row["by"] or MISSING, excluded if row["reachable"] else "ALL"]


def _compared(plan: Mapping[str, Any]) -> str:
    """Return the best candidate, the next ones and the reference side by side."""
    best, percentile = plan["best"], percentile_of(plan)

    def value(one: Mapping[str, Any], name: str) -> float | None:
        return value_of(dict(one), name, percentile)

    others = [one for one in plan["candidates"] if one["evidence"] == "measured" and one["name"] != best["name"]]
    others.sort(key=lambda one: (not one["fits"], -(value(one, "latency_ms") or 0.0)))
    columns = [best, *others[: _SHOWN - 1], plan["reference"]]
    names = [name for name in METRICS if any(value(one, name) is not None for one in columns)]
    rows = [["model", *(metric_title(name, percentile) for name in names), "", ""]]
    for one in columns:
        values = [number(value(one, name)) for name in names]
        rows.append([one["name"], *values, "fits" if one["fits"] else f"misses {one['missed']}", one["evidence"]])
    return table(rows)


def _quality(quality: Mapping[str, Any]) -> str:
    lines = []
    for one in quality["guesses"]:
        low, high = one["points_lost"]
        lines.append(f"{one['of']} loses {low:g} to {high:g} points")
    lines += quality["notes"]
    return "\n".join(["quality (a guess, nothing was trained)", *(f"  {line}" for line in lines)]) if lines else ""


def _time(time: Mapping[str, Any]) -> str:
    rows = [[name, duration(seconds)] for name, seconds in time["seconds"].items()]
    limit = "" if time["limit"] is None else f"of {duration(time['limit'])}"
    return table([["stage", "expected"], *rows, ["total", f"{duration(time['total'])} {limit}".strip()]])
