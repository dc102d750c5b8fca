import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighten.data.augment.words import _SPECIAL, _WORD, editable, is_negation, parts, words
from lighten.data.chinese import HAN


def found(text):
    return [text[start:end] for start, end in words(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It's a well-made film, isn't it?", ["It's", "a", "well-made", "film", "isn't", "it"]),
        ("see http://a.b/c?d=1 or www.x.org, at 10:30", ["see", "or", "at"]),
        ("mail me@x.org #tag @you <b> [MASK] {slot} mp3 COVID-19 3.14", ["mail"]),
        ("e.g. this and/or that", ["this", "that"]),
        ("这部电影2024年不好", ["这", "部", "电", "不", "好"]),
        (
            "caf\u00e9 cafe\u0301 \u0939\u093f\u0928\u094d\u0926\u0940",
            ["caf\u00e9", "cafe\u0301", "\u0939\u093f\u0928\u094d\u0926\u0940"],
        ),
        ("", []),
    ],
)
def test_words_are_found_and_other_things_are_not(text, expected):
    assert found(text) == expected


@given(st.text())
def test_spans_are_in_order_and_hold_letters(text):
    last = 0
    for start, end in words(text):
        assert last <= start < end and re.search(rf"[^\W\d_]|[{HAN}]", text[start:end])
        assert not re.search(r"\d", text[start:end])
        last = end


@given(st.text(st.sampled_from("aBz '-.,!w1@\u00e9\u4e2d\u2019")) | st.text())
def test_fast_ways_find_the_same_words(text):
    if not _SPECIAL.search(text):
        assert words(text) == tuple(match.span() for match in _WORD.finditer(text))
    cut = parts(text)
    assert "".join(cut) == text and cut[1::2] == found(text) and len(cut) == 2 * len(words(text)) + 1


@pytest.mark.parametrize("word", ["not", "Never", "don't", "don\u2019t", "dont", "CANNOT", "不", "mustn't"])
def test_negations(word):
    assert is_negation(word)
    assert not editable(word, True) and editable(word, False)


def test_other_words_are_no_negations():
    assert not any(map(is_negation, ("note", "good", "knot", "好", "ant")))


@pytest.mark.parametrize("unit", ["a", "a,", "a-", "a'", ".a", "a\u0301", "1a"])
def test_a_long_line_takes_linear_time(unit):
    started = time.process_time()
    words(unit * 200_000)
    assert time.process_time() - started < 5
