"""Types of the columns of JSON lines: what a value is, and what holds the values of two pieces of a file.

The outcome does not depend on the order or the size of the pieces.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

Schema = dict[str, pl.DataType]
NESTED = pl.Struct([])
"""Stands for columns of objects, of lists of lists and the like, whatever is in them."""
_WIDE = (pl.Int128, pl.UInt64, pl.Decimal)


def plain(schema: Mapping[str, pl.DataType]) -> Schema:
    """Return the types that polars found, without those that no step could do anything with."""
    return {name: _simple(kind) for name, kind in schema.items()}


def _simple(kind: Any) -> pl.DataType:
    if isinstance(kind, pl.List):
        inner = _simple(kind.inner)
        return NESTED if inner.is_nested() else pl.List(inner)
    if kind.is_nested():
        return NESTED
    return pl.String() if kind in _WIDE else kind  # type: ignore[no-any-return]


def kind_of(value: Any) -> pl.DataType:
    """Return the type of a column with this value alone."""
    if value is None:
        return pl.Null()
    if isinstance(value, bool):
        return pl.Boolean()
    if isinstance(value, int):
        return pl.Int64() if -(2**63) <= value < 2**63 else pl.String()
    if isinstance(value, float):
        return pl.Float64()
    if isinstance(value, str):
        return pl.String()
    if isinstance(value, dict):
        return NESTED
    inner: pl.DataType = pl.Null()
    for item in value:
        inner = _common(inner, kind_of(item))
    return NESTED if inner.is_nested() or any(isinstance(item, (dict, list)) for item in value) else pl.List(inner)


def merge(one: Schema, other: Schema) -> Schema:
    """Return the types that hold the values of both; the order of columns is that of first appearance."""
    merged = dict(one)
    for name, kind in other.items():
        merged[name] = _common(merged[name], kind) if name in merged else kind
    return merged


def _common(one: pl.DataType, other: pl.DataType) -> pl.DataType:
    if one == other or other == pl.Null:
        return one
    if one == pl.Null:
        return other
    if one.is_numeric() and other.is_numeric():
        return pl.concat([pl.DataFrame(schema={"a": kind}) for kind in (one, other)], how="vertical_relaxed").schema[
            "a"
        ]
    if isinstance(one, pl.List) and isinstance(other, pl.List):
        inner = _common(made(one.inner), made(other.inner))
        return NESTED if inner.is_nested() else pl.List(inner)
    return NESTED if one.is_nested() and other.is_nested() else pl.String()


def made(kind: Any) -> pl.DataType:
    """Return a type as an object, which polars also writes as a class."""
    return kind() if isinstance(kind, type) else kind  # type: ignore[no-any-return]


def held(kind: pl.DataType) -> pl.DataType:
    """Return the type that a column has in memory: nested values are kept as text."""
    return pl.String() if kind == NESTED else kind
