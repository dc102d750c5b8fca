"""A part of the data after reading and the row-wise steps: on disk in pieces, as a table, or as an index of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import polars as pl

from lighten.data.chunk_rows import ORIGINAL
from lighten.data.chunks import Chunk
from lighten.data.columns import AT, FILE, KEY, RANKS, ROW, Columns
from lighten.data.executor import run_tasks
from lighten.data.job import Job, JobFolder
from lighten.data.load import check_columns, no_usable, resolve_all
from lighten.data.notes import Note, merge_notes
from lighten.data.opened import open_files
from lighten.data.survey import check_required, find_columns
from lighten.data.table_step import TableStep
from lighten.data.work import Work
from lighten.errors import InputError
from lighten.pipeline import digest, step_to_dict
from lighten.pipeline.artifact import versions
from lighten.progress import Progress, Stage

VERSION = 1
"""Raised when the same sources and steps come to leave other files."""


class Rows:
    """What is left of a source: `read` is how many rows it had, `notes` the reports of the steps, merged."""

    def __init__(self, folder: JobFolder, columns: Columns, steps: int) -> None:
        self.folder, self.columns, self.steps = folder, columns, steps
        self._markers = list(folder.markers())
        self.read = sum(chunk.rows for chunk in folder.job.chunks)
        self.notes: list[Note] = merge_notes(marker["notes"] for marker in self._markers)
        self.height = sum(marker["rows"] for marker in self._markers)

    @cached_property
    def names(self) -> list[str]:
        """The columns of the source."""
        return list(self.folder.schema or ())

    def pieces(self, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """Yield the rows in order, a chunk at a time."""
        for index, marker in enumerate(self._markers):
            if marker["rows"]:
                yield pl.read_ipc(self.folder.part(index), columns=list(columns) if columns else None)

    def table(self) -> pl.DataFrame:
        """Return all rows with the columns of the source and those that name a row."""
        return self._whole([*self.names, FILE, ROW, AT])

    def index(self) -> pl.DataFrame:
        """Return all rows with all that splitting needs and no text: labels, groups, names, digests and ranks."""
        roles = [name for name in (self.columns.label, self.columns.group) if name in self.names]
        return self._whole([*[str(name) for name in roles], FILE, ROW, AT, KEY, *RANKS.values()])

    def _whole(self, columns: list[str]) -> pl.DataFrame:
        pieces = list(self.pieces(columns))
        if pieces:
            return pl.concat(pieces, rechunk=False)
        return pl.read_ipc(self.folder.part(0), columns=columns)

    def texts(self, numbers: Sequence[int]) -> dict[int, str]:
        """Return the texts of a few rows by their `AT`."""
        found: dict[int, str] = {}
        for index in sorted({self._chunk_of(number) for number in numbers}):
            piece = pl.read_ipc(self.folder.part(index), columns=[AT, self.columns.text])
            found.update(piece.filter(pl.col(AT).is_in(list(numbers))).select(AT, self.columns.text).iter_rows())
        return found

    def _chunk_of(self, number: int) -> int:
        chunks = self.folder.job.chunks
        return next(index for index, chunk in enumerate(chunks) if chunk.at <= number < chunk.at + chunk.rows)

    def rejected(self, more: Mapping[int, str]) -> Iterator[dict[str, Any]]:
        """Yield every row that was left out, in order; `more` are those of later steps, the reason by `AT`."""
        for index, chunk in enumerate(self.folder.job.chunks):
            entries: list[dict[str, Any]] = []
            if self._markers[index]["rejected"]:
                with self.folder.rejected(index).open(encoding="utf-8", newline="\n") as stream:
                    entries += [json.loads(line) for line in stream]
            if any(number in more for number in range(chunk.at, chunk.at + chunk.rows)):
                entries += self._later(index, more)
            for item in sorted(entries, key=lambda item: item[AT]):
                del item[AT]
                yield item

    def _later(self, index: int, more: Mapping[int, str]) -> Iterator[dict[str, Any]]:
        from lighten.data.rejected import entry

        wanted = [FILE, ROW, AT, ORIGINAL, self.columns.text]
        piece = pl.read_ipc(self.folder.part(index), columns=wanted).select(wanted)
        for file, row, number, original, text in piece.iter_rows():
            if number in more:
                yield {**entry(file, row, more[number], text if original is None else original), AT: number}


def read_rows(
    source: str | list[str],
    columns: Columns,
    steps: Sequence[TableStep],
    work: Work,
    progress: Progress,
    reject: bool = False,
    required: Mapping[str, str] | None = None,
    stage: Stage | None = None,
) -> Rows:
    """Read a source and carry out the row-wise steps that come first, in chunks and maybe several processes.

    Args:
        source: of the recipe.
        columns: the roles of its columns.
        steps: all steps; those up to the first that is not row-wise are carried out.
        work: where, with how many processes, in how large chunks.
        progress: told what is fetched.
        reject: whether rows that cannot be read are left out.
        required: columns that must have a value, by the reason code of rows without one.
        stage: told how far the work is.

    Raises:
        InputError: see `open_files` and `lighten.data.load`.
    """
    first = leading(steps)
    resolved = resolve_all(source, columns.base, progress)
    key = digest(
        {
            "version": VERSION,
            "sources": [[item.fingerprint, [path.name for path in item.paths]] for item in resolved],
            "columns": [columns.text, columns.label, columns.group, columns.part, columns.seed],
            "steps": [step_to_dict(step) for step in first],
            "read": [
                item.fingerprint
                for step in first
                for source in step.sources()
                for item in resolve_all(source, columns.base, progress)
            ],
            "reject": reject,
            "required": dict(required or {}),
            "versions": versions(),
        }
    )
    folder = JobFolder(work.folder / f"rows-{key}")
    complete = folder.path / "complete"
    if not complete.is_file():
        spool = work.folder / f"spool-{key}"
        try:
            paths = [path for item in resolved for path in item.paths]
            layouts, chunks = open_files(paths, f"data.{columns.part}", spool, work.rows, work.size)
            job = Job(layouts, chunks, columns, list(first), reject, dict(required or {}))
            schema, whole = find_columns(job, work, folder)
            check_columns(schema, columns, layouts[0].name)
            check_required(schema, required or {}, layouts[0].name)
            folder.write(replace(job, whole=whole), schema)
            run_tasks(folder, work.workers, work.executor, stage)
            check_rows(Rows(folder, columns, len(first)), first)
            complete.touch()
        finally:
            shutil.rmtree(spool, ignore_errors=True)
    rows = Rows(folder, columns, len(first))
    check_rows(rows, first)
    return rows


def leading(steps: Sequence[TableStep]) -> list[TableStep]:
    """Return the row-wise steps at the begin."""
    found = []
    for step in steps:
        if not step.rowwise or step.after_split:
            break
        found.append(step)
    return found


def check_rows(rows: Rows, steps: Sequence[TableStep]) -> None:
    """Check what only all chunks together can tell, in the order in which it came about.

    Raises:
        InputError: no row is left, or what a step saw cannot be meant.
    """
    part = f"data.{rows.columns.part}"
    chunks: list[Chunk] = rows.folder.job.chunks
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
