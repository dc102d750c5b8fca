from __future__ import annotations

import numpy as np
import pytest

from lighten.runtime.sentence_scores import textrank_scores
from lighten.runtime.sentences import sentences_of
from lighten.runtime.textrank import best_sentences, lead_summary, textrank_summary

TEXT = "The cat sat on the mat. Dogs bark. The cat and dogs sat near a mat. Rain fell. Dogs bark near a big tree."


def test_abbreviations_and_initials_end_no_sentence() -> None:
    assert sentences_of("Dr. Smith met J. Doe, i.e. his friend. They left at 3.5 m. ") == [
        "Dr. Smith met J. Doe, i.e. his friend.",
        "They left at 3.5 m.",
    ]
    assert sentences_of(" \n\n ") == []


def test_the_scores_solve_the_equation_of_the_walk() -> None:
    parts = [["a", "b"], ["b", "c", "c"], ["a", "c", "d"], ["e"]]
    known = sorted({word for part in parts for word in part})
    counts = np.array([[part.count(word) for word in known] for part in parts], float)
    rows = counts * np.log1p(len(parts) / (counts > 0).sum(0))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    similar = rows @ rows.T - np.eye(4)
    degree = similar.sum(1)
    step = np.where(degree[:, None] > 1e-9, similar / np.where(degree > 1e-9, degree, 1)[:, None], 1 / 4)
    exact = np.linalg.solve(np.eye(4) - 0.85 * step.T, np.full(4, 0.15))
    assert textrank_scores(parts) == pytest.approx(exact, abs=1e-6)


def test_the_sentence_with_most_in_common_is_first() -> None:
    assert textrank_summary(TEXT, 1) == "The cat and dogs sat near a mat."
    assert len(textrank_summary(TEXT, 15).splitlines()) == 2
    assert lead_summary(TEXT, 9) == "The cat sat on the mat.\nDogs bark."


def test_what_is_said_often_and_short_is_no_summary() -> None:
    talk = ["Yeah."] * 9 + ["The design of the remote is late.", "The remote has a late design of wood."]
    assert best_sentences(talk, 8) in ([9], [10])
    assert best_sentences([*talk, talk[-1]], 40) == [9, 10]


def test_the_length_wanted_is_met_as_nearly_as_whole_sentences_can() -> None:
    text = "One two. Three four five six. Seven."
    assert [len(lead_summary(text, words).splitlines()) for words in (0, 2, 3, 5, 6, 7, 99)] == [1, 1, 1, 2, 2, 3, 3]


def test_more_than_there_are_gives_all_and_equals_keep_the_first() -> None:
    assert best_sentences(["a", "b"], 5) == [0, 1]
    assert best_sentences(["a", "b"], 1) == [0]
    assert textrank_summary("", 3) == "" == lead_summary("", 3)
