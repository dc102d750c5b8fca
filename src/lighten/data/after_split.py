"""Steps that come after the split: they make more of the training rows, or choose among them, and see no other row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from lighten.data.columns import Columns
from lighten.data.leaks import drop_same_text
from lighten.data.table_step import TableStep
from lighten.errors import InputError

HELD_OUT = ("test", "validation")


def check_order(steps: Sequence[TableStep]) -> None:
    """Check that the steps after the split come last.

    Raises:
        InputError: another step stands behind one of them.
    """
    late = None
    for index, step in enumerate(steps):
        if step.after_split:
            late = step
        elif late is not None:
            raise InputError(
                f"{late.name!r} works on the training rows after the split, so {step.name!r} must stand before it",
                f"data.prepare[{index}]",
            )


def apply_after_split(
    parts: dict[str, pl.DataFrame], columns: Columns, steps: Sequence[TableStep]
) -> tuple[pl.DataFrame, list[dict[str, Any]]]:
    """Apply the steps that come after the split to the training rows.

    Args:
        parts: ``train``, ``validation`` and ``test``; no training row occurs in the others.
        columns: roles of the columns of the training rows, with the recipe's seed and folder.
        steps: all steps; those before the split are passed over.

    Returns:
        The training rows and the steps' reports. A row that a step made and that is a held-out row word for word is
        dropped (``in_test``, ``in_validation``).

    Raises:
        InputError: no row is left.
    """
    train, notes = parts["train"], []
    for step in steps:
        if not step.after_split:
            continue
        train, note = step.apply(train, columns)
        for name in HELD_OUT:
            train, count = drop_same_text(train, columns, parts[name])
            if count:
                note["dropped"] = {**note["dropped"], f"in_{name}": count}
        note["rows_out"] = train.height
        if train.is_empty():
            raise InputError(f"no rows are left after the step {step.name!r}", "data.train")
        notes.append({"part": "train", **note})
    return train, notes
