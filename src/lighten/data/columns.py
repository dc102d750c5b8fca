"""Which columns of a table hold what, and how a row is named in a message."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import polars as pl

FILE = "__file__"
"""Internal column: name of the file a row came from."""
ROW = "__row__"
"""Internal column: number of the row in its file, as an editor counts (a CSV header is row 1)."""

Part = Literal["train", "validation", "test", "unlabelled"]


@dataclass(frozen=True)
class Columns:
    """The roles of a table's columns.

    Args:
        text: column with the text.
        label: column with the label; None for unlabelled text.
        group: column whose values never cross the splits.
        part: what the rows are for. A step drops fewer rows of a given validation or test set:
            what is judged there must stay what the user gave.
    """

    text: str
    label: str | None = None
    group: str | None = None
    part: Part = "train"

    @property
    def held_out(self) -> bool:
        """Whether the rows are a validation or test set given by the user."""
        return self.part in ("validation", "test")


def place(table: pl.DataFrame, index: int) -> str:
    """Return ``"reviews.csv, row 118"`` for a row of a table that was read with row numbers."""
    return f"{table[FILE][index]}, row {table[ROW][index]}"


def numbers(table: pl.DataFrame, limit: int = 5) -> list[int]:
    """Return the row numbers of the first rows of a table; its index where it was not read from a file."""
    if ROW in table.columns:
        return table[ROW].head(limit).to_list()
    return list(range(1, min(limit, table.height) + 1))
