"""What a compression prints at its end: the model after every step, the proof, and what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from lighten.api import Compression
from lighten.cli.summary import table
from lighten.report.compression_words import control_words, costs_of, limit_rows, step_rows
from lighten.report.words import duration, number


def summary(result: Compression) -> str:
    """Return the lines to print, without colour: they are a result and may be piped."""
    content = result.to_dict()
    language = "decode_per_s" in content["steps"][0]
    rows = [["after", "took", "perplexity" if language else "points", "", *_cost_headings(content)]]
    for index, row in enumerate(step_rows(content)):
        took = duration(row["seconds"]) if row["seconds"] else ""
        rows.append([row["step"], took, row["value_said"], row["delta_said"] if index else "", *_costs(row, content)])
    parts = [result["sentence"], "On validation, timed side by side:\n" + table(rows)]
    notes = [f"note: {row['step']}: {row['note']}" for row in result["steps"] if row["note"]]
    if result["control"]:
        notes.append(control_words(content))
    if notes:
        parts.append("\n".join(notes))
    limits = limit_rows(content)
    if limits:
        parts.append(table([["budget", "limit", "measured", ""], *limits]))
    folder = result.model_folder
    parts.append(
        f'report  {result.report}\nmodel   {folder}\nuse it  lighten predict {shlex.quote(str(folder))} "your text"'
    )
    return "\n\n".join(parts)


def _cost_headings(content: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    for cost in costs_of(content):
        found += [cost.short, "p95 ms"] if cost.key == "latency_ms" else [cost.short]
    return found


def _costs(row: Mapping[str, Any], content: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    for cost in costs_of(content):
        found.append(number(row["bars"][cost.key]["value"]))
        found += [number(row["latency_ms"]["p95"])] if cost.key == "latency_ms" else []
    return found
