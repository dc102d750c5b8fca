import json

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lighten.data.faults import Numbered
from lighten.data.json_lines import find_schema, read_lines
from lighten.data.json_types import merge

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from(["\ud800", "\0", ""]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=2),
    max_leaves=4,
)
LINE = (
    st.binary(max_size=8).map(lambda raw: raw.replace(b"\n", b""))
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.dictionaries(st.sampled_from("ab"), JSON).map(lambda row: json.dumps(row).encode())
)


def whole(pieces):
    schema = {}
    for piece in pieces:
        schema = merge(schema, find_schema(piece))
    return schema


def read(pieces, schema):
    tables, faults, at = [], [], 0
    for piece in pieces:
        rows = piece.count(b"\n")
        table, bad = read_lines(piece, schema, rows)
        assert table.height + len(bad) == rows
        tables.append(table.with_columns(pl.col(Numbered.COLUMN).cast(pl.Int64) + at))
        faults += [(at + fault.number, fault.reason) for fault in bad]
        at += rows
    return pl.concat(tables, how="vertical_relaxed"), faults


@settings(max_examples=200, deadline=None)
@given(st.lists(LINE, min_size=1, max_size=6))
@example([b'{"a": 1}', b'{"a": true}'])
@example([b'{"a": [1]}', b'{"a": {"x": 1}}'])
@example([b'{"a": 1.0}', b'{"a": 2}', b'{"a": "x"}', b'{"a": 1e-7}', b'{"a": 1e30}'])
@example([b'{"a": 9223372036854775808}', b'{"a": 1}'])
@example([b"", b"{}", b"null"])
def test_where_the_file_is_cut_changes_nothing(lines):
    raw = [line + b"\n" for line in lines]
    schema = whole([b"".join(raw)])
    assert whole(raw) == schema
    table, faults = read([b"".join(raw)], schema)
    one_by_one, same = read(raw, schema)
    assert one_by_one.equals(table)
    assert same == faults


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([1, None], pl.Int64, [1, None]),
        ([1, 2.5], pl.Float64, [1.0, 2.5]),
        ([True, False], pl.Boolean, [True, False]),
        ([1, True], pl.String, ["1", "true"]),
        ([1.0, 2.5, "x", 1e-7, 1e16], pl.String, ["1", "2.5", "x", "0.0000001", "10000000000000000"]),
        ([{"x": 1}, "y"], pl.String, ['{"x": 1}', "y"]),
        ([None], pl.Null, [None]),
    ],
)
def test_types(values, kind, expected):
    raw = b"".join(json.dumps({"a": value}).encode() + b"\n" for value in values)
    schema = find_schema(raw)
    assert schema == {"a": kind}
    assert read_lines(raw, schema, len(values))[0]["a"].to_list() == expected


def test_a_surrogate_pair_is_a_character_and_half_of_one_a_fault():
    raw = b'{"a": "\\ud83d\\ude00"}\n{"a": "\\ud83d"}\n'
    table, faults = read_lines(raw, find_schema(raw), 2)
    assert table["a"].to_list() == ["\U0001f600"]
    assert [(fault.number, fault.reason) for fault in faults] == [(1, "surrogate")]
