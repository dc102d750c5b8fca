"""From a recipe's source to a table whose text and label columns are text; rows that cannot be used are dropped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from lighten.data.columns import FILE, ROW, Columns
from lighten.data.labels import label_texts
from lighten.data.read import read_table
from lighten.data.table_step import report
from lighten.errors import InputError, nearest
from lighten.progress import Progress
from lighten.sources import Resolved, resolve


def resolve_all(source: str | list[str], base: Path | None, progress: Progress | None = None) -> list[Resolved]:
    """Resolve one source or several."""
    sources = [source] if isinstance(source, str) else source
    return [resolve(item, base=base, progress=progress) for item in sources]


def load(source: str | list[str], columns: Columns, base: Path | None, progress: Progress) -> pl.DataFrame:
    """Read a part of the data.

    Returns:
        All columns of the source, the text column as text, the label column as text without blanks around it
        (empty ones null), and the internal columns that name a row in a message.

    Raises:
        InputError: see `read_table`; or a column of the recipe is not there or holds lists.
    """
    paths = [path for resolved in resolve_all(source, base, progress) for path in resolved.paths]
    where = f"data.{columns.part}"
    table = read_table(paths, where, numbered=True)
    check_columns(table.schema, columns, str(table[FILE][0]))
    table = table.with_columns(pl.col(columns.text).cast(pl.String))
    if columns.label is not None:
        table = table.with_columns(label_texts(table[columns.label]).alias(columns.label))
    return table


def drop_unusable(table: pl.DataFrame, columns: Columns) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Drop rows without text (``empty_text``) or without label (``missing_label``).

    Raises:
        InputError: no row is left.
    """
    kept, note = split_usable(table, columns)
    if kept.is_empty() and not table.is_empty():
        raise no_usable(note["dropped"], columns, f"{table[FILE][0]}, rows {table[ROW][0]} to {table[ROW][-1]}")
    return kept, note


def split_usable(table: pl.DataFrame, columns: Columns) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Drop rows like `drop_unusable`, but all of them where all are unusable."""
    text = pl.col(columns.text)
    empty = text.is_null() | (text.str.strip_chars() == "")
    unlabelled = pl.col(columns.label).is_null() if columns.label is not None else pl.lit(False)
    dropped = {"empty_text": table.filter(empty), "missing_label": table.filter(~empty & unlabelled)}
    kept = table.filter(~empty & ~unlabelled)
    return kept, report("usable", table.height, kept.height, dropped=dropped)


def split_complete(table: pl.DataFrame, required: Mapping[str, str]) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Drop rows without a value in a column that must have one.

    Args:
        table: any table with these columns.
        required: the columns by the reason code of rows without a value there.
    """
    kept, dropped = table, {}
    for reason, column in required.items():
        value = pl.col(column).cast(pl.String).str.strip_chars()
        there = value.is_not_null() & (value != "")
        dropped[reason] = kept.filter(~there)
        kept = kept.filter(there)
    return kept, report("complete", table.height, kept.height, dropped=dropped)


def no_usable(dropped: dict[str, int], columns: Columns, where: str) -> InputError:
    """Return the error for data in which no row is usable."""
    if not dropped.get("missing_label"):
        return InputError(f"column {columns.text!r} is empty in every row", where)
    return InputError(f"no row has both a text ({columns.text!r}) and a label ({columns.label!r})", where)


def check_columns(schema: Mapping[str, pl.DataType], columns: Columns, file: str) -> None:
    """Check that the columns of the recipe are there and can be text.

    Raises:
        InputError: one is not, or holds lists.
    """
    needed = {"data.text": columns.text, "data.label": columns.label}
    if columns.part == "train":
        needed["data.group"] = columns.group
    known = [name for name in schema if name not in (FILE, ROW)]
    for key, column in needed.items():
        if column is None:
            continue
        if column not in known:
            shown = ", ".join(known[:20]) + (", ..." if len(known) > 20 else "")
            message = f"there is no column {column!r} ({key}); columns are {shown}{nearest(column, known)}"
            raise InputError(message, file)
        kind = schema[column]
        if kind.is_nested() or kind in (pl.Binary, pl.Object):
            raise InputError(f"column {column!r} ({key}) holds {kind!r}, expected text", file)
