"""Reads some rows of a CSV or TSV file: polars where they are regular, the csv module row by row where not."""

from __future__ import annotations

import csv
import io

import polars as pl

from lighten.data.delimited import Dialect, long_fields, reader_of
from lighten.data.faults import Fault, Numbered
from lighten.data.records import rows_of


def read_rows(
    raw: bytes, columns: list[str], dialect: Dialect, quoted: bool, rows: int
) -> tuple[pl.DataFrame, list[Fault]]:
    """Read whole rows without their header; every column is text, an empty field and a blank line are null.

    Args:
        raw: the bytes of the rows.
        columns: names of the columns.
        dialect: separator.
        quoted: whether quotes quote.
        rows: how many there are.

    Returns:
        The rows that can be read with their number (from 0) in the column `Numbered.COLUMN`, and those that cannot.
    """
    table = _quickly(raw, columns, dialect, quoted, rows)
    if table is not None:
        return table.with_columns(pl.int_range(pl.len()).alias(Numbered.COLUMN)), []
    return _slowly(raw, columns, dialect, quoted)


def _quickly(raw: bytes, columns: list[str], dialect: Dialect, quoted: bool, rows: int) -> pl.DataFrame | None:
    """Return the table, or None where the csv module has to judge."""
    if quoted and raw.count(b'"') % 2:
        return None
    try:
        raw.decode()
        table = pl.read_csv(
            raw,
            has_header=False,
            schema=dict.fromkeys(columns, pl.String),
            separator=dialect.separator,
            quote_char='"' if quoted else None,
        )
    except (pl.exceptions.PolarsError, UnicodeDecodeError):
        return None
    # Polars pads a short row with nulls, and a null in the last column is the mark it leaves.
    if table.height != rows or (table.width > 1 and table.to_series(table.width - 1).null_count()):
        return None
    return table.with_columns(pl.all().replace("", None)) if quoted and b'""' in raw else table


def _slowly(raw: bytes, columns: list[str], dialect: Dialect, quoted: bool) -> tuple[pl.DataFrame, list[Fault]]:
    good, faults, line = Numbered(), [], 0
    for number, record in enumerate(rows_of(io.BytesIO(raw), dialect, quoted)):
        found = _fields(record.raw, dialect, quoted, len(columns))
        if isinstance(found, tuple):
            faults.append(Fault(number, line, *found, record.raw))
        else:
            good.add(number, found)
        line += record.lines
    data = {column: [row[index] or None for row in good.values] for index, column in enumerate(columns)}
    table = pl.DataFrame(data, schema=dict.fromkeys(columns, pl.String))
    return table.with_columns(good.numbers()), faults


def _fields(raw: bytes, dialect: Dialect, quoted: bool, expected: int) -> list[str] | tuple[str, str]:
    """Return the fields of a row, or the reason code and a sentence."""
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        byte = raw[error.start]
        return "invalid_utf8", f"byte {error.start} of the row (0x{byte:02x}) is not UTF-8; save the file as UTF-8"
    reader = reader_of(text, dialect, quoted)
    with long_fields():
        try:
            fields: list[str] = next(reader, [])
        except csv.Error as error:
            if "end of data" in str(error):
                return "open_quote", "a quote that is opened here is never closed"
            return "bad_quoting", f"bad quoting: {error}"
    if not fields or (len(fields) == 1 and not fields[0].strip()):
        return [""] * expected
    if len(fields) != expected:
        return "ragged_row", f"expected {expected} fields as in the header, found {len(fields)}"
    return fields
