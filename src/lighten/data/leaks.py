"""Leaks: training rows that also occur where the model is judged are taken out of training, and counted."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from lighten.data.columns import Columns
from lighten.data.deduplicate import row_keys
from lighten.data.rejected import record


def drop_same_text(
    table: pl.DataFrame, columns: Columns, *others: pl.DataFrame, reason: str = "leak"
) -> tuple[pl.DataFrame, int]:
    """Drop the rows whose text, case-folded and with blanks collapsed, occurs in one of the other tables.

    Returns:
        The rows left and how many were dropped.
    """
    own = row_keys(table, columns)
    theirs = [row_keys(other, columns) for other in others]
    known = [keys for keys in theirs if isinstance(keys, pl.Series)]
    if isinstance(own, pl.Series) and known and len(known) == len(theirs):
        return _keep(table, ~own.is_in(pl.concat(known).unique().implode()), reason)
    return _without(table, own, {key for keys in theirs for key in keys}, reason)


def drop_same_group(
    table: pl.DataFrame, columns: Columns, *others: pl.DataFrame, reason: str = "group"
) -> tuple[pl.DataFrame, int]:
    """Drop the rows whose group occurs in one of the other tables (those that have the group column)."""
    group = columns.group
    if group is None:
        return table, 0
    taken = {str(value) for other in others if group in other.columns for value in other[group].drop_nulls()}
    return _without(table, table[group].cast(pl.String).to_list(), taken, reason)


def _without(
    table: pl.DataFrame, values: Iterable[str | None], taken: set[str], reason: str
) -> tuple[pl.DataFrame, int]:
    return _keep(table, pl.Series([value not in taken for value in values], dtype=pl.Boolean), reason)


def _keep(table: pl.DataFrame, keep: pl.Series, reason: str) -> tuple[pl.DataFrame, int]:
    record(reason, table.filter(~keep))
    kept = table.filter(keep)
    return kept, table.height - kept.height
