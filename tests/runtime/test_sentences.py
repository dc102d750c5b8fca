"""Sentences and words: nothing of a text is lost, nothing takes long."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighten.runtime.sentences import LONGEST, sentence_starts, words_by_sentence, words_of


def sentences(text):
    starts = sentence_starts(text)
    return [text[a:b] for a, b in zip(starts, [*starts[1:], len(text)], strict=True)]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", [""]),
        ("One. Two! Three?", ["One.", " Two!", " Three?"]),
        ('He said "go." She went... far', ['He said "go."', " She went...", " far"]),
        ("Version 3.5 of a.b is out. Good", ["Version 3.5 of a.b is out.", " Good"]),
        ("Title\n\nFirst line\nof it. End", ["Title\n", "\nFirst line\nof it.", " End"]),
        ("\u597d\u3002\u4e0d\u597d\uff01", ["\u597d\u3002", "\u4e0d\u597d\uff01"]),
        ("... ... ...", ["...", " ...", " ..."]),
    ],
)
def test_by_hand(text, wanted):
    assert sentences(text) == wanted


@given(st.text(alphabet="ab .!?\n\u3002", max_size=1500))
def test_together_they_are_the_text(text):
    parts = sentences(text)
    assert "".join(parts) == text
    assert all(len(part) <= LONGEST for part in parts)
    assert [word for words in words_by_sentence(text, sentence_starts(text)) for word in words] == words_of(text) or (
        len(text) > LONGEST  # a word may be cut where a sentence is
    )


@pytest.mark.parametrize("unit", ["a", "word ", ".", "\n", '."', "\n ", "? ", "\u3002"])
def test_no_text_takes_long(unit):
    started = time.process_time()
    parts = sentences(unit * (200_000 // len(unit)))
    assert sum(map(len, parts)) == 200_000 // len(unit) * len(unit)
    assert time.process_time() - started < 5


def test_words():
    assert words_of("The Caf\u00e9, it's 3.5\u597d\u4eba") == [
        "the",
        "caf\u00e9",
        "it",
        "s",
        "3",
        "5",
        "\u597d",
        "\u4eba",
    ]
