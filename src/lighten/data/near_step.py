"""`near_duplicates`: of rows whose texts are nearly equal one is kept; and what all steps on similar rows share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import polars as pl
from pydantic import Field

from lighten.data.columns import FILE, ROW, Columns
from lighten.data.near import FEWEST, THRESHOLD, near_duplicates
from lighten.data.near_pairs import Duplicates
from lighten.data.table_step import TableStep, report

SHOWN = 20
"""Pairs that the report lists; the file has all of them."""


class SimilarStep(TableStep):
    """Base of the steps that drop rows which are like another one."""

    reason: ClassVar[str]
    """The reason code of the dropped rows."""

    keep: Literal["first", "longest"] = Field(default="first", description="Which of several similar rows is kept.")
    labels: Literal["same", "any"] = Field(
        default="same",
        description="same: similar rows with different labels are all kept, and counted; any: labels do not matter.",
    )
    across: bool = Field(
        default=True,
        description="Whether rows of training that are like one of validation or test are dropped as well.",
    )
    folder: str | None = Field(
        default=None, description="Folder that gets `duplicates.jsonl` with the score of every pair."
    )

    @abstractmethod
    def find(self, texts: Sequence[str], columns: Columns) -> Duplicates:
        """Return the pairs of similar texts; of `columns` only the seed and the folder of the recipe matter."""

    def apply(self, table: pl.DataFrame, columns: Columns) -> tuple[pl.DataFrame, dict[str, Any]]:
        """Drop rows; a given validation or test set is left as it is.

        The report also has ``pairs``, the most similar ones, and ``thresholds``: the rows that each threshold drops.
        """
        if columns.held_out or table.is_empty():
            return table, report(self, table.height, table.height)
        texts = [text or "" for text in table[columns.text]]
        found = self.find(texts, columns)
        # A stable sort keeps the first of the longest.
        order = ranks([-len(text) for text in texts]) if self.keep == "longest" else None
        classes = table[columns.label].to_list() if columns.label is not None and self.labels == "same" else None
        causes = found.causes(order, classes)
        names = row_names(table)
        if self.folder is not None:
            found.write(Path(self.folder), names)
        gone = pl.Series([row in causes for row in range(table.height)], dtype=pl.Boolean)
        counts = {"conflicts": len(found.conflicts(classes))} if classes is not None else {}
        examples = [
            {
                "row": names[row],
                "reason": self.reason,
                "twin": names[twin],
                "score": round(score, 4),
                "before": texts[row],
                "like": texts[twin],
                "after": None,
            }
            for row, (twin, score) in sorted(causes.items(), key=lambda item: (item[1][1], item[0]))[:5]
        ]
        dropped = {self.reason: table.filter(gone)}
        note = report(self, table.height, table.height - len(causes), 0, dropped, examples, counts)
        pairs = [{"rows": [names[a], names[b]], "score": score} for a, b, score in found.pairs(SHOWN)]
        return table.filter(~gone), {**note, "pairs": pairs, "thresholds": found.sweep(order, classes)}


class NearDuplicates(SimilarStep):
    """Keep one of the rows whose texts differ in a few words only, by MinHash and exact Jaccard similarity."""

    name: ClassVar[str] = "near_duplicates"
    short: ClassVar[str] = "threshold"
    reason: ClassVar[str] = "near_duplicate"

    threshold: float = Field(
        default=THRESHOLD,
        ge=0.2,
        le=1,
        description="Smallest Jaccard similarity of the sets of shingles.",
        json_schema_extra={"search": [0.6, 0.75, 0.9]},
    )
    shingle: int = Field(default=2, ge=1, le=20, description="Words (or characters) in a shingle.")
    unit: Literal["words", "characters"] = Field(default="words", description="What a shingle is a run of.")
    fewest: int = Field(
        default=FEWEST, ge=1, description="Texts with fewer words (or characters) are left to `deduplicate`."
    )

    def find(self, texts: Sequence[str], columns: Columns) -> Duplicates:
        """Return the pairs of nearly equal texts."""
        return near_duplicates(texts, self.threshold, self.shingle, self.unit, self.fewest)


def ranks(keys: Sequence[int]) -> list[int]:
    """Return the place of each row when they are sorted by their keys; equal ones stay in order."""
    places = [0] * len(keys)
    for place, row in enumerate(sorted(range(len(keys)), key=keys.__getitem__)):
        places[row] = place
    return places


def row_names(table: pl.DataFrame) -> list[Any]:
    """Return what a row is called: its number in its file, with the file's name where there are several."""
    if ROW not in table.columns:
        return list(range(1, table.height + 1))
    numbers = table[ROW].to_list()
    if FILE not in table.columns or table[FILE].n_unique() < 2:
        return numbers
    return [f"{file}, row {number}" for file, number in zip(table[FILE], numbers, strict=True)]
