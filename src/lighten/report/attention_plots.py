"""Curves of a comparison of attentions: time, memory and agreement by length, as coordinates and as one picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from lighten.pipeline.files import write_text
from lighten.report.attention_quality import judged
from lighten.report.axis import Axis, linear, logarithmic
from lighten.report.words import number

COLOURS = ("--accent", "--warm", "--frozen", "--linear", "--good", "--reference", "--bad")
DASHES = ("", "7 4", "2 4", "10 4 2 4", "14 5", "6 3 1 3 1 3", "1 6")
WORK = {"forward": "Forward", "training": "Forward and backward"}
QUANTITIES = (("seconds", "seconds"), ("peak_mb", "peak memory in MB"))
PRINTED = ("#0b6e75", "#c2621b", "#7a4fb5", "#b07a0a", "#1c7a45", "#4a5260", "#b3401c")
"""`COLOURS` on white, for a picture that stands alone."""
TITLE, LEGEND = 26, 22
"""Heights above a plot of the picture, and of a line of its legend."""


def lines_of(document: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return how each kind is drawn: ``name``, what is ``said`` of it, ``colour`` and ``dash``."""
    return [
        {"name": kind, "said": said, "colour": COLOURS[index % len(COLOURS)], "dash": _dash(index)}
        for index, (kind, said) in enumerate(document["kinds"].items())
    ]


def plots_of(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a plot for each work and quantity, and one of the agreement where it was judged."""
    return [plot for what in document["what"] for plot in _of_work(document, what)] + _agreement(document)


def write_picture(document: Mapping[str, Any], file: Path) -> Path:
    """Write the curves as one SVG file that needs nothing else: for documents and slides."""
    write_text(Path(file), picture_of(document))
    return Path(file)


def picture_of(document: Mapping[str, Any]) -> str:
    """Return all curves as one SVG picture, two in a row, with a legend."""
    plots, kinds = plots_of(document), lines_of(document)
    wide = max((plot["width"] for plot in plots), default=440)
    high = max((plot["height"] for plot in plots), default=300) + TITLE
    rows = (len(plots) + 1) // 2
    width, height = 2 * wide, rows * high + LEGEND * len(kinds) + 12
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'role="img" font-family="sans-serif" font-size="12" fill="#333">',
        f"<title>{escape(document['sentence'])}</title>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for index, plot in enumerate(plots):
        parts.append(f'<g transform="translate({index % 2 * wide} {index // 2 * high})">{_drawn(plot)}</g>')
    for index, kind in enumerate(kinds):
        y = rows * high + LEGEND * index + LEGEND / 2
        text = escape(f"{kind['name']}: {kind['said']}")
        parts.append(f'<path d="M20 {y}H56" {_stroke(kind)}/><text x="66" y="{y + 4}">{text}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _drawn(plot: Mapping[str, Any]) -> str:
    left, right, top, bottom = (plot[side] for side in ("left", "right", "top", "bottom"))
    parts = [f'<text x="{left}" y="18" font-weight="bold">{escape(plot["title"])}</text>']
    parts.append(f'<g transform="translate(0 {TITLE})">')
    for y, text in plot["y_ticks"]:
        parts.append(f'<path d="M{left} {y}H{right}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 7}" y="{y + 4}" text-anchor="end">{escape(text)}</text>')
    for x, text in plot["x_ticks"]:
        parts.append(f'<path d="M{x} {top}V{bottom}" stroke="#ddd"/>')
        parts.append(f'<text x="{x}" y="{bottom + 18}" text-anchor="middle">{escape(text)}</text>')
    parts.append(f'<text x="{(left + right) / 2}" y="{plot["height"] - 6}" text-anchor="middle">tokens</text>')
    for line in plot["lines"]:
        parts.append(f'<path d="{line["path"]}" {_stroke(line)}/>')
        colour = _printed(line["colour"])
        for dot in line["dots"]:
            tip = escape(dot["said"])
            parts.append(
                f'<circle cx="{dot["x"]}" cy="{dot["y"]}" r="3.4" fill="{colour}"><title>{tip}</title></circle>'
            )
    return "".join([*parts, "</g>"])


def _stroke(line: Mapping[str, Any]) -> str:
    dash = f' stroke-dasharray="{line["dash"]}"' if line["dash"] else ""
    return f'fill="none" stroke="{_printed(line["colour"])}" stroke-width="2"{dash}'


def _printed(colour: str) -> str:
    return PRINTED[COLOURS.index(colour)]


def _of_work(document: Mapping[str, Any], what: str) -> list[dict[str, Any]]:
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
