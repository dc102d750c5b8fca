"""`lighten.data.select`: the selection for Python, on a table or on texts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from lighten.data.selection.select import select_rows
from lighten.data.selection.wish import Wish
from lighten.errors import InputError, nearest


def select(
    table_or_texts: pl.DataFrame | Sequence[str],
    method: str = "stratified",
    *,
    rows: int | None = None,
    share: float | None = None,
    text: str = "text",
    label: str | None = None,
    labels: Sequence[Any] | None = None,
    target: Sequence[str] | None = None,
    per_label: bool = False,
    hardest: bool = True,
    model: str | None = None,
    cache: str | Path | None = None,
    seed: int = 0,
) -> tuple[pl.DataFrame | list[int], dict[str, Any]]:
    """Choose a part of the rows of a table, or of a list of texts.

    Args:
        table_or_texts: a polars table, or texts.
        method: as the field of the step `select`.
        rows: how many to keep ...
        share: ... or which part of all, above 0 and at most 1.
        text: column with the text, of a table.
        label: column with the label, of a table that has one.
        labels: label of each row, instead of a column.
        target: texts that rows are to be like, for the method importance.
        per_label: choose within each label, which gets its share.
        hardest: of uncertainty and el2n: whether the hardest rows are kept, or the easiest.
        model: source of an encoder whose embeddings are compared; None compares TF-IDF.
        cache: folder that keeps the embeddings for the next time.
        seed: of everything random.

    Returns:
        The rows kept (of a table a table, of texts the row numbers from 0, sorted), and the report of the choice:
        see `lighten.data.selection.select.select_rows`.

    Raises:
        InputError: a wish that contradicts itself or the data.
    """
    where = "select"
    table = table_or_texts if isinstance(table_or_texts, pl.DataFrame) else None
    if table is not None:
        texts = _column(table, text, "text").cast(pl.String).to_list()
        if label is not None:
            labels = _column(table, label, "label").cast(pl.String).to_list()
    else:
        if isinstance(table_or_texts, str):
            raise InputError(f"expected a table or a list of texts; got one text, {table_or_texts[:40]!r}", where)
        if label is not None:
            raise InputError(f"label names the column of a table; got {label!r} for texts; give labels", where)
        texts = list(table_or_texts)  # type: ignore[arg-type]
    if not texts:
        raise InputError("there are no rows to choose from", where)
    for name, values in (("text", texts), ("label", labels)):
        if values is not None:
            missing = next((row for row, value in enumerate(values) if value is None), None)
            if missing is not None:
                raise InputError(f"every row needs a {name}; row {missing} (from 0) has none", where)
    if labels is not None and len(labels) != len(texts):
        raise InputError(f"expected one label for each of {len(texts)} texts; got {len(labels)}", where)
    if (target is None) == (method == "importance"):
        raise InputError(f"target goes with the method 'importance', and only with it; got method {method!r}", where)
    wish = Wish(method, rows, share, seed, per_label, hardest, model, None if cache is None else Path(cache))
    known = None if labels is None else [str(value) for value in labels]
    choice, report = select_rows(texts, known, wish, target, where)
    chosen: list[int] = choice.rows.tolist()
    return (table[chosen] if table is not None else chosen), report


def _column(table: pl.DataFrame, column: str, role: str) -> pl.Series:
    if column not in table.columns:
        known = table.columns
        raise InputError(
            f"there is no column {column!r}; columns are {', '.join(known[:20])}{nearest(column, known)}", f"{role}="
        )
    return table[column]
