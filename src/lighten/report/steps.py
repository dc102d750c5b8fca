"""The waterfall: what each step of the chosen plan changed, from the reference to the delivered model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

QUANTITIES = ("latency_ms", "size_mb", "quality")


def step_rows(steps: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the cumulative steps with each value's share of the largest and its change by the step.

    A change is against the last step before that has a value: quality is not measured after each.
    """
    rows: list[dict[str, Any]] = []
    last: dict[str, float | None] = dict.fromkeys(QUANTITIES)
    for step in steps:
        cells = {}
        for key in QUANTITIES:
            value, before = step.get(key), last[key]
            top = max((one.get(key) or 0.0 for one in steps), default=0.0)
            change = None if value is None or before is None else value - before
            cells[key] = {"value": value, "share": (value or 0.0) / top if top else 0.0, "change": change}
            last[key] = before if value is None else value
        rows.append({"step": step["step"], **cells})
    return rows
