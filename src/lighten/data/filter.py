"""`filter`: keep or drop rows by the value of a column."""

from __future__ import annotations

from typing import Any, ClassVar

import polars as pl
from pydantic import Field, model_validator

from lighten.data.columns import Columns
from lighten.data.table_step import SHOWN, TableStep, report
from lighten.errors import InputError, nearest

Value = str | bool | int | float
_KNOWN = 1000
"""Values that are kept to name one that is like a misspelt one."""


class Filter(TableStep):
    """Keep only the rows with certain values in a column, or drop them."""

    name: ClassVar[str] = "filter"
    rowwise: ClassVar[bool] = True

    column: str = Field(description="Name of the column.")
    keep: list[Value] | None = Field(default=None, description="Rows with any other value are dropped.")
    drop: list[Value] | None = Field(default=None, description="Rows with one of these values are dropped.")

    @model_validator(mode="after")
    def _one_of_both(self) -> Filter:
        if bool(self.keep) == bool(self.drop):
            raise ValueError("give either keep or drop, with at least one value")
        return self

    def apply(self, table: pl.DataFrame, columns: Columns) -> tuple[pl.DataFrame, dict[str, Any]]:
        """Drop rows with reason ``filtered``; a value that no training row has is an error."""
        kept, note = self.apply_to_piece(table, columns)
        return kept, self.judge(note, columns)

    def apply_to_piece(self, table: pl.DataFrame, columns: Columns) -> tuple[pl.DataFrame, dict[str, Any]]:
        """Drop rows; the report has the values asked for that were seen, and the first of all values, for `judge`."""
        if self.column not in table.columns:
            if columns.part == "unlabelled":  # plain text need not have the column
                return table, report(self, table.height, table.height)
            known = [name for name in table.columns if not name.startswith("__")]
            raise InputError(
                f"there is no column {self.column!r}; columns are {', '.join(known)}{nearest(self.column, known)}",
                f"step 'filter' on data.{columns.part}",
            )
        values = table[self.column].cast(pl.String)
        asked = [_text(value) for value in self.keep or self.drop or []]
        chosen = values.is_in(asked).fill_null(False)
        wanted = chosen if self.keep else ~chosen
        kept, gone = table.filter(wanted), table.filter(~wanted)
        examples = [
            {"value": value, "before": text, "after": None}
            for value, text in zip(gone[self.column].head(SHOWN), gone[columns.text].head(SHOWN), strict=True)
        ]
        note = report(self, table.height, kept.height, dropped={"filtered": gone}, examples=examples)
        if columns.part == "train":
            there = values.drop_nulls().unique()
            note["seen"] = sorted(set(asked).intersection(there))
            note["known"] = there.bottom_k(_KNOWN).sort().to_list()
        return kept, note

    def judge(self, note: dict[str, Any], columns: Columns) -> dict[str, Any]:
        """Check that every value asked for was seen."""
        note = dict(note)
        seen, known = set(note.pop("seen", ())), sorted(set(note.pop("known", ())))[:_KNOWN]
        for value in [_text(value) for value in self.keep or self.drop or []]:
            if value not in seen and columns.part == "train" and note["rows_in"]:
                shown = ", ".join(known[:10]) + (", ..." if len(known) > 10 else "")
                raise InputError(
                    f"no row has {value!r} in column {self.column!r}; values are {shown}{nearest(value, known)}",
                    "step 'filter'",
                )
        return note


def _text(value: Value) -> str:
    """Spell a YAML value as the table does: true and false in small letters."""
    return str(value).lower() if isinstance(value, bool) else str(value)
