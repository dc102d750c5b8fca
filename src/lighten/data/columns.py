"""Which columns of a table hold what, and how a row is named in a message."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

FILE = "__file__"
"""Internal column: name of the file a row came from."""
ROW = "__row__"
"""Internal column: number of the row in its file, as an editor counts (a CSV header is row 1)."""
AT = "__at__"
"""Internal column: number of the row among all rows of its source, from 0."""
KEY = "__text_key__"
"""Internal column: digest of the text, case-folded and with blanks collapsed, in a table without texts."""
RANKS = {"test": "__rank_test__", "validation": "__rank_validation__"}
"""Internal columns: where the row stands when a part is split off (`lighten.data.split.rank`), by the part."""

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
        seed: the recipe's, for steps that draw at random.
        base: folder that a step looks for relative sources in first.
    """

    text: str
    label: str | None = None
    group: str | None = None
    part: Part = "train"
    seed: int = 0
    base: Path | None = None

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
