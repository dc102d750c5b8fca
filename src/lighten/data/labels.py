"""Labels: their spelling, their order, and the ones that are probably typing errors."""

from __future__ import annotations

import difflib
import re
from collections import Counter

import polars as pl

from lighten.data.columns import place
from lighten.errors import InputError, nearest

RARE = 2
"""A label that occurs at most so often may be a misspelling ..."""
TIMES = 20
"""... of one that is at least so many times as frequent ..."""
ALIKE = 0.8
"""... and at least so similar (difflib's ratio)."""


def label_texts(values: pl.Series, whole: bool | None = None) -> pl.Series:
    """Return labels as text without blanks around them; whole floats as integers; empty ones as null.

    Args:
        values: any column without lists.
        whole: whether all floats of the data are whole, where these are only some of them; else found out.
    """
    if values.dtype.is_float() and (are_whole(values) if whole is None else whole):
        values = values.cast(pl.Int64, strict=False)
    if values.dtype.is_nested():
        raise InputError(f"the label column {values.name!r} holds {values.dtype}, expected one label per row")
    texts = values.cast(pl.String).str.strip_chars()
    return texts.set(texts == "", None) if (texts == "").any() else texts


def are_whole(values: pl.Series) -> bool:
    """Return whether all numbers are whole; true for what holds no floats."""
    return not values.dtype.is_float() or bool((values.drop_nulls() == values.drop_nulls().round()).all())


def find_labels(table: pl.DataFrame, column: str, given: list[str] | None) -> list[str]:
    """Return the label names in order: as given, else those of the training rows, sorted.

    Raises:
        InputError: a training label that is not among those given, one that looks like a misspelling
            of a frequent one, a given label without a row, or fewer than two labels.
    """
    counts = Counter(table[column].to_list())
    if given is not None:
        check_known(table, column, given)
        missing = [label for label in given if not counts[label]]
        if missing:
            raise InputError(f"no training row has the label {missing[0]!r}", "data.labels")
        labels = list(given)
    else:
        _check_spelling(table, column, counts)
        labels = sorted(counts)
    if len(labels) < 2:
        only = f"every row has the label {labels[0]!r}" if labels else "there is no label"
        raise InputError(f"a classifier needs two labels or more; {only}", f"column {column!r}")
    return labels


def check_known(table: pl.DataFrame, column: str, labels: list[str]) -> None:
    """Raise `InputError` for the first row whose label is not among `labels`."""
    strange = table.select((~pl.col(column).is_in(labels)).arg_true()).to_series()
    if len(strange):
        _refuse(table, column, int(strange[0]), labels)


def _check_spelling(table: pl.DataFrame, column: str, counts: Counter[str]) -> None:
    for label in sorted(label for label, count in counts.items() if count <= RARE):
        frequent = [other for other, count in counts.items() if count >= TIMES * counts[label]]
        for other in frequent:
            if _number_free(label) == _number_free(other) and label.casefold() != other.casefold():
                continue  # class_1 and class_2 are alike, but both are meant
            if difflib.SequenceMatcher(None, label.casefold(), other.casefold()).ratio() >= ALIKE:
                index = int(table.select((pl.col(column) == label).arg_true()).to_series()[0])
                _refuse(
                    table,
                    column,
                    index,
                    sorted(frequent),
                    f"; did you mean {other!r}? (list it in data.labels if not)",
                )


def _number_free(label: str) -> str:
    return re.sub(r"\d+", "#", label)


def _refuse(table: pl.DataFrame, column: str, index: int, labels: list[str], hint: str | None = None) -> None:
    label = table[column][index]
    shown = ", ".join(labels[:12]) + (", ..." if len(labels) > 12 else "")
    hint = nearest(label, labels) if hint is None else hint
    raise InputError(f"label {label!r} is not one of {shown}{hint}", place(table, index))
