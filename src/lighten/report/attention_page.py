"""Renders a comparison of attentions as one HTML page: curves of time, memory and quality by length, every number."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lighten.pipeline.files import write_text
from lighten.report import words
from lighten.report.attention_plots import WORK, lines_of, plots_of
from lighten.report.attention_quality import agreement_table, unjudged, why_not
from lighten.report.page import templates, text_of
from lighten.report.words import number


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
            kinds=lines_of(document),
            plots=plots_of(document),
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
