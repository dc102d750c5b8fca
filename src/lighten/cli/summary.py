"""What a build prints at its end: the verdict, the budget beside what was measured, and what to do next."""

from __future__ import annotations

import shlex
from typing import Any

from lighten.api import Result
from lighten.report.limits import budget_rows, value_of
from lighten.report.words import MISSING, number, points

METRICS = {
    "quality": "quality, points",
    "latency_ms": "latency {percentile}, ms",
    "throughput_per_s": "texts per second",
    "size_mb": "size, MB",
    "peak_memory_mb": "peak memory, MB",
}
"""Titles of the rows or columns that compare models; see `metric_title`."""


def summary(result: Result) -> str:
    """Return the lines to print, without colour: they are a result and may be piped."""
    parts = ["\n".join([result["sentence"], *_circumstances(result)])]
    rows = [
        [row["title"], row["rule"], row["value"], "met" if row["met"] else "NOT MET"]
        for row in budget_rows(result.to_dict())
    ]
    if rows:
        parts.append(table([["budget", "limit", "measured", ""], *rows]))
    compared = _compared(result)
    if compared:
        parts.append(table([["", result.chosen["name"] if result.chosen else MISSING, "reference"], *compared]))
    places = [f"report  {result.report}"]
    if result.chosen and result.model_folder.is_dir():
        places.append(f"model   {result.model_folder}")
        places.append(f'use it  lighten predict {shlex.quote(str(result.model_folder))} "your text"')
    parts.append("\n".join(places))
    return "\n\n".join(parts)


def _circumstances(result: Result) -> list[str]:
    """Return what the verdict is to be read with: why nothing fits, and that there is more to explore."""
    lines = [f"Nothing fits: {text}." for text in result.get("unreachable", [])]
    if result.get("stopped_early"):
        lines.append("Stopped early: the same command goes on exploring with the time left.")
    return lines


def _compared(result: Result) -> list[list[str]]:
    rows = []
    for name in METRICS:
        values: list[Any] = [value_of(result.chosen, name), value_of(result.reference, name)]
        if any(value is not None for value in values):
            say = points if name == "quality" else number
            rows.append([metric_title(name), *(say(value) for value in values)])
    return rows


def metric_title(name: str, percentile: str = "p95") -> str:
    """Return the title of a metric, the latency with its percentile."""
    return METRICS[name].format(percentile=percentile)


def table(rows: list[list[str]]) -> str:
    """Return rows of cells as aligned columns."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
