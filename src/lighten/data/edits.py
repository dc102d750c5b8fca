"""Putting edited texts into a table: what every step that edits texts counts, shows and drops in the same way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import polars as pl

from lighten.data.columns import ROW, Columns
from lighten.data.table_step import SHOWN, TableStep, report

Edit = tuple[str, Mapping[str, int]]
"""A text after an edit, and how many edits of which kind made it."""

_LONG = 200
_LEAD = 60


def apply_edits(
    step: TableStep,
    table: pl.DataFrame,
    columns: Columns,
    edit: Callable[[str], Edit | None],
    dull: frozenset[str] = frozenset(),
    suspect: pl.Expr | None = None,
) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Edit the text column; each distinct text is looked at once. Reason code: ``empty_text``.

    Args:
        step: whose report is made.
        table: one row per example.
        columns: the roles of the columns. Held-out parts are edited like the others, and a row that has no text
            after that is dropped and reported there too.
        edit: returns None where nothing is to change.
        dull: kinds of edits that do not make an example on their own.
        suspect: true for every text that might be edited; the others are not even looked at.

    Returns:
        The rows that still have text, and the report; its counts are edits in rows, not in distinct texts.
    """
    column = table[columns.text]
    places = (table.select(suspect).to_series() if suspect is not None else column.is_not_null()).arg_true()
    edits: dict[str, Edit | None] = {}
    counts: Counter[str] = Counter()
    examples: list[dict[str, Any]] = []
    changed: list[int] = []
    texts: list[str] = []
    for place, text in zip(places.to_list(), column.gather(places).to_list(), strict=True):
        if text not in edits:
            edits[text] = edit(text)
        made = edits[text]
        if made is None:
            continue
        edited, kinds = made
        counts.update(kinds)
        if edited != text:
            changed.append(place)
            texts.append(edited)
        if len(examples) < SHOWN and not dull.issuperset(kinds):
            row = table[ROW][place] if ROW in table.columns else place + 1
            before, after = excerpt(text, edited)
            examples.append({"row": row, "kinds": list(kinds), "before": before, "after": after})
    table = table.with_columns(replaced(column, changed, texts))
    empty = pl.col(columns.text).is_null() | (pl.col(columns.text) == "")
    kept, gone = table.filter(~empty), table.filter(empty)
    return kept, report(step, table.height, kept.height, len(changed), {"empty_text": gone}, examples, dict(counts))


def replaced(column: pl.Series, places: list[int], texts: list[str]) -> pl.Series:
    """Return a column with other texts at some places; the texts that stay are shared with the old one."""
    if not places:
        return column
    order = np.arange(len(column))
    order[places] = np.arange(len(column), len(column) + len(places))
    return pl.concat([column, pl.Series(column.name, texts, dtype=pl.String)]).gather(order)


def excerpt(before: str, after: str) -> tuple[str, str]:
    """Return the parts of a long text and of its edited form that begin shortly before the first difference."""
    if max(len(before), len(after)) <= _LONG:
        return before, after
    same = next(
        (i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after))
    )
    start = max(0, same - _LEAD)
    lead = "..." if start else ""
    return lead + before[start : start + _LONG - 3], lead + after[start : start + _LONG - 3]
