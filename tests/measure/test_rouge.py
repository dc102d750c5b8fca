from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighten.measure.rouge import (
    MEASURES,
    common_subsequence,
    rouge,
    rouge_intervals,
    rouge_l_sum,
    rouge_n,
    rouge_scores,
)

SHORT = st.lists(st.sampled_from("abc"), max_size=9)


def test_values_computed_by_hand() -> None:
    # police killed the gunman / police kill the gunman: Lin 2004, section 3.1
    found = rouge("police kill the gunman", "police killed the gunman")
    assert found["rouge1"].f1 == pytest.approx(3 / 4)
    assert found["rouge2"].f1 == pytest.approx(1 / 3)
    assert found["rougeL"].f1 == pytest.approx(3 / 4)
    found = rouge("the gunman kill police", "police killed the gunman")
    assert found["rougeL"].f1 == pytest.approx(2 / 4)
    assert found["rouge2"].f1 == pytest.approx(1 / 3)


def test_lengths_that_differ() -> None:
    found = rouge("The cat.", "the cat sat on the mat")
    assert found["rouge1"] == pytest.approx((1.0, 2 / 6, 0.5))
    assert found["rouge2"] == pytest.approx((1.0, 1 / 5, 1 / 3))
    assert found["rougeL"] == pytest.approx((1.0, 2 / 6, 0.5))


def test_a_gram_counts_as_often_as_both_have_it() -> None:
    assert rouge_n(["a", "a", "a"], ["a", "a"], 1) == pytest.approx((2 / 3, 1.0, 0.8))
    assert rouge_n(["a"], ["a"], 2) == (0, 0, 0)


def test_the_union_of_the_sentences_counts() -> None:
    # Lin 2004, section 3.2: w1 w2 w3 w4 w5 against w1 w2 w6 w7 w8 and w1 w3 w8 w9 w5: union w1 w2 w3 w5
    found = rouge_l_sum([["1", "2", "6", "7", "8"], ["1", "3", "8", "9", "5"]], [["1", "2", "3", "4", "5"]])
    assert found.recall == pytest.approx(4 / 5)
    assert found.precision == pytest.approx(4 / 10)


def test_sentences_of_a_summary_are_lines_or_found() -> None:
    one = rouge("A b c.\nD e f.", "D e f.\nA b c.")
    assert one["rougeLsum"].f1 == 1 > one["rougeL"].f1
    assert rouge("A b c. D e f.", "D e f. A b c.")["rougeLsum"].f1 == 1


def test_stems_are_asked_for() -> None:
    def stem(word: str) -> str:
        return word.removesuffix("ed")

    assert rouge("police kill", "police killed", stem)["rouge1"].f1 == 1
    assert rouge("police kill", "police killed")["rouge1"].f1 == 0.5


def test_empty_texts_score_nothing() -> None:
    assert {value.f1 for value in rouge("", "a b").values()} == {0.0}
    assert {value.f1 for value in rouge("", "").values()} == {0.0}


@given(SHORT, SHORT)
def test_the_subsequence_is_common_and_as_long_as_the_obvious_one(a: list[str], b: list[str]) -> None:
    places = common_subsequence(a, b)
    assert places == sorted(set(places))
    rest = iter(b)
    assert all(a[place] in rest for place in places)
    assert len(places) == _longest(a, b)


def _longest(a: list[str], b: list[str]) -> int:
    if not a or not b:
        return 0
    if a[-1] == b[-1]:
        return _longest(a[:-1], b[:-1]) + 1
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            table[i + 1][j + 1] = table[i][j] + 1 if x == y else max(table[i][j + 1], table[i + 1][j])
    return table[-1][-1]


def test_scores_are_points_with_intervals_over_documents() -> None:
    scores = rouge_scores(["a b", "c"], ["a b", "d"])
    assert list(scores) == list(MEASURES)
    assert scores["rouge1"].tolist() == [100, 0]
    found = rouge_intervals(scores, 0)["rouge1"]
    assert found == (50, 0, 100)
    assert rouge_intervals({"rouge1": np.array([30.0, 30.0])}, 0)["rouge1"] == (30, 30, 30)
    with pytest.raises(ValueError, match="2 references expected; got 1"):
        rouge_scores(["a"], ["a", "b"])
