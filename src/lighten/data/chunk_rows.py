"""Reads one chunk and carries out the row-wise steps on it: the whole work on a row that knows no other row."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from typing import Any

import polars as pl

from lighten.data.chunks import Chunk, Layout, read_bytes_of, read_slice
from lighten.data.columns import AT, FILE, KEY, RANKS, ROW, Columns
from lighten.data.deduplicate import keys
from lighten.data.delimited_rows import read_rows
from lighten.data.faults import Fault, Numbered, refuse
from lighten.data.filter import Filter
from lighten.data.job import Job
from lighten.data.json_lines import read_lines
from lighten.data.json_types import Schema, held
from lighten.data.labels import label_texts
from lighten.data.load import split_complete, split_usable
from lighten.data.records import LIMIT
from lighten.data.rejected import SHOWN, collecting, entry
from lighten.data.split import ranks
from lighten.data.table_step import TableStep, report
from lighten.errors import InputError

ORIGINAL = "__original__"
"""Internal column: the begin of the text as it was read, where it has been edited."""
INNER = (FILE, ROW, AT)
Entries = list[dict[str, Any]]


def do_chunk(job: Job, schema: Schema, chunk: Chunk) -> tuple[pl.DataFrame, list[dict[str, Any]], Entries]:
    """Read a chunk and carry out the steps.

    Args:
        job: what it is a part of.
        schema: types of the columns of all files.
        chunk: which rows.

    Returns:
        The rows left, the reports of reading and of the steps, and the rows left out with their reasons.

    Raises:
        InputError: a row cannot be read and is not to be left out.
    """
    started = time.perf_counter()
    layout = job.layouts[chunk.file]
    table, faults = read_chunk(layout, chunk, schema)
    if not job.reject:
        refuse(faults, layout.name, chunk.row, chunk.line)
    table = _named(table, layout, chunk, schema)
    table = table.with_columns(_text(table, job.columns.text))
    if job.columns.label is not None:
        labels = label_texts(table[job.columns.label], job.whole)
        table = table.with_columns(labels.alias(job.columns.label))
    rejected = [
        {**entry(layout.name, chunk.row + fault.number, fault.reason, fault.raw), AT: chunk.at + fault.number}
        for fault in faults
    ]
    originals = table.select(AT, pl.col(job.columns.text).alias(ORIGINAL))
    notes = [_reading(chunk, faults, time.perf_counter() - started)]
    for step in _stages(job):
        table, note, gone = carry_out(step, table, job.columns, job.required)
        notes.append(note)
        for reason, rows in gone:
            told = rows.select(FILE, ROW, AT).join(originals, on=AT, how="left", maintain_order="left")
            rejected += [{**entry(file, row, reason, text), AT: at} for file, row, at, text in told.iter_rows()]
    rejected.sort(key=lambda item: item[AT])
    return _finished(table, job.columns, originals), notes, rejected


def read_chunk(layout: Layout, chunk: Chunk, schema: Schema) -> tuple[pl.DataFrame, list[Fault]]:
    """Return the rows of a chunk that can be read, numbered, and those that cannot."""
    try:
        if chunk.long:
            fault = Fault(0, 0, "long_row", f"the row has more than {LIMIT:,} bytes", read_bytes_of(layout, chunk))
            return pl.DataFrame(schema={**schema, Numbered.COLUMN: pl.Int64}), [fault]
        if layout.format == "lines":
            return read_lines(read_bytes_of(layout, chunk), schema, chunk.rows)
        if layout.format == "delimited":
            raw = read_bytes_of(layout, chunk)
            return read_rows(raw, list(layout.columns), layout.dialect, layout.quoted, chunk.rows)
        return read_slice(layout, chunk).with_columns(pl.int_range(pl.len()).alias(Numbered.COLUMN)), []
    except (pl.exceptions.PolarsError, OSError, TypeError, OverflowError) as error:
        where = f"{layout.name}, rows {chunk.row} to {chunk.row + chunk.rows - 1}"
        raise InputError(f"cannot be read: {str(error).splitlines()[0]}", where) from None


def _named(table: pl.DataFrame, layout: Layout, chunk: Chunk, schema: Schema) -> pl.DataFrame:
    """Bring the columns into their common order and types, and name the rows."""
    number = pl.col(Numbered.COLUMN).cast(pl.Int64)
    return table.select(
        *[
            (pl.col(name) if name in table.columns else pl.lit(None).alias(name)).cast(held(kind))
            for name, kind in schema.items()
        ],
        pl.lit(layout.name).alias(FILE),
        (number + chunk.row).alias(ROW),
        (number + chunk.at).alias(AT),
    )


def _text(table: pl.DataFrame, column: str) -> pl.Series:
    return table[column].cast(pl.String)


def _reading(chunk: Chunk, faults: list[Fault], seconds: float) -> dict[str, Any]:
    reasons: dict[str, list[int]] = {}
    for fault in faults:
        reasons.setdefault(fault.reason, []).append(chunk.row + fault.number)
    note = report("read", chunk.rows, chunk.rows - len(faults))
    note["dropped"] = {reason: len(rows) for reason, rows in reasons.items()}
    note["dropped_rows"] = {reason: rows[:5] for reason, rows in reasons.items()}
    return {**note, "seconds": seconds}


def _stages(job: Job) -> list[TableStep | str]:
    """Return the steps, and where rows without text or label go: after the filters, and at the end."""
    stages: list[TableStep | str] = ["complete"] if job.required else []
    first = next((n for n, step in enumerate(job.steps) if not isinstance(step, Filter)), None)
    for number, step in enumerate(job.steps):
        stages += ["usable", step] if number == first else [step]
    return [*stages, "usable"]


def carry_out(
    step: TableStep | str, table: pl.DataFrame, columns: Columns, required: Mapping[str, str] | None = None
) -> tuple[pl.DataFrame, dict[str, Any], list[tuple[str, pl.DataFrame]]]:
    """Carry out one step on some rows; returns the rows left, the report with its seconds, and the dropped rows."""
    started = time.perf_counter()
    with collecting() as gone:
        if isinstance(step, TableStep):
            table, note = step.apply_to_piece(table, columns)
        elif step == "complete":
            table, note = split_complete(table, required or {})
        else:
            table, note = split_usable(table, columns)
    return table, {**note, "seconds": time.perf_counter() - started}, gone


def _finished(table: pl.DataFrame, columns: Columns, originals: pl.DataFrame) -> pl.DataFrame:
    """Add what later stages want to know of a row without reading its text."""
    texts = [text.encode() for text in keys(table[columns.text])]
    digests = [hashlib.blake2b(text, digest_size=16).digest() for text in texts]
    before = pl.col(ORIGINAL)
    return table.join(originals, on=AT, how="left", maintain_order="left").with_columns(
        pl.when(before != pl.col(columns.text)).then(before.str.slice(0, SHOWN)).alias(ORIGINAL),
        pl.Series(KEY, digests, dtype=pl.Binary),
        *[pl.Series(column, ranks(texts, columns.seed, purpose)) for purpose, column in RANKS.items()],
    )
