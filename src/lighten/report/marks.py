"""The marks of a scatter plot: how large they are, what they say, and which of them have room for a label."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from lighten.report.axis import Axis
from lighten.report.words import interval, number, plain, points, reason, signed

LETTER = 6.6
"""Average width of a letter at the label's font size, in pixels."""
PLAIN = 6.0
"""Radius of a mark whose size is not known, in pixels."""
LEAST = 3.5
"""Radius of the smallest mark: below it area would be exact and the mark invisible."""


def radius(value: float | None, largest: float, most: float) -> float:
    """Return the radius of a mark so that its area is proportional to a value.

    Args:
        value: what the area stands for; None where it is not known.
        largest: of all values.
        most: radius of the largest, in pixels.
    """
    if value is None or largest <= 0:
        return PLAIN
    return round(max(LEAST, most * math.sqrt(max(0.0, value) / largest)), 1)


def size_legend(values: Iterable[float], most: float) -> list[dict[str, Any]]:
    """Return two marks to read sizes by: the largest value, and a small one; none where there is nothing to tell."""
    known = sorted(value for value in values if value > 0)
    if not known or known[0] == known[-1]:
        return []
    return [{"size": radius(v, known[-1], most), "text": f"{number(v)} MB"} for v in (known[0], known[-1])]


def tip(item: dict[str, Any]) -> str:
    """Return what is said of a candidate when its mark is pointed at, a line each."""
    metrics, quality = item["metrics"], item["metrics"].get("quality")
    lines = [item["name"]]
    if quality:
        span = interval(quality.get("ci95"), "points")
        lines.append(f"{points(quality['value'])} points{f' ({span})' if span else ''}, {quality['split']}")
        if quality.get("delta") is not None:
            lines.append(f"{signed(quality['delta'])} against the reference")
    if latency := metrics.get("latency_ms"):
        lines.append(f"p95 {number(latency['p95'])} ms, p50 {number(latency['p50'])} ms")
    if metrics.get("size_mb") is not None:
        lines.append(f"{number(metrics['size_mb'])} MB")
    if item.get("costs") == "predicted":
        lines.append("costs predicted, not measured")
    if item["status"] != "measured" or item.get("reason"):
        lines.append(reason(item.get("reason")) or plain(item["status"]))
    return "\n".join(lines)


def with_labels(marks: list[dict[str, Any]], x: Axis, y: Axis) -> list[dict[str, Any]]:
    """Give a label to every mark that has room for one, the chosen model first."""
    taken = [_around(mark, 2) for mark in marks]
    for mark in sorted(marks, key=lambda one: one["order"]):
        size = len(mark["name"]) * LETTER
        away = mark["size"] + 6
        for dx, dy, anchor in (
            (away, -9, "start"),
            (-away, -9, "end"),
            (away, 19, "start"),
            (-away, 19, "end"),
            (0, -away - 3, "middle"),
            (0, away + 13, "middle"),
        ):
            left = mark["x"] + dx - {"start": 0.0, "middle": size / 2, "end": size}[anchor]
            box = (left, mark["y"] + dy - 11, left + size, mark["y"] + dy + 3)
            inside = box[0] > x.start and box[2] < x.end and box[1] > y.end and box[3] < y.start
            if inside and not any(_overlap(box, other) for other in taken):
                mark["label"] = {"x": round(mark["x"] + dx, 1), "y": round(mark["y"] + dy, 1), "anchor": anchor}
                taken.append(box)
                break
    return marks


def _around(mark: dict[str, Any], room: float) -> tuple[float, float, float, float]:
    """Return the corners of the square that a mark takes."""
    half = mark["size"] + room
    return (mark["x"] - half, mark["y"] - half, mark["x"] + half, mark["y"] + half)


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
