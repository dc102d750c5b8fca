"""Sentences are chosen by score until the summary is long enough."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighten.runtime.choosing import choose_sentences
from lighten.runtime.sentences import words_of

FIVE = ["a b c d e", "f g h i j", "k l m n o", "p q r s t", "u v w x y"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [(1, [3]), (5, [3]), (7, [3]), (8, [1, 3]), (10, [1, 3]), (13, [0, 1, 3]), (99, [0, 1, 2, 3, 4])],
)
def test_the_best_come_in_the_order_of_the_text(words, expected):
    assert choose_sentences(FIVE, np.array([0.5, 0.8, 0.1, 0.9, 0.3]), words) == expected


def test_what_was_said_is_not_said_again():
    parts = ["the film was great fun", "we said the film was bad", "music of another kind altogether"]
    scores = np.array([3.0, 2.0, 1.0])
    assert choose_sentences(parts, scores, 10) == [0, 2]
    assert choose_sentences(parts, scores, 10, no_repeat=0) == [0, 1]
    assert choose_sentences(parts, scores, 10, no_repeat=4) == [0, 1]


def test_short_sentences_are_taken_where_there_are_no_others():
    assert choose_sentences(["yeah", "so this is a sentence"], np.array([9.0, 1.0]), 5) == [1]
    assert choose_sentences(["yeah", "oh right"], np.array([9.0, 1.0]), 1) == [0]
    assert choose_sentences([], np.zeros(0), 5) == []


@given(st.lists(st.text("ab c", min_size=1, max_size=30), max_size=8), st.integers(1, 40), st.integers(0, 4))
def test_one_more_would_be_further_from_the_length(parts, words, no_repeat):
    scores = np.random.default_rng(0).standard_normal(len(parts))
    chosen = choose_sentences(parts, scores, words, no_repeat)
    assert chosen == sorted(set(chosen)) and bool(chosen) == bool(parts)
    sizes = [len(words_of(parts[place])) for place in sorted(chosen, key=lambda place: -scores[place])]
    for number in range(1, len(sizes)):
        assert abs(sum(sizes[: number + 1]) - words) < abs(sum(sizes[:number]) - words)
