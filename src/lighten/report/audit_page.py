"""Renders an audit of a data set as one HTML page: same look as that of a build, no script at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lighten.pipeline.files import write_text
from lighten.report.audit_words import KINDS, balance_words, between_words, error_words, length_rows, part_rows
from lighten.report.page import templates, text_of

SUSPECTS = 200
"""Suspected label errors on the page; the document lists more."""
LABELS = 40


def write_audit(document: Mapping[str, Any], page: Path) -> Path:
    """Write the page of an audit.

    Args:
        document: what `lighten.data.audit` returns.
        page: path of the page.
    """
    write_text(Path(page), render_audit(document))
    return Path(page)


def render_audit(document: Mapping[str, Any]) -> str:
    """Return the page of an audit."""
    errors = document["label_errors"]
    return (
        templates()
        .get_template("audit_page.html")
        .render(
            result={**document, "name": "Audit"},
            balance=balance_words(document["labels"]) if document["labels"] else "",
            trust=error_words(errors) if errors else "",
            style=text_of("style.css"),
            script="",
            parts=part_rows(document),
            labels=_labels(document["labels"]),
            kinds=KINDS,
            leaks=[{**leak, "said": between_words(leak)} for leak in document["leaks"]["between"]],
            lengths=length_rows(document["lengths"]),
            plots=_plots(document["lengths"]),
            errors=errors,
            suspects=errors["rows"][:SUSPECTS] if errors else [],
        )
    )


def _labels(facts: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Return a row per label of training: its count in every part and its share of the most frequent."""
    if facts is None:
        return []
    counts = facts["counts"]
    most = max(counts["train"].values())
    total = sum(counts["train"].values())
    return [
        {
            "label": label,
            "count": count,
            "width": 100 * count / most,
            "share": 100 * count / total,
            "others": [counts[part].get(label, 0) for part in counts if part != "train"],
        }
        for label, count in list(counts["train"].items())[:LABELS]
    ]


def _plots(lengths: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a bar per bin of each part's histogram, in a picture of 900 by 200."""
    plots = []
    for part, facts in lengths["parts"].items():
        bins = facts["histogram"]
        most = max(count for _, _, count in bins)
        step = 880 / max(len(bins), 8)
        bars = [
            {
                "x": round(10 + i * step, 1),
                "width": round(step * 0.86, 1),
                "y": round(160 - 140 * count / most, 1),
                "height": round(140 * count / most, 1),
                "over": lengths["limit"] is not None and low > lengths["limit"],
                "said": f"{low} to {high}: {count:,} texts",
                "low": low,
                "labelled": i % max(1, len(bins) // 8) == 0,
            }
            for i, (low, high, count) in enumerate(bins)
        ]
        plots.append({"part": part, "bars": bars, "alt": f"Lengths of the texts of {part}"})
    return plots
