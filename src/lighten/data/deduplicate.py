"""`deduplicate`: exact duplicates up to case and white space, and duplicates whose labels disagree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import polars as pl
from pydantic import Field

from lighten.data.columns import AT, KEY, ROW, Columns
from lighten.data.table_step import SHOWN, TableStep, report

_KEY, _LABEL = "__key__", "__label__"
_LOOSE = r"[[\s\x1c-\x1f]--[ ]]|  |^ | $"
"""What `str.split` would take away from a text or put a single blank for."""


class Deduplicate(TableStep):
    """Keep one of the rows with the same text; where their labels disagree, none of them by default."""

    name: ClassVar[str] = "deduplicate"
    needs_text: ClassVar[bool] = False

    conflicts: Literal["drop", "keep_first"] = Field(
        default="drop", description="What to do with equal texts whose labels disagree."
    )

    def apply(self, table: pl.DataFrame, columns: Columns) -> tuple[pl.DataFrame, dict[str, Any]]:
        """Drop rows with reasons ``duplicate`` and ``conflict``; a given validation or test set is left as it is."""
        if columns.held_out or table.is_empty():
            return table, report(self, table.height, table.height)
        given = pl.col(columns.label).cast(pl.String) if columns.label else pl.lit("")
        label = pl.col(_LABEL)
        marked = table.with_columns(pl.Series(_KEY, row_keys(table, columns)), given.alias(_LABEL)).with_columns(
            __first__=pl.int_range(pl.len()).over(_KEY) == 0,
            __disagree__=label.n_unique().over(_KEY) > 1,
            __odd__=label.ne_missing(label.first().over(_KEY)),
        )
        conflict = pl.col("__disagree__" if self.conflicts == "drop" else "__odd__")
        duplicate = ~conflict & ~pl.col("__first__")
        kept, gone = marked.filter(~conflict & ~duplicate), marked.filter(conflict | duplicate)
        dropped = {"duplicate": gone.filter(duplicate), "conflict": gone.filter(conflict)}
        examples = _examples(gone, columns)
        return kept.select(table.columns), report(self, table.height, kept.height, dropped=dropped, examples=examples)


def keys(texts: pl.Series | Sequence[str]) -> list[str]:
    """Return what two texts must share to count as the same: case-folded, white space collapsed."""
    if not isinstance(texts, pl.Series):
        return [" ".join(text.split()).casefold() for text in texts]
    values: list[str] = texts.to_list()
    for place in texts.cast(pl.String).str.contains(_LOOSE).arg_true():  # few of those that `clean` has seen
        values[place] = " ".join(values[place].split())
    return [text.casefold() for text in values]


def row_keys(table: pl.DataFrame, columns: Columns) -> pl.Series | list[str]:
    """Return the key of each row: made of its text, or its digest in a table without texts."""
    return keys(table[columns.text]) if columns.text in table.columns else table[KEY]


def _examples(gone: pl.DataFrame, columns: Columns) -> list[dict[str, Any]]:
    shown = gone.sort("__disagree__", descending=True, maintain_order=True).head(SHOWN)
    return [
        {
            "row": row.get(ROW),
            "reason": "conflict" if row["__disagree__"] else "duplicate",
            "label": row[columns.label] if columns.label else None,
            "before": row.get(columns.text),
            "after": None,
            **({} if columns.text in row else {AT: row[AT]}),  # whoever has the texts fills it in
        }
        for row in shown.iter_rows(named=True)
    ]
