import string

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighten.data.columns import ROW, Columns
from lighten.data.measures import ngram_share, shares
from lighten.data.quality import Quality
from lighten.errors import InputError
from lighten.pipeline import step_from_spec

LINE = "The film is slow, yet it never bores.\n"


@pytest.mark.parametrize(
    ("fields", "text", "reason"),
    [
        ({}, "A fine film.", None),
        ({}, "OK", None),
        ({}, "10/10", None),
        ({}, "WOW!!! BEST FILM EVER", None),
        ({}, "\u597d\u770b", None),
        ({}, "\u0e20\u0e32\u0e1e\u0e22\u0e19\u0e15\u0e23\u0e4c" * 99, None),
        ({}, "see http://example.org/" + "x" * 300, None),
        ({}, "ha ha ha ha ha ha", None),
        ({}, "", "few_words"),
        ({}, "!!", "few_words"),
        ({}, "x", "short_text"),
        ({}, "a" * 600, "long_word"),
        ({}, "a ----- ===== ///// +++++", "few_letters"),
        ({"min_letters": 0}, "a ----- ===== ///// +++++", "much_punctuation"),
        ({"min_letters": 0}, "a 123 456 789 " * 2 + "b c", "many_digits"),
        ({}, LINE * 4, "repeated_lines"),
        ({}, LINE * 2, None),
        ({}, "buy it now and here " * 20, "repeated_ngrams"),
        ({}, "\u4e70\u8fd9\u4e2a\u5427" * 20, "repeated_ngrams"),
        ({"max_repeated_ngrams": 1}, "buy it now and here " * 20, None),
        ({"min_words": 5}, "A fine film.", "few_words"),
        ({"max_words": 2}, "A fine film.", "many_words"),
        ({"max_characters": 5}, "A fine film.", "long_text"),
        ({"max_capitals": 0.5}, "WOW!!! BEST FILM EVER MADE", "many_capitals"),
    ],
)
def test_reasons(fields, text, reason):
    table = pl.DataFrame({"t": [text, LINE], ROW: [7, 8]})
    found = Quality(**fields).reasons(pl.Series([text]))[0]
    assert found == reason
    if not fields:
        kept, note = Quality().apply(table, Columns("t"))
        assert kept.height == 2 - (reason is not None)
        assert note["dropped"] == ({reason: 1} if reason else {})
        assert note["dropped_rows"] == ({reason: [7]} if reason else {})


def test_held_out_rows_stay_and_are_reported():
    table = pl.DataFrame({"t": ["!!", LINE, "!?"]})
    kept, note = Quality().apply(table, Columns("t", part="test"))
    assert kept.equals(table) and note["dropped"] == {} and note["counts"] == {"kept_few_words": 2}
    kept, note = Quality(held_out=True).apply(table, Columns("t", part="test"))
    assert kept["t"].to_list() == [LINE] and note["dropped"] == {"few_words": 2}


@given(st.text(string.printable + "\u00e9\u4e0d\u0660\u20ac"))
def test_counts_against_the_obvious_way(text):
    row = shares(pl.Series([text])).row(0, named=True)
    assert row["characters"] == len(text)
    assert row["letters"] == sum(c.isalpha() for c in text)
    assert row["digits"] == sum(c.isdecimal() for c in text)
    assert row["capitals"] == sum(c.isupper() for c in text)
    assert row["words"] <= row["visible"] <= len(text)


@given(st.lists(st.sampled_from("abc"), max_size=60), st.integers(1, 4), st.sampled_from([0.1, 0.5, 0.9]))
def test_repetitions_against_the_obvious_way(words, size, limit):
    found = ngram_share(pl.Series([" ".join(words)]), size, limit)[0]
    grams = [tuple(words[i : i + size]) for i in range(len(words) - size + 1)]
    true = 1 - len(set(grams)) / len(grams) if len(grams) >= 20 else 0.0
    assert (found > limit) == (true > limit)
    assert found in (0.0, pytest.approx(true))


@given(st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"])), max_size=5))
def test_totals_add_up(texts):
    kept, note = Quality().apply(pl.DataFrame({"t": texts}, schema={"t": pl.String}), Columns("t"))
    assert note["rows_in"] - sum(note["dropped"].values()) == note["rows_out"] == kept.height


@pytest.mark.parametrize("piece", ["a", "a ", "\u4e00", "\U0001f44d", "\u05d0 ", "a\n"])
def test_a_line_of_a_megabyte(piece):
    Quality().reasons(pl.Series([piece * 1_000_000]))


def test_limits_that_contradict_each_other():
    with pytest.raises(InputError, match="more than max_words"):
        step_from_spec("table", {"quality": {"min_words": 5, "max_words": 2}}, "data.prepare[0]")
