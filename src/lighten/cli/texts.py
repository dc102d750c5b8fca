"""Reads the texts to predict: lines, JSON lines or delimited tables, one at a time, with the standard library."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from lighten.errors import InputError, nearest

DELIMITERS = {".csv": ",", ".tsv": "\t"}


def read_texts(path: Path, column: str) -> Iterator[str]:
    """Return the texts of a file.

    Args:
        path: ``.jsonl`` or ``.ndjson`` (objects with the key `column`, or strings), ``.csv`` or ``.tsv`` with a
            heading, anything else: one text per line.
        column: the column or key that holds the text.

    Raises:
        InputError: the file cannot be read, is not UTF-8, or a row has no such column; named with its line.
    """
    if not path.is_file():
        raise InputError("there is no such file", str(path))
    kind = path.suffix.lower()
    if kind in (".jsonl", ".ndjson"):
        return _json_lines(path, column)
    if kind in DELIMITERS:
        return _table(path, column, DELIMITERS[kind])
    return _plain(path)


def lines(stream: Iterable[bytes], where: str) -> Iterator[str]:
    """Return the lines of a stream of bytes as texts, without their line ends; a blank line is an empty text."""
    for number, line in enumerate(stream, start=1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"not UTF-8: byte 0x{line[error.start]:02x}", f"{where}, line {number}") from None
        yield text.rstrip("\r\n")


def _plain(path: Path) -> Iterator[str]:
    with path.open("rb") as stream:
        yield from lines(stream, str(path))


def _json_lines(path: Path, column: str) -> Iterator[str]:
    for number, line in enumerate(_plain(path), start=1):
        where = f"{path}, line {number}"
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            raise InputError(f"not valid JSON: {error}", where) from None
        text = value.get(column) if isinstance(value, dict) else value
        if text is None and isinstance(value, dict) and column not in value:
            raise InputError(f"no key {column!r}{nearest(column, value)}", where)
        if not isinstance(text, str):
            raise InputError(f"{column!r} must be text; got {text!r}", where)
        yield text


def _table(path: Path, column: str, delimiter: str) -> Iterator[str]:
    with path.open("rb") as stream:
        # The csv module wants the line ends that `lines` removes, to keep those inside quotes.
        rows = csv.reader((f"{line}\n" for line in lines(stream, str(path))), delimiter=delimiter, strict=True)
        heading = next(rows, None)
        if heading is None:
            raise InputError("the file is empty", str(path))
        if column not in heading:
            raise InputError(f"no column {column!r}; found {', '.join(heading)}{nearest(column, heading)}", str(path))
        place = heading.index(column)
        try:
            for row in rows:
                if not row:
                    continue
                if len(row) != len(heading):
                    raise InputError(f"{len(row)} fields, expected {len(heading)}", f"{path}, line {rows.line_num}")
                yield row[place]
        except csv.Error as error:
            raise InputError(f"not valid CSV: {error}", f"{path}, line {rows.line_num}") from None
