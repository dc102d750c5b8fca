"""A part of the data after reading and the row-wise steps: on disk in pieces, as a table, or as an index of it."""

from __future__ import annotations

import json
import shutil
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from lighten.data.check_rows import check_rows
from lighten.data.chunk_rows import ORIGINAL
from lighten.data.columns import AT, FILE, KEY, RANKS, ROW, Columns
from lighten.data.executor import run_tasks
from lighten.data.job import Job, JobFolder
from lighten.data.load import check_columns, resolve_all
from lighten.data.notes import Note, merge_notes
from lighten.data.opened import open_files
from lighten.data.sizes import busy
from lighten.data.survey import check_required, find_columns
from lighten.data.table_step import TableStep
from lighten.data.threads import Made, in_order
from lighten.data.work import Work
from lighten.pipeline import digest, step_to_dict
from lighten.pipeline.artifact import versions
from lighten.progress import Progress, Stage

VERSION = 1
"""Raised when the same sources and steps come to leave other files."""


class Rows:
    """What is left of a source: `read` is how many rows it had, `notes` the reports of the steps, merged."""

    def __init__(self, folder: JobFolder, columns: Columns, steps: int, workers: int = 1) -> None:
        self.folder, self.columns, self.steps, self.workers = folder, columns, steps, workers
        self._markers = list(folder.markers())
        self.read = sum(chunk.rows for chunk in folder.job.chunks)
        self.notes: list[Note] = merge_notes(marker["notes"] for marker in self._markers)
        self.height = sum(marker["rows"] for marker in self._markers)

    @cached_property
    def names(self) -> list[str]:
        """The columns of the source."""
        return list(self.folder.schema or ())

    def map(self, function: Callable[[pl.DataFrame], Made], columns: Sequence[str]) -> Iterator[Made]:
        """Yield what a function makes of the rows, in order, a chunk at a time."""
        filled = [self.folder.part(index) for index, marker in enumerate(self._markers) if marker["rows"]]
        return in_order(lambda path: function(pl.read_ipc(path, columns=list(columns))), filled, self.workers)

    def table(self) -> pl.DataFrame:
        """Return all rows with the columns of the source and those that name a row."""
        return self._whole([*self.names, FILE, ROW, AT])

    def index(self) -> pl.DataFrame:
        """Return all rows with all that splitting needs and no text: labels, groups, names, digests and ranks."""
        roles = [name for name in (self.columns.label, self.columns.group) if name in self.names]
        return self._whole([*[str(name) for name in roles], FILE, ROW, AT, KEY, *RANKS.values()])

    def _whole(self, columns: list[str]) -> pl.DataFrame:
        pieces = list(self.map(lambda piece: piece, columns))
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
        dropped = sorted(more)

        def entries(index: int) -> list[dict[str, Any]]:
            chunk, found = self.folder.job.chunks[index], list[dict[str, Any]]()
            if self._markers[index]["rejected"]:
                with self.folder.rejected(index).open(encoding="utf-8", newline="\n") as stream:
                    found += [json.loads(line) for line in stream]
            mine = dropped[bisect_left(dropped, chunk.at) : bisect_left(dropped, chunk.at + chunk.rows)]
            if mine:
                found += self._later(index, mine, more)
            return sorted(found, key=lambda item: item[AT])

        for found in in_order(entries, range(len(self._markers)), self.workers):
            for item in found:
                del item[AT]
                yield item

    def _later(self, index: int, numbers: Sequence[int], more: Mapping[int, str]) -> Iterator[dict[str, Any]]:
        from lighten.data.rejected import entry

        wanted = [FILE, ROW, AT, ORIGINAL, self.columns.text]
        piece = pl.read_ipc(self.folder.part(index), columns=wanted).select(wanted)
        for file, row, number, original, text in piece.filter(pl.col(AT).is_in(list(numbers))).iter_rows():
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
            _hire(paths, work)
            layouts, chunks = open_files(paths, f"data.{columns.part}", spool, work.rows, work.size)
            job = Job(layouts, chunks, columns, list(first), reject, dict(required or {}))
            schema, whole = find_columns(job, work, folder)
            check_columns(schema, columns, layouts[0].name)
            check_required(schema, required or {}, layouts[0].name)
            folder.write(replace(job, whole=whole), schema)
            run_tasks(folder, work.workers, work.executor, stage, work.crew)
            check_rows(Rows(folder, columns, len(first)), first)
            complete.touch()
        finally:
            shutil.rmtree(spool, ignore_errors=True)
    rows = Rows(folder, columns, len(first), work.workers)
    check_rows(rows, first)
    return rows


def _hire(paths: Sequence[Path], work: Work) -> None:
    """Start helpers before it is known how the files will be cut, where they will have something to do."""
    if work.crew is not None and work.executor == "local" and work.workers > 1:
        size = sum(path.stat().st_size for path in paths if path.is_file())
        work.crew.hire(busy(size, work.workers, work.size))


def leading(steps: Sequence[TableStep]) -> list[TableStep]:
    """Return the row-wise steps at the begin."""
    found = []
    for step in steps:
        if not step.rowwise or step.after_split:
            break
        found.append(step)
    return found
