"""The base of every step on tables, and what a step reports about itself."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import polars as pl

from lighten.data.columns import Columns, numbers
from lighten.pipeline import Step

_SHOWN = 3
_LENGTH = 200


class TableStep(Step):
    """A transformation of a table of examples."""

    family: ClassVar[str] = "table"

    @abstractmethod
    def apply(self, table: pl.DataFrame, columns: Columns) -> tuple[pl.DataFrame, dict[str, Any]]:
        """Transform a table.

        Args:
            table: one row per example; all columns of the source.
            columns: which of them are text, label and group, and what the rows are for.

        Returns:
            The new table and the report made by `report`: what changed, what was dropped and why.
        """


def report(
    step: Step | str,
    before: int,
    after: int,
    changed: int = 0,
    dropped: dict[str, pl.DataFrame] | None = None,
    examples: list[dict[str, Any]] | None = None,
    counts: dict[str, int] | None = None,
) -> dict[str, Any]:
    """Make the honest report of a step.

    Args:
        step: the step, or its name.
        before: rows in.
        after: rows out.
        changed: rows whose text was edited.
        dropped: the dropped rows by reason code; only their number and first row numbers are kept.
        examples: what was done, at most three are kept, long texts are cut.
        counts: edits by kind.
    """
    dropped = {reason: rows for reason, rows in (dropped or {}).items() if rows.height}
    return {
        "name": step if isinstance(step, str) else step.name,
        "rows_in": before,
        "rows_out": after,
        "changed": changed,
        "dropped": {reason: rows.height for reason, rows in dropped.items()},
        "dropped_rows": {reason: numbers(rows) for reason, rows in dropped.items()},
        "counts": counts or {},
        "examples": [
            {key: value[:_LENGTH] if isinstance(value, str) else value for key, value in example.items()}
            for example in (examples or [])[:_SHOWN]
        ],
    }
