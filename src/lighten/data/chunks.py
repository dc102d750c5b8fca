"""Cuts files into chunks of bounded size: where each begins and ends is found in one pass that keeps nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import polars as pl

from lighten.data.delimited import Dialect
from lighten.data.records import Record, lines_of, rows_of
from lighten.data.sizes import ROWS, SIZE
from lighten.errors import InputError


@dataclass(frozen=True)
class Layout:
    """How a file is laid out.

    Args:
        path: where its unpacked bytes are.
        name: of the user's file, for messages.
        format: how to read it.
        separator: of a delimited file.
        columns: of a delimited file.
        quoted: whether quotes quote in a delimited file.
    """

    path: str
    name: str
    format: Literal["lines", "delimited", "parquet", "arrow"]
    separator: str = ","
    columns: tuple[str, ...] = ()
    quoted: bool = True

    @property
    def dialect(self) -> Dialect:
        """The dialect of a delimited file."""
        return Dialect(self.separator)


@dataclass(frozen=True)
class Chunk:
    """Some rows of a file that follow each other.

    Args:
        file: which of the files.
        start: first byte, or first row of a table.
        stop: the byte or row after the last.
        rows: how many there are.
        row: number of the first one in its file, as an editor counts.
        line: the line it begins on.
        at: number of the first one among all rows of the source, from 0.
        long: whether this is one row that is too long to be read; the bytes are its first ones.
    """

    file: int
    start: int
    stop: int
    rows: int
    row: int
    line: int
    at: int
    long: bool = False

    def moved(self, file: int, at: int) -> Chunk:
        """Return the chunk as one of a later file."""
        return replace(self, file=file, at=self.at + at)


def cut_text(layout: Layout, start: int, row: int, line: int, rows: int = ROWS, size: int = SIZE) -> list[Chunk]:
    """Cut a text file.

    Args:
        layout: of the file.
        start: byte at which the rows begin.
        row: number of the first row.
        line: number of its line.
        rows: of a chunk at most.
        size: bytes of a chunk, about.

    Raises:
        InputError: a quote is never closed: nobody knows where the rows end.
    """
    chunks: list[Chunk] = []
    begin, count, length, lines = start, 0, 0, 0
    blanks: list[Record] = []  # at the end of a file they are no rows

    def close(kept: int | None = None) -> None:
        nonlocal begin, count, length, lines, row, line
        if count:
            at = chunks[-1].at + chunks[-1].rows if chunks else 0
            stop = begin + (length if kept is None else kept)
            chunks.append(Chunk(0, begin, stop, count, row, line, at, kept is not None))
        begin, row, line = begin + length, row + count, line + lines
        count = length = lines = 0

    for record in _records(layout, start):
        if record.blank:
            blanks.append(record)
            continue
        for item in (*blanks, record):
            if item.problem == "open_quote":
                number, at = row + count, line + lines
                where = f"{layout.name}, row {number}" + (f" (line {at})" if at != number else "")
                raise InputError("a quote that is opened here is never closed", where)
            too_long = item.problem == "long_row"
            if count == rows or (count and length + item.size > size) or too_long:
                close()
            count, length, lines = count + 1, length + item.size, lines + item.lines
            if too_long:
                close(len(item.raw))
        blanks.clear()
    close()
    return chunks


def _records(layout: Layout, start: int) -> Iterator[Record]:
    with Path(layout.path).open("rb") as stream:
        stream.seek(start)
        yield from lines_of(stream) if layout.format == "lines" else rows_of(stream, layout.dialect, layout.quoted)


def cut_table(height: int, rows: int = ROWS) -> list[Chunk]:
    """Cut a Parquet or Arrow file with `height` rows."""
    return [
        Chunk(0, start, min(start + rows, height), min(rows, height - start), start + 1, start + 1, start)
        for start in range(0, height, rows)
    ]


def read_bytes_of(layout: Layout, chunk: Chunk) -> bytes:
    """Return the bytes of a chunk of text."""
    with Path(layout.path).open("rb") as stream:
        stream.seek(chunk.start)
        return stream.read(chunk.stop - chunk.start)


def read_slice(layout: Layout, chunk: Chunk) -> pl.DataFrame:
    """Return a chunk of a Parquet or Arrow file."""
    scan: Any = pl.scan_parquet if layout.format == "parquet" else pl.scan_ipc
    table: pl.DataFrame = scan(layout.path).slice(chunk.start, chunk.rows).collect()
    return table
