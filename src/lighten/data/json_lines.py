"""Reads some lines of a JSON lines file: polars where all is well, line by line where not; types agree in all pieces.

A column's type is that of all its values in the whole source, so that where the file is cut changes nothing: numbers
stay numbers, and a column of several kinds of value becomes text, spelt in one way by both readers.
"""

from __future__ import annotations

import io
import json
import re
from decimal import Decimal
from typing import Any

import polars as pl

from lighten.data.faults import Fault, Numbered
from lighten.data.json_types import Schema, held, kind_of, made, merge, plain
from lighten.data.records import Record, lines_of

# Polars takes half of a surrogate pair for a NUL, and a NUL in a name for its end.
_SUSPECT = re.compile(rb"\\u[dD][89a-fA-F]")
# Polars spells an object in a column of text as no JSON, and guesses types of lists in its own way.
_INNER = re.compile(rb'":[ \t]*[\[{]')
# A line that does not begin as an object does. Each begins with a literal, which is found at the speed of C.
_ODD = re.compile(rb"\n[ \t\r]*[^{ \t\r]")
_ODD_FIRST = re.compile(rb"[ \t\r]*[^{ \t\r]")


def find_schema(raw: bytes) -> Schema:
    """Return the type of every column in these lines; lines that cannot be read do not count."""
    try:
        regular = _regular(raw)
        if regular is not None:
            return plain(pl.read_ndjson(regular, infer_schema_length=None).schema)
    except (pl.exceptions.PolarsError, UnicodeDecodeError):
        pass
    kinds: dict[str, pl.DataType] = {}
    for record in lines_of(io.BytesIO(raw)):
        found = _parsed(record)
        if isinstance(found, dict):
            kinds = merge(kinds, {key: kind_of(value) for key, value in found.items()})
    return kinds


def read_lines(raw: bytes, schema: Schema, rows: int) -> tuple[pl.DataFrame, list[Fault]]:
    """Read lines.

    Args:
        raw: their bytes.
        schema: types of the columns, at least those of `find_schema`.
        rows: how many lines there are.

    Returns:
        The lines that can be read with their number (from 0) in the column `Numbered.COLUMN`, a blank line as a row
        of nulls; and the lines that cannot.
    """
    try:
        regular = _regular(raw)
        if regular is not None and schema:  # without columns polars looks at nothing
            table = pl.read_ndjson(regular, schema={name: held(kind) for name, kind in schema.items()})
            if table.height == rows:
                return table.with_columns(pl.int_range(pl.len()).alias(Numbered.COLUMN)), []
    except (pl.exceptions.PolarsError, UnicodeDecodeError):
        pass
    return _slowly(raw, schema)


def _regular(raw: bytes) -> bytes | None:
    """Return the lines as polars reads them rightly, or None where it does not.

    It passes over blank lines, which get an empty object here; and it takes a null for a row.

    Raises:
        UnicodeDecodeError: the bytes are not UTF-8.
    """
    raw.decode()
    if _SUSPECT.search(raw) or _INNER.search(raw):
        return None
    if not _ODD_FIRST.match(raw) and not _ODD.search(raw):
        return raw
    lines = [line.strip() or b"{}" for line in raw.removesuffix(b"\n").split(b"\n")]
    return b"\n".join(lines) if all(line.startswith(b"{") for line in lines) else None


def _slowly(raw: bytes, schema: Schema) -> tuple[pl.DataFrame, list[Fault]]:
    good, faults = Numbered(), []
    for number, record in enumerate(lines_of(io.BytesIO(raw))):
        found = _parsed(record)
        if isinstance(found, dict):
            good.add(number, found)
        else:
            faults.append(Fault(number, number, *found, record.raw))
    columns = [_column(name, [row.get(name) for row in good.values], kind) for name, kind in schema.items()]
    return pl.DataFrame([*columns, good.numbers()]), faults


def _parsed(record: Record) -> dict[str, Any] | tuple[str, str]:
    """Return the object on a line, or the reason code and a sentence."""
    if record.blank:
        return {}
    try:
        row = json.loads(record.raw.decode(), parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        return "invalid_utf8", f"byte {error.start} of the line is not UTF-8; save the file as UTF-8"
    except (ValueError, RecursionError) as error:
        return "invalid_json", f"not valid JSON: {error}"
    if not isinstance(row, dict):
        return "no_object", f"expected a JSON object per line, found {type(row).__name__}"
    if _SUSPECT.search(record.raw) and not _encodable(row):
        return "surrogate", "half of a character: a surrogate without its other half"
    return row


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _encodable(row: Any) -> bool:
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _column(name: str, values: list[Any], kind: pl.DataType) -> pl.Series:
    kind = held(kind)
    inner = kind.inner if isinstance(kind, pl.List) else None
    if inner is not None:
        values = [None if value is None else [_fitting(item, made(inner)) for item in value] for value in values]
    else:
        values = [_fitting(value, kind) for value in values]
    return pl.Series(name, values, dtype=kind)


def _fitting(value: Any, kind: pl.DataType) -> Any:
    if kind == pl.String:
        return _spelt(value)
    return float(value) if kind == pl.Float64 and value is not None else value


def _spelt(value: Any) -> str | None:
    """Spell a value as polars does where it makes text of one."""
    return value if value is None or isinstance(value, str) else _as_json(value)


def _as_json(value: Any) -> str:
    if isinstance(value, float):
        return format(Decimal(repr(value)), "f").removesuffix(".0")
    if isinstance(value, list):
        return f"[{', '.join(map(_as_json, value))}]"
    if isinstance(value, dict):
        return (
            "{"
            + ", ".join(f"{json.dumps(key, ensure_ascii=False)}: {_as_json(item)}" for key, item in value.items())
            + "}"
        )
    return json.dumps(value, ensure_ascii=False)
