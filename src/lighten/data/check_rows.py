"""What only the rows of all chunks together can tell: that none is left, or that a step cannot be meant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lighten.data.load import no_usable
from lighten.data.table_step import TableStep
from lighten.errors import InputError

if TYPE_CHECKING:
    from lighten.data.rows import Rows


def check_rows(rows: Rows, steps: Sequence[TableStep]) -> None:
    """Check what only all chunks together can tell, in the order in which it came about.

    Raises:
        InputError: no row is left, or what a step saw cannot be meant.
    """
    part = f"data.{rows.columns.part}"
    chunks = rows.folder.job.chunks
    layouts = rows.folder.job.layouts
    where = f"{layouts[0].name}, rows {chunks[0].row} to {chunks[-1].row + chunks[-1].rows - 1}"
    left = iter(steps)
    for note in rows.notes:
        note_step = next(left) if note["name"] not in ("read", "usable", "complete") else None
        if note_step is not None:
            note.update(note_step.judge(note, rows.columns))
            for key in ("seen", "known"):
                note.pop(key, None)
        if note["rows_out"] or not note["rows_in"]:
            continue
        if note["name"] == "read":
            raise InputError("no row can be read", where)
        if note["name"] == "complete":
            reason = next(iter(note["dropped"]))
            column = rows.folder.job.required[reason]
            raise InputError(
                f"column {column!r} (data.{reason.removeprefix('missing_')}) is empty in every row", layouts[0].name
            )
        if note["name"] == "usable":
            raise no_usable(note["dropped"], rows.columns, where)
        raise InputError(f"no rows are left after the step {note['name']!r}", part)
