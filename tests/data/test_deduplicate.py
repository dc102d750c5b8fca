import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighten.data.columns import Columns
from lighten.data.deduplicate import Deduplicate, keys

COLUMNS = Columns("t", "y")


def obvious(rows, conflicts):
    """The same in plain Python."""
    kept, duplicates, disagreements = [], 0, 0
    by_key = {}
    for text, label in rows:
        by_key.setdefault(" ".join(text.split()).casefold(), []).append(label)
    seen = set()
    for text, label in rows:
        key = " ".join(text.split()).casefold()
        labels = by_key[key]
        if conflicts == "drop" and len(set(labels)) > 1:
            disagreements += 1
        elif key not in seen:
            seen.add(key)
            kept.append((text, label))
        elif label != labels[0]:
            disagreements += 1
        else:
            duplicates += 1
    return kept, duplicates, disagreements


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(" \t\x1c\x85\u3000aA"))))
def test_keys_agree_with_the_obvious_way(texts):
    assert keys(pl.Series(texts, dtype=pl.String)) == [" ".join(text.split()).casefold() for text in texts]


def test_every_kind_of_blank_counts():
    texts = [f"a{sign}b" for sign in map(chr, range(0x110000)) if sign.isspace()]
    assert set(keys(pl.Series(texts))) == {"a b"} and len(texts) > 20


ROWS = st.lists(
    st.tuples(st.sampled_from(["a", "A", "a ", "b", "b  c", "B c", "ß", "SS"]), st.sampled_from(["x", "y"]))
)


@given(ROWS, st.sampled_from(["drop", "keep_first"]))
def test_agrees_with_the_obvious_way(rows, conflicts):
    table = pl.DataFrame(rows, schema={"t": pl.String, "y": pl.String}, orient="row")
    result, report = Deduplicate(conflicts=conflicts).apply(table, COLUMNS)
    kept, duplicates, disagreements = obvious(rows, conflicts)
    assert result.rows() == kept
    assert report["dropped"].get("duplicate", 0) == duplicates
    assert report["dropped"].get("conflict", 0) == disagreements
    assert result.columns == table.columns


@pytest.mark.parametrize("part", ["validation", "test"])
def test_a_given_test_set_is_left_as_it_is(part):
    table = pl.DataFrame({"t": ["a", "a"], "y": ["x", "y"]})
    result, report = Deduplicate().apply(table, Columns("t", "y", part=part))
    assert result.equals(table) and report["dropped"] == {}


def test_text_without_labels():
    result, _ = Deduplicate().apply(pl.DataFrame({"t": ["a", "A", "b"]}), Columns("t", part="unlabelled"))
    assert result["t"].to_list() == ["a", "b"]


def test_examples_show_conflicts_first():
    table = pl.DataFrame({"t": ["a", "a", "b", "b"], "y": ["x", "x", "x", "y"]})
    _, report = Deduplicate().apply(table, COLUMNS)
    assert [item["reason"] for item in report["examples"]] == ["conflict", "conflict", "duplicate"]
