"""What a comparison of attentions prints and writes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lighten.cli.summary import table
from lighten.errors import InputError
from lighten.report.attention_page import table_of, write_attention
from lighten.report.attention_plots import WORK, write_picture
from lighten.report.attention_quality import agreement_table, unjudged, why_not

NAME = "attention"


def names(text: str) -> list[str]:
    """Return the words of a list with commas."""
    return [word.strip() for word in text.split(",") if word.strip()]


def numbers(text: str, where: str) -> list[int]:
    """Return the whole numbers of a list with commas.

    Raises:
        InputError: one is none.
    """
    found = []
    for word in names(text):
        try:
            found.append(int(word))
        except ValueError:
            raise InputError(f"{word!r} is not a whole number; lengths are such as 512,1024,2048", where) from None
    return found


def write(document: Mapping[str, Any], csv: Path | None, out: Path | None) -> Path | None:
    """Write what was asked for; returns the path of the page."""
    from lighten.pipeline.files import write_json, write_text
    from lighten.workshop.compare_attention.outcome import as_csv

    for file in (csv, None if out is None else out / f"{NAME}.csv"):
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_text(file, as_csv(document))
    if out is None:
        return None
    write_json(out / f"{NAME}.json", dict(document))
    write_picture(document, out / f"{NAME}.svg")
    return write_attention(document, out / f"{NAME}.html")


def summary(document: Mapping[str, Any], page: Path | None = None) -> str:
    """Return the lines to print, without colour: they are a result and may be piped."""
    parts = [document["sentence"]]
    for what in document["what"]:
        made = table_of(document, what)
        heading = [f"{WORK[what].lower()}, tokens", *(f"{tokens:,}" for tokens in made["tokens"])]
        times = [[row["kind"], *(cell["seconds"] for cell in row["cells"])] for row in made["rows"]]
        memory = [["  peak memory", *(cell["memory"] or "-" for cell in row["cells"])] for row in made["rows"]]
        parts.append(table([heading, *(line for pair in zip(times, memory, strict=True) for line in pair)]))
        slopes = [[row["kind"], slope] for row in made["rows"] for slope in row["slopes"]]
        if slopes:
            parts.append(table([["slope of time", "(1 is linear, 2 quadratic)"], *slopes]))
    parts.extend(_quality(document))
    skipped = [f"left out: {_left_out(row)}" for row in document["points"] if row["skipped"]]
    skipped += [f"left out: agreement of {_where(row)}" for row in unjudged(document)]
    parts.append("\n".join(skipped))
    if page is not None:
        parts.append(f"page  {page}")
    return "\n\n".join(part for part in parts if part)


def _quality(document: Mapping[str, Any]) -> list[str]:
    made = agreement_table(document)
    if made is None:
        why = why_not(document)
        return [f"quality left out: {why}"] if why else []
    heading = ["agreement, tokens", *(f"{tokens:,}" for tokens in made["tokens"])]
    lines = [heading]
    for row in made["rows"]:
        lines.append([row["kind"], *(cell["agreement"] for cell in row["cells"])])
        lines.append(["  first token", *(cell["first"] or "-" for cell in row["cells"])])
    return [table(lines), "\n".join(made["notes"])]


def _where(row: Mapping[str, Any]) -> str:
    return f"{row['kind']} at {row['tokens']:,}: {row['not_judged']}"


def _left_out(row: Mapping[str, Any]) -> str:
    return f"{row['kind']} at {row['tokens']:,}, {row['what']}: {row['skipped']}"
