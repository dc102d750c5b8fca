import polars as pl
import pytest

from lighten.data.columns import Columns
from lighten.data.filter import Filter
from lighten.errors import InputError
from lighten.pipeline import step_from_spec

TABLE = pl.DataFrame({"text": ["a", "b", "c", "d"], "kind": ["x", "y", None, "x"], "ok": [True, False, True, None]})
COLUMNS = Columns("text")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"column": "kind", "keep": ["x"]}, "ad"),
        ({"column": "kind", "drop": ["x"]}, "bc"),
        ({"column": "ok", "keep": [True]}, "ac"),
        ({"column": "ok", "drop": ["false"]}, "acd"),
    ],
)
def test_keep_and_drop(fields, expected):
    table, report = Filter(**fields).apply(TABLE, COLUMNS)
    assert "".join(table["text"]) == expected
    assert report["dropped"] == {"filtered": 4 - len(expected)}


def test_a_value_that_never_occurs_is_an_error_for_training_rows_only():
    with pytest.raises(InputError, match=r"no row has 'fresj' .*did you mean 'fresh'"):
        Filter(column="k", keep=["fresj"]).apply(pl.DataFrame({"text": ["a"], "k": ["fresh"]}), COLUMNS)
    table, _ = Filter(column="kind", drop=["z"]).apply(TABLE, Columns("text", part="test"))
    assert table.height == 4


def test_a_column_that_is_not_there():
    with pytest.raises(InputError, match=r"no column 'knd'.*did you mean 'kind'"):
        Filter(column="knd", keep=["x"]).apply(TABLE, COLUMNS)
    assert Filter(column="knd", keep=["x"]).apply(TABLE, Columns("text", part="unlabelled"))[0].equals(TABLE)


@pytest.mark.parametrize("fields", [{}, {"keep": ["x"], "drop": ["y"]}, {"keep": []}])
def test_one_of_keep_and_drop(fields):
    with pytest.raises(InputError, match="either keep or drop"):
        step_from_spec("table", {"filter": {"column": "kind", **fields}}, "data.prepare[0]")
