"""What ``lighten explain`` prints: the document in paragraphs and tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lighten.cli.summary import table
from lighten.report.choice_words import choice_words, other_words, rule_words, tied_words
from lighten.report.explain_words import (
    flip_words,
    limit_words,
    nearest_words,
    selection_words,
    slack_words,
    time_words,
    untried_words,
)
from lighten.report.limits import budget_rows
from lighten.report.words import limit_name, number, points, signed

CUT = 100
"""Letters of a text to show; --json has all of it."""
CLASSES = 12
"""Classes to show at most, those with the most flips first."""


def summary(explained: Mapping[str, Any]) -> str:
    """Return the lines to print, without colour: they are a result and may be piped.

    Args:
        explained: what `lighten.explain` returns.
    """
    parts = [explained["sentence"], _why(explained), _limits(explained), _steps(explained), _flips(explained)]
    parts.append(f"where the time went\n  {time_words(explained['seconds'])}")
    untried = untried_words(explained)
    if untried:
        parts.append("not trained, and why\n" + "\n".join(f"  {line}" for line in untried))
    return "\n\n".join(part for part in parts if part)


def _why(explained: Mapping[str, Any]) -> str:
    why = explained["why"]
    if why is None:
        return ""
    lines = ["why this one", *(f"  {line}" for line in (rule_words(why), *choice_words(why)))]
    others = [[f"  {one['name']}", other_words(one, why, explained["budget"])] for one in why["others"]]
    if others:
        lines += ["", table(others)]
    chosen_how = selection_words(explained["selection"], explained["test_reads"])
    tied = tied_words(explained["frontier"])
    if tied or chosen_how:
        lines += ["", *(f"  {line}" for line in [*tied, chosen_how] if line)]
    return "\n".join(lines)


def _limits(explained: Mapping[str, Any]) -> str:
    limits = explained["limits"]
    if not limits["limits"]:
        return ""
    titled = budget_rows({**limits, "budget": {"latency_percentile": limits["percentile"]}})
    rows = [
        [f"  {row['title']}", row["rule"], row["value"], "met" if row["met"] else "NOT MET", slack_words(limit)]
        for row, limit in zip(titled, limits["limits"], strict=True)
    ]
    lines = ["what bound", table(rows)]
    if said := nearest_words(limits):
        lines.append(f"  {said}")
    for name in limits["relaxed"]:
        lines.append(f"  kept out by {limit_name(name).lower()} alone; it would take")
        lines += [f"    {line}" for line in limit_words(limits, name)]
    return "\n".join(lines)


def _steps(explained: Mapping[str, Any]) -> str:
    if not explained["steps"]:
        return ""
    rows = [["what each step bought", "p95 ms", "", "MB", "", "points", ""]]
    for row in explained["steps"]:
        cells = [f"  {row['step']}"]
        for key in ("latency_ms", "size_mb"):
            value, change = row[key]["value"], row[key]["change"]
            before = None if value is None or change is None else value - change
            cells += [number(value), f"{change / before:+.0%}" if before else ""]
        quality = row["quality"]
        cells += [points(quality["value"]), signed(quality["change"]) if quality["change"] is not None else ""]
        rows.append(cells)
    return table(rows)


def _flips(explained: Mapping[str, Any]) -> str:
    flips = explained["flips"]
    if flips is None:
        return ""
    found = sorted(flips["classes"], key=lambda one: -(one["fixed"] + one["broken"]))
    shown, rest = found[:CLASSES], len(found) - CLASSES
    rows = [["  class", "texts", "reference %", "chosen %", "fixed", "broken"]]
    rows += [
        [
            f"  {line_of(one['label'], 40)}",
            number(one["n"], 9),
            points(one["reference"]),
            points(one["chosen"]),
            number(one["fixed"], 9),
            number(one["broken"], 9),
        ]
        for one in shown
    ]
    lines = ["which predictions flipped", f"  {flip_words(flips)}", "", table(rows)]
    if rest > 0:
        lines.append(f"  ... and {rest} more classes; --json has them")
    for one in shown:
        for kind, said in (("broken", "was right, is wrong now"), ("fixed", "was wrong, is right now")):
            if one["examples"][kind]:
                lines += ["", f"  {line_of(one['label'], 40)}: {said}", table(_examples(one["examples"][kind], kind))]
    return "\n".join(lines)


def _examples(examples: list[dict[str, Any]], kind: str) -> list[list[str]]:
    wrong = "chosen" if kind == "broken" else "reference"
    return [
        [f"    row {one['row']}", f"said {line_of(one[wrong], 40)}", line_of(one["text"], CUT)] for one in examples
    ]


def line_of(text: str, most: int) -> str:
    """Return a text of the data as one line that a terminal just prints: no control characters, not too long."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= most else f"{line[:most]}..."
