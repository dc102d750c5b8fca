"""Rows of a file that cannot be read, and the numbers of those that can."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import polars as pl

from lighten.errors import InputError


class Fault(NamedTuple):
    """A row that cannot be read.

    Attributes:
        number: which one of those asked for, from 0.
        line: how many lines lie before it among those asked for.
        reason: reason code, as in ``rejected.jsonl``.
        message: what is wrong, in a sentence.
        raw: the row's bytes.
    """

    number: int
    line: int
    reason: str
    message: str
    raw: bytes


class Numbered:
    """Rows that can be read, with their numbers."""

    COLUMN: ClassVar[str] = "__number__"

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._numbers: list[int] = []

    def add(self, number: int, value: Any) -> None:
        """Keep a row."""
        self.values.append(value)
        self._numbers.append(number)

    def numbers(self) -> pl.Series:
        """Return the numbers as a column."""
        return pl.Series(self.COLUMN, self._numbers, dtype=pl.Int64)


def refuse(faults: Sequence[Fault], name: str, row: int, line: int) -> None:
    """Raise `InputError` for the first fault.

    Args:
        faults: in the order of the file.
        name: of the file.
        row: number of the first row asked for.
        line: number of the line it begins on.
    """
    if not faults:
        return
    first = faults[0]
    number, at = row + first.number, line + first.line
    where = f"{name}, row {number}" + (f" (line {at})" if at != number else "")
    hint = "" if first.reason in ("open_quote",) else "; `data.on_bad_row: reject` leaves such rows out"
    raise InputError(first.message + hint, where)
