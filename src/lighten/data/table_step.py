"""The base of every step on tables, and what a step reports about itself."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import polars as pl

from lighten.data.columns import Columns, numbers
from lighten.data.rejected import record
from lighten.pipeline import Step

SHOWN = 5
"""Examples that a report keeps."""
_LENGTH = 200


class TableStep(Step):
    """A transformation of a table of examples."""

    family: ClassVar[str] = "table"
    after_split: ClassVar[bool] = False
    """Whether the step works on the training rows that are left after the split, and on nothing else."""

    rowwise: ClassVar[bool] = False
    """Whether what becomes of a row depends on that row alone: then rows may be cut into pieces in any way."""
    needs_text: ClassVar[bool] = True
    """Whether the step looks at the texts themselves, not only at `lighten.data.keys` of them."""

    def sources(self) -> list[str]:
        """Return the sources that the step reads besides the table; what they hold is part of what it makes."""
        return []

    @abstractmethod
    def apply(self, table: pl.DataFrame, columns: Columns) -> tuple[pl.DataFrame, dict[str, Any]]:
        """Transform a table.

        Args:
            table: one row per example; all columns of the source.
            columns: which of them are text, label and group, and what the rows are for.

        Returns:
            The new table and the report made by `report`: what changed, what was dropped and why.
        """

    def apply_to_piece(self, table: pl.DataFrame, columns: Columns) -> tuple[pl.DataFrame, dict[str, Any]]:
        """Transform some of the rows, for a step that is `rowwise`; like `apply` but for what only all rows can tell.

        The report may hold more than that of `apply`, for `judge`.
        """
        return self.apply(table, columns)

    def judge(self, note: dict[str, Any], columns: Columns) -> dict[str, Any]:
        """Check the merged reports of all pieces and return what of them is for the user.

        Raises:
            InputError: what the pieces saw together cannot be meant.
        """
        return note


def report(
    step: Step | str,
    before: int,
    after: int,
    changed: int = 0,
    dropped: dict[str, pl.DataFrame] | None = None,
    examples: list[dict[str, Any]] | None = None,
    counts: dict[str, int] | None = None,
    added: int = 0,
) -> dict[str, Any]:
    """Make the honest report of a step.

    Args:
        step: the step, or its name.
        before: rows in.
        after: rows out.
        changed: rows whose text was edited.
        dropped: the dropped rows by reason code; only their number and first row numbers are kept.
        examples: what was done, at most five are kept, long texts are cut.
        counts: edits by kind.
        added: rows that the step made; rows in, less those dropped, plus these are the rows out.
    """
    dropped = {reason: rows for reason, rows in (dropped or {}).items() if rows.height}
    for reason, rows in dropped.items():
        record(reason, rows)
    return {
        "name": step if isinstance(step, str) else step.name,
        "rows_in": before,
        "rows_out": after,
        "changed": changed,
        "added": added,
        "dropped": {reason: rows.height for reason, rows in dropped.items()},
        "dropped_rows": {reason: numbers(rows) for reason, rows in dropped.items()},
        "counts": counts or {},
        "examples": [
            {key: value[:_LENGTH] if isinstance(value, str) else value for key, value in example.items()}
            for example in (examples or [])[:SHOWN]
        ],
    }
