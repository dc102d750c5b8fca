"""One part of the data on its way: what is left of it, the reports so far, and why each other row is gone."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from lighten.data.columns import AT
from lighten.data.load import drop_unusable
from lighten.data.notes import Note, finish_notes
from lighten.data.rejected import Dropped, collecting
from lighten.data.rows import Rows
from lighten.data.table_step import TableStep
from lighten.errors import InputError

OTHER = "leak"
"""Reason of a row that no step names: it gave way to one of another part."""


@dataclass
class Given:
    """A part that the recipe gives a source for.

    Attributes:
        rows: what reading and the row-wise steps left.
        table: what the other steps left of it: with all columns, or an index without texts (`Rows.index`).
        notes: reports of the steps.
        reasons: why a row was dropped after that, by its `AT`.
        left: the `AT` of the rows that were left before the split.
    """

    rows: Rows
    table: pl.DataFrame
    notes: list[Note]
    reasons: dict[int, str] = field(default_factory=dict)
    left: pl.Series = field(default_factory=lambda: pl.Series(AT, [], dtype=pl.Int64))

    def drop(self, dropped: Dropped) -> None:
        """Remember why rows are gone; the first reason counts."""
        for reason, table in dropped:
            if AT in table.columns:
                for number in table[AT].drop_nulls():
                    self.reasons.setdefault(number, reason)

    def account(self, kept: Iterable[pl.DataFrame]) -> dict[int, str]:
        """Return the reason of every row that is left in none of the tables."""
        there = pl.concat([table[AT].drop_nulls() for table in kept]) if kept else self.left.head(0)
        lost = self.left.filter(~self.left.is_in(there.implode()))
        numbers = pl.Series(AT, list(self.reasons), dtype=pl.Int64)
        held = set(numbers.filter(numbers.is_in(there.implode())))
        reasons = {number: reason for number, reason in self.reasons.items() if number not in held}
        return {**dict.fromkeys(lost, OTHER), **reasons}


def carry_on(rows: Rows, steps: Sequence[TableStep], slim: bool) -> Given:
    """Carry out the steps that need all rows of a part at once.

    Args:
        rows: what reading and the row-wise steps left.
        steps: all steps; those that come after the split are passed over.
        slim: work on an index without texts, which must be all that the steps need.

    Raises:
        InputError: no row is left.
    """
    columns = rows.columns
    given = Given(rows, rows.index() if slim else rows.table(), list(rows.notes))
    rest = [step for step in steps[rows.steps :] if not step.after_split]
    for step in rest:
        started = time.perf_counter()
        with collecting() as gone:
            given.table, note = step.apply(given.table, columns)
        given.drop(gone)
        given.notes.append({**_shown(note, rows), "seconds": time.perf_counter() - started})
        if given.table.is_empty():
            raise InputError(f"no rows are left after the step {step.name!r}", f"data.{columns.part}")
    if rest and not slim:
        with collecting() as gone:
            given.table, note = drop_unusable(given.table, columns)
        given.drop(gone)
        given.notes.append(note)
    given.notes = finish_notes(columns.part, given.notes)
    given.left = given.table[AT]
    return given


def _shown(note: dict[str, Any], rows: Rows) -> dict[str, Any]:
    """Fill in the texts of examples that a step without texts could only point at."""
    wanted = [example[AT] for example in note["examples"] if AT in example]
    if not wanted:
        return note
    texts = rows.texts(wanted)
    examples = []
    for example in note["examples"]:
        number = example.pop(AT, None)
        examples.append(example if number is None else {**example, "before": texts[number][:200]})
    return {**note, "examples": examples}
