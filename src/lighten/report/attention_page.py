"""Renders a comparison of attentions as one HTML page: curves of time, memory and quality by length, every number."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lighten.pipeline.files import write_text
from lighten.report import words
from lighten.report.attention_quality import agreement_table, judged, unjudged, why_not
from lighten.report.axis import Axis, linear, logarithmic
from lighten.report.page import templates, text_of
from lighten.report.words import number

COLOURS = ("--accent", "--warm", "--frozen", "--linear", "--good", "--reference", "--bad")
DASHES = ("", "7 4", "2 4", "10 4 2 4")
WORK = {"forward": "Forward", "training": "Forward and backward"}
QUANTITIES = (("seconds", "seconds"), ("peak_mb", "peak memory in MB"))


def write_attention(document: Mapping[str, Any], page: Path) -> Path:
    """Write the page of a comparison.

    Args:
        document: what `lighten.workshop.compare_attention.compare.compare_attention` returns.
        page: path of the page.
    """
    write_text(Path(page), render_attention(document))
    return Path(page)


def render_attention(document: Mapping[str, Any]) -> str:
    """Return the page of a comparison."""
    known = {key: value for key, value in document["machine"].items() if key != "packages"}
    asked = {key: document[key] for key in ("window", "batch", "threads", "rounds", "seed")}
    return (
        templates()
        .get_template("attention_page.html")
        .render(
            result={**document, "name": "Attention"},
            style=text_of("style.css"),
            script="",
            kinds=[
                {"name": kind, "said": said, "colour": COLOURS[index % len(COLOURS)], "dash": _dash(index)}
                for index, (kind, said) in enumerate(document["kinds"].items())
            ],
            plots=[plot for what in document["what"] for plot in _plots(document, what)] + _agreement(document),
            agreement=agreement_table(document),
            unjudged=unjudged(document),
            no_agreement=why_not(document),
            tables=[{"title": WORK[what], **table_of(document, what)} for what in document["what"]],
            skipped=[row for row in document["points"] if row["skipped"]],
            model=words.pairs({key: value for key, value in document["model"].items() if value is not None}),
            asked=words.pairs(asked),
            machine=words.pairs(known | {"packages": document["machine"].get("packages") or {}}),
        )
    )


def table_of(document: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Return one kind of work as a table: a row per kind, a cell per length, then the slopes."""
    rows = []
    for kind in document["kinds"]:
        by_length = {row["tokens"]: row for row in document["points"] if (row["kind"], row["what"]) == (kind, what)}
        slopes = [row for row in document["slopes"] if (row["kind"], row["what"]) == (kind, what)]
        rows.append(
            {
                "kind": kind,
                "cells": [_cell(by_length.get(tokens)) for tokens in document["tokens"]],
                "slopes": [slope_words(row) for row in slopes],
            }
        )
    return {"tokens": document["tokens"], "rows": rows}


def _cell(row: Mapping[str, Any] | None) -> dict[str, str]:
    if row is None or not row["seconds"]:
        return {"seconds": words.MISSING, "spread": "", "memory": ""}
    low, high = number(row["seconds_low"]), number(row["seconds_high"])
    return {
        "seconds": f"{number(row['seconds'])} s",
        "spread": f"{low} to {high}" if row["calls"] > 1 else "",
        "memory": f"{number(row['peak_mb'])} MB",
    }


def slope_words(row: Mapping[str, Any]) -> str:
    """Return a slope with its interval and its range."""
    between = f" ({row['ci95'][0]:.2f} to {row['ci95'][1]:.2f})" if row["ci95"] else ""
    return f"{row['slope']:.2f}{between} from {row['from']:,} to {row['to']:,}"


def _plots(document: Mapping[str, Any], what: str) -> list[dict[str, Any]]:
    found = []
    for quantity, unit in QUANTITIES:
        rows = [row for row in document["points"] if row["what"] == what and row[quantity]]
        if rows:
            found.append(_plot(document, rows, quantity, f"{WORK[what]}: {unit}"))
    return found


def _agreement(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = judged(document)
    return [_plot(document, rows, "agreement", "Agreement with full attention, before training")] if rows else []


def _plot(document: Mapping[str, Any], rows: list[Any], quantity: str, title: str) -> dict[str, Any]:
    width, height = 440, 300
    x = logarithmic([row["tokens"] for row in rows], 58, width - 14, 0.03)
    values = [row[quantity] for row in rows]
    agrees = quantity == "agreement"
    # 1 is on the axis: how far below it a curve runs is what there is to see.
    y = linear([*values, 1.0], height - 46, 14) if agrees else logarithmic(values, height - 46, 14)
    lines = []
    for index, kind in enumerate(document["kinds"]):
        own = [row for row in rows if row["kind"] == kind]
        if own:
            dots = [{"x": x.at(row["tokens"]), "y": y.at(row[quantity]), "said": _tip(row, quantity)} for row in own]
            lines.append(
                {
                    "colour": COLOURS[index % len(COLOURS)],
                    "dash": _dash(index),
                    "path": "M" + "L".join(f"{dot['x']} {dot['y']}" for dot in dots),
                    "dots": dots,
                }
            )
    said = ", ".join(
        f"{kind} {number(max(r['tokens'] for r in rows if r['kind'] == kind))} tokens"
        for kind in document["kinds"]
        if any(row["kind"] == kind for row in rows)
    )
    return {
        "title": title,
        "alt": f"{title} by length, {'the length' if agrees else 'both'} logarithmic. Longest measured: {said}.",
        "width": width,
        "height": height,
        "left": x.start,
        "right": x.end,
        "bottom": y.start,
        "top": y.end,
        "x_ticks": _lengths(x, document["tokens"]),
        "y_ticks": y.ticks(6),
        "lines": lines,
    }


def _lengths(x: Axis, tokens: list[int]) -> list[tuple[float, str]]:
    """Return the measured lengths as ticks, none nearer to the one before than its text is wide."""
    ticks: list[tuple[float, str]] = []
    for length in tokens:
        if x.low <= length <= x.high and (not ticks or x.at(length) - ticks[-1][0] >= 42):
            ticks.append((x.at(length), f"{length:,}"))
    return ticks


def _tip(row: Mapping[str, Any], quantity: str) -> str:
    unit = {"seconds": " s", "peak_mb": " MB"}.get(quantity, "")
    return f"{row['kind']}, {row['tokens']:,} tokens: {number(row[quantity])}{unit}"


def _dash(index: int) -> str:
    """Return the dashes of a line: colour alone must not tell lines apart."""
    return DASHES[index % len(DASHES)]
