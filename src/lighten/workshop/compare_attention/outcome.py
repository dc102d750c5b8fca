"""What was measured, as rows: of points, of slopes, for a spreadsheet; and what it comes to in a sentence."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any

from lighten.measure.slope import log_slope
from lighten.workshop.compare_attention import quality
from lighten.workshop.compare_attention.rounds import Point

LONG = 2048
"""Tokens from which a second slope is fitted: below, what does not depend on the length weighs too much."""
COLUMNS = (
    "kind",
    "what",
    "tokens",
    "seconds",
    "seconds_low",
    "seconds_high",
    "peak_mb",
    "peak_low",
    "peak_high",
    "ready_mb",
    "rounds",
    "calls",
    "skipped",
)


def point_rows(points: Iterable[Point]) -> list[dict[str, Any]]:
    """Return the points as rows of `COLUMNS`; low and high are the extremes over all calls and all rounds."""
    rows = []
    for point in points:
        row: dict[str, Any] = {"kind": point.kind, "what": point.what, "tokens": point.tokens}
        row |= dict.fromkeys(COLUMNS[3:-1])
        if point.seconds:
            calls = [seconds for round_ in point.seconds for seconds in round_]
            peaks = sorted(point.peaks)
            row |= {
                "seconds": round(point.median, 5),
                "seconds_low": round(min(calls), 5),
                "seconds_high": round(max(calls), 5),
                "peak_mb": round(peaks[len(peaks) // 2], 1),
                "peak_low": round(peaks[0], 1),
                "peak_high": round(peaks[-1], 1),
                "ready_mb": round(sorted(point.ready)[len(point.ready) // 2], 1),
                "rounds": len(point.seconds),
                "calls": len(calls),
            }
        rows.append(row | {"skipped": point.skipped or None})
    return rows


def slope_rows(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the slopes of time in length: over all lengths, and over those from `LONG` on where two are there."""
    series: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for row in rows:
        if row["seconds"]:
            series.setdefault((row["kind"], row["what"]), []).append((row["tokens"], row["seconds"]))
    found = []
    for (kind, what), known in series.items():
        long = [one for one in known if one[0] >= LONG]
        for part in [known, long] if len(long) < len(known) else [known]:
            fitted = log_slope(*zip(*part, strict=True)) if len(part) > 1 else None
            if fitted is not None:
                found.append(
                    {
                        "kind": kind,
                        "what": what,
                        "slope": round(fitted.value, 3),
                        "ci95": None if fitted.low is None else [round(fitted.low, 3), round(fitted.high or 0, 3)],
                        "from": part[0][0],
                        "to": part[-1][0],
                        "points": fitted.points,
                    }
                )
    return found


def as_csv(document: Mapping[str, Any]) -> str:
    """Return the points as a table with a heading; nothing stands where nothing was measured.

    The last columns are the agreement of a kind at a length, the same for every kind of work.
    """
    text = io.StringIO()
    known = {(row["kind"], row["tokens"]): row for row in document.get("quality", {}).get("rows", ())}
    nothing = dict.fromkeys(quality.COLUMNS)
    writer = csv.DictWriter(text, (*COLUMNS, *quality.COLUMNS), lineterminator="\n")
    writer.writeheader()
    writer.writerows(nothing | known.get((row["kind"], row["tokens"]), {}) | row for row in document["points"])
    return text.getvalue()


def sentence_of(document: Mapping[str, Any]) -> str:
    """Return the finding: the fastest at the longest length that most kinds reached, and where full attention wins."""
    what = document["what"][-1]
    by_length: dict[int, dict[str, float]] = {}
    for row in document["points"]:
        if row["what"] == what and row["seconds"]:
            by_length.setdefault(row["tokens"], {})[row["kind"]] = row["seconds"]
    work = {"forward": "forward", "training": "forward and backward"}[what]
    # Nobody has a use for no attention at all; plain is full attention drawn in another way.
    useful = {
        tokens: {kind: seconds for kind, seconds in times.items() if kind not in ("identity", "plain")}
        for tokens, times in by_length.items()
    }
    compared = {tokens: times for tokens, times in useful.items() if "full" in times and len(times) > 1}
    if not compared:
        measured = sum(1 for row in document["points"] if row["seconds"])
        return f"{measured} of {len(document['points'])} points measured"
    top = max(compared)
    best = min((kind for kind in compared[top] if kind != "full"), key=compared[top].__getitem__)
    ratio = compared[top]["full"] / compared[top][best]
    said = f"At {top:,} tokens, {work}, {best} takes {compared[top][best]:.3g} s, "
    said += f"full attention {ratio:.2g} times that"
    behind = [tokens for tokens, times in compared.items() if best in times and times[best] >= times["full"]]
    said += f"; up to {max(behind):,} tokens full attention is as fast or faster" if behind else ""
    rows = document.get("quality", {}).get("rows", ())
    near = next((row["agreement"] for row in rows if (row["kind"], row["tokens"]) == (best, top)), None)
    return said + (
        f"; before training, its states agree with full attention's by {near:.2f}" if near is not None else ""
    )
