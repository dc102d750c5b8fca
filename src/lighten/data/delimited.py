"""CSV and TSV: polars reads; the csv module judges, so that no ragged row, byte or quote is passed over in silence."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import polars as pl

from lighten.errors import InputError


@dataclass(frozen=True)
class Dialect:
    """How a delimited file is laid out.

    Args:
        separator: between the fields of a row.
        skip: lines after the header that are no data (two in Orange's ``.tab``).
    """

    separator: str = ","
    skip: int = 0


def read_delimited(raw: bytes, name: str, dialect: Dialect) -> pl.DataFrame:
    """Read CSV or TSV bytes; every column is text, an empty field is null.

    Args:
        raw: the file's content, unpacked.
        name: the file's name, for the errors.
        dialect: separator and lines to skip.

    Raises:
        InputError: not UTF-8, a row with more or fewer fields than the header, an open quote, two columns of one name.
    """
    text = _decode(raw, name, dialect)
    header = next(_rows(text, dialect), [])
    twice = next((column for index, column in enumerate(header) if column and column in header[:index]), None)
    if twice is not None:
        raise InputError(f"two columns are called {twice!r}", f"{name}, row 1")
    quoted = _is_quoted(text, name, dialect)
    try:
        table = pl.read_csv(
            text.encode(),
            separator=dialect.separator,
            quote_char='"' if quoted else None,
            skip_rows_after_header=dialect.skip,
            infer_schema=False,
        )
    except pl.exceptions.NoDataError:
        raise InputError("the file is empty", name) from None
    except pl.exceptions.PolarsError:
        check(text, name, dialect, quoted)
        return _read_slowly(text, dialect, quoted)  # the csv module finds nothing wrong with it
    # Polars pads a short row with nulls, and a null in the last column is the mark it leaves.
    short = bool(table.width > 1 and table.to_series(table.width - 1).null_count())
    if short or (quoted and text.count('"') % 2):
        check(text, name, dialect, quoted)
    return table.with_columns(pl.all().replace("", None)) if quoted and '""' in text else table


def check(text: str, name: str, dialect: Dialect, quoted: bool = True) -> None:
    """Raise `InputError` for the first row that has not as many fields as the header, or whose quote stays open."""
    problem = _first_problem(text, dialect, quoted)
    if problem is not None:
        row, line, message = problem
        where = f"{name}, row {row}" + (f" (line {line})" if line != row else "")
        raise InputError(message, where)


def _first_problem(text: str | TextIO, dialect: Dialect, quoted: bool) -> tuple[int, int, str] | None:
    reader = reader_of(text, dialect, quoted)
    number, start, expected = 0, 1, 0
    with long_fields():
        while True:
            start = reader.line_num + 1
            try:
                fields = next(reader)
            except StopIteration:
                return None
            except csv.Error as error:
                open_quote = "end of data" in str(error)
                message = "a quote that is opened here is never closed" if open_quote else f"bad quoting: {error}"
                return number + 1, start, message
            number += 1
            if number == 1:
                expected = len(fields)
            elif number > 1 + dialect.skip and len(fields) != expected and not _is_blank(fields):
                return number, start, f"expected {expected} fields as in the header, found {len(fields)}"


def _is_blank(fields: list[str]) -> bool:
    return not fields or (len(fields) == 1 and not fields[0].strip())


def _is_quoted(text: str, name: str, dialect: Dialect) -> bool:
    """Return whether quotes quote. In a TSV they may as well be part of the text: the regular reading wins."""
    if dialect.separator == "," or '"' not in text:
        return dialect.separator == ","
    if _first_problem(text, dialect, True) is not None:
        return _first_problem(text, dialect, False) is not None
    if _first_problem(text, dialect, False) is not None or _all_quoted(text, dialect):
        return True
    # Both may be regular. Where quoting would join lines that are whole rows each, the quotes are text.
    return _count(text, dialect, True) == _count(text, dialect, False)


def is_quoted(path: Path, dialect: Dialect) -> bool:
    """Return whether quotes quote in a file, judged as by `read_delimited`, in memory that does not grow with it."""
    if dialect.separator == ",":
        return True
    with path.open("rb") as stream:
        if not any(b'"' in block for block in iter(lambda: stream.read(1 << 20), b"")):
            return False

    def judged(judge: Callable[[TextIO, Dialect, bool], Any], quoted: bool) -> Any:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
            return judge(stream, dialect, quoted)

    plain = judged(_first_problem, False) is not None
    if judged(_first_problem, True) is not None:
        return plain
    return plain or judged(_all_quoted, False) or bool(judged(_count, True) == judged(_count, False))


def _all_quoted(text: str | TextIO, dialect: Dialect, quoted: bool = False) -> bool:
    """Return whether every name in the header stands between quotes, as where a program quotes everything."""
    with long_fields():
        names: list[str] = next(reader_of(text, dialect, quoted), [])
    return all(len(name) > 1 and name[0] == name[-1] == '"' for name in names)


def _count(text: str | TextIO, dialect: Dialect, quoted: bool) -> int:
    with long_fields():
        return sum(1 for _ in reader_of(text, dialect, quoted))


def _read_slowly(text: str, dialect: Dialect, quoted: bool) -> pl.DataFrame:
    with long_fields():
        rows = list(reader_of(text, dialect, quoted))
    header, body = rows[0], rows[1 + dialect.skip :]
    filled = [row if not _is_blank(row) or len(header) == 1 else [""] * len(header) for row in body]
    columns = {
        column: [row[index] or None if index < len(row) else None for row in filled]
        for index, column in enumerate(header)
    }
    return pl.DataFrame(columns, schema={column: pl.String for column in header})


def _rows(text: str, dialect: Dialect) -> Iterator[list[str]]:
    with long_fields():
        try:
            yield from csv.reader(io.StringIO(text, newline=""), delimiter=dialect.separator)
        except csv.Error:
            return


def reader_of(text: str | TextIO, dialect: Dialect, quoted: bool) -> csv._reader:  # type: ignore[name-defined]
    """Return the csv module's reader of a text; it tells every irregularity."""
    stream = io.StringIO(text, newline="") if isinstance(text, str) else text
    if quoted:
        return csv.reader(stream, delimiter=dialect.separator, strict=True)
    return csv.reader(stream, delimiter=dialect.separator, quoting=csv.QUOTE_NONE, strict=True)


@contextmanager
def long_fields() -> Iterator[None]:
    """Lift the csv module's limit of 131,072 characters per field: documents are longer."""
    old = csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    try:
        yield
    finally:
        csv.field_size_limit(old)


def _decode(raw: bytes, name: str, dialect: Dialect) -> str:
    if not raw.strip():
        raise InputError("the file is empty", name)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("latin-1")
        row = max(1, sum(1 for _ in _rows(before + "x", dialect)))
        utf16 = "; it looks like UTF-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else ""
        message = f"byte {error.start} (0x{raw[error.start]:02x}) is not UTF-8{utf16}; save the file as UTF-8"
        raise InputError(message, f"{name}, row {row}") from None
    if "\r" in text and "\n" not in text:  # old Mac line ends, which polars takes for one line
        text = text.replace("\r", "\n")
    return text
