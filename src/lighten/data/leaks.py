"""Leaks: training rows that also occur where the model is judged are taken out of training, and counted."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from lighten.data.columns import Columns
from lighten.data.deduplicate import keys


def drop_same_text(table: pl.DataFrame, columns: Columns, *others: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """Drop the rows whose text, case-folded and with blanks collapsed, occurs in one of the other tables.

    Returns:
        The rows left and how many were dropped.
    """
    taken = {key for other in others for key in keys(other[columns.text])}
    return _without(table, keys(table[columns.text]), taken)


def drop_same_group(table: pl.DataFrame, columns: Columns, *others: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """Drop the rows whose group occurs in one of the other tables (those that have the group column)."""
    group = columns.group
    if group is None:
        return table, 0
    taken = {str(value) for other in others if group in other.columns for value in other[group].drop_nulls()}
    return _without(table, table[group].cast(pl.String).to_list(), taken)


def _without(table: pl.DataFrame, values: Iterable[str | None], taken: set[str]) -> tuple[pl.DataFrame, int]:
    kept = table.filter(pl.Series([value not in taken for value in values], dtype=pl.Boolean))
    return kept, table.height - kept.height
