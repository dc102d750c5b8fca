"""JSON lines and JSON arrays: polars reads where all is well; the slow path finds the line at fault."""

from __future__ import annotations

import json
from typing import Any

import polars as pl

from lighten.errors import InputError


def read_json_lines(raw: bytes, name: str) -> pl.DataFrame:
    """Read one JSON object per line; a key that a line lacks is null there, a blank line is a row of nulls.

    Raises:
        InputError: empty, not UTF-8, or a line that is no JSON object.
    """
    if not raw.strip():
        raise InputError("the file is empty", name)
    text = raw.removeprefix(b"\xef\xbb\xbf")
    # A blank line would shift the row numbers, so those files take the slow path.
    if b"\n\n" not in text and b"\n\r\n" not in text and not text[:1].isspace():
        try:
            text.decode()
            return pl.read_ndjson(text, infer_schema_length=None)
        except (pl.exceptions.PolarsError, UnicodeDecodeError):
            pass
    rows = []
    for number, line in enumerate(text.split(b"\n"), start=1):
        rows.append(_json_row(line, f"{name}, row {number}") if line.strip() else {})
    while rows and not rows[-1]:
        rows.pop()
    return pl.from_dicts(rows, infer_schema_length=None, strict=False)


def _json_row(line: bytes, where: str) -> dict[str, object]:
    try:
        row = json.loads(line.decode())
    except UnicodeDecodeError as error:
        raise InputError(f"byte {error.start} of the line is not UTF-8; save the file as UTF-8", where) from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"not valid JSON: {error}", where) from None
    if not isinstance(row, dict):
        raise InputError(f"expected a JSON object per line, found {type(row).__name__}", where)
    return row


def read_json_array(raw: bytes, name: str) -> pl.DataFrame:
    """Read one JSON array of objects; errors as of `read_json_lines`."""
    rows = json_array(raw, name)
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise InputError(f"expected an object, found {type(row).__name__}", f"{name}, row {number}")
    return pl.from_dicts(rows, infer_schema_length=None, strict=False) if rows else pl.DataFrame()


def json_array(raw: bytes, name: str) -> list[Any]:
    """Return the elements of one JSON array.

    Raises:
        InputError: empty, not UTF-8, or no JSON array.
    """
    if not raw.strip():
        raise InputError("the file is empty", name)
    try:
        rows = json.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        row = raw[: error.start].count(b"\n") + 1
        raise InputError(f"byte {error.start} is not UTF-8; save the file as UTF-8", f"{name}, line {row}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"not valid JSON: {error}", name) from None
    if not isinstance(rows, list):
        raise InputError(f"expected a JSON array of objects, found {type(rows).__name__}", name)
    return rows
