"""What an audit prints: the counts, then the rows most worth reading."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lighten.cli.summary import table
from lighten.report.audit_words import KINDS, balance_words, between_words, error_words, length_rows, part_rows
from lighten.report.words import number

SHOWN = 10
CUT = 90


def summary(document: Mapping[str, Any], page: Path | None = None) -> str:
    """Return the lines to print, without colour: they are a result and may be piped.

    Args:
        document: what `lighten.data.audit` returns.
        page: where the HTML page was written.
    """
    lengths, duplicates = document["lengths"], document["duplicates"]
    parts = [document["sentence"]]
    parts.append(table([["part", "rows", "usable", "without text", "without label"], *part_rows(document)]))
    if document["labels"] is not None:
        parts.append(_labels(document["labels"]))
    found = [
        ["duplicates", "rows"],
        ["equal up to case and blanks", number(duplicates["exact"]["rows"], 9)],
        [f"nearly equal ({duplicates['threshold']:g})", number(duplicates["near"]["rows"], 9)],
    ]
    if document["labels"] is not None:
        found.append(["with another label", number(duplicates["conflicts"]["rows"], 9)])
    parts.append(table(found))
    parts += ["\n".join(between_words(leak) for leak in document["leaks"]["between"])]
    limit = "over the limit" if lengths["limit"] is None else f"over {lengths['limit']:,}"
    parts.append(table([[f"{lengths['unit']}", "median", "95%", "99%", "longest", limit], *length_rows(lengths)]))
    if document["texts"]:
        odd = [[KINDS.get(one["kind"], one["kind"]), number(one["rows"], 9)] for one in document["texts"]]
        parts.append(table([["odd texts", "rows"], *odd]))
    languages = document["languages"]
    if languages:
        mix = ", ".join(f"{code} {number(count, 9)}" for code, count in list(languages["counts"].items())[:8])
        parts.append(f"languages  {mix or 'none'}, unsure {number(languages['unsure'], 9)}")
    if document["label_errors"]:
        parts.append(_errors(document["label_errors"]))
    if page is not None:
        parts.append(f"page  {page}")
    return "\n\n".join(part for part in parts if part)


def _labels(facts: Mapping[str, Any]) -> str:
    counts = facts["counts"]
    others = [part for part in counts if part != "train"]
    rows = [
        [label, number(count, 9), *(number(counts[part].get(label, 0), 9) for part in others)]
        for label, count in list(counts["train"].items())[:20]
    ]
    more = len(counts["train"]) - len(rows)
    text = table([["label", "train", *others], *rows])
    return text + (f"\n... and {more} more" if more > 0 else "") + f"\n{balance_words(facts)}"


def _errors(errors: Mapping[str, Any]) -> str:
    text = error_words(errors)
    if not errors["rows"]:
        return text
    rows = [
        [
            f"row {one['row']}" if isinstance(one["row"], int) else one["row"],
            one["label"],
            one["suggested"],
            f"{one['probability']:.2f}",
            _cut(one["text"]),
        ]
        for one in errors["rows"][:SHOWN]
    ]
    return f"{text}\n\n{table([['suspected label error', 'label', 'suggested', 'p', 'text'], *rows])}"


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= CUT else f"{line[:CUT]}..."
