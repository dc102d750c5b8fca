from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lighten.runtime.chunk_and_merge import pieces_of, summarise_long

TEXT = "One two three. Four five six. Seven eight. Nine ten eleven twelve."


def count(texts: list[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def first_word(texts: list[str]) -> list[str]:
    return [text.split()[0].rstrip(".") + "." for text in texts]


def test_pieces_end_with_sentences() -> None:
    assert pieces_of(TEXT, count, 6) == ["One two three.\nFour five six.", "Seven eight.\nNine ten eleven twelve."]
    assert pieces_of(TEXT, count, 100) == [TEXT]


def test_a_long_sentence_is_cut_between_words() -> None:
    assert pieces_of("a b c d e f g", count, 3) == ["a b c", "d e", "f g"]
    assert pieces_of("abc" * 50, lambda texts: [len(text) for text in texts], 10) == ["abc" * 50]


@given(st.lists(st.sampled_from(["a", "bb.", "c!", "dd"]), max_size=40), st.integers(1, 8))
def test_pieces_keep_all_words_in_order_and_the_limit(words: list[str], limit: int) -> None:
    text = " ".join(words)
    pieces = pieces_of(text, count, limit)
    assert " ".join(pieces).split() == words
    assert max(count(pieces)) <= limit


def test_summaries_are_joined_or_summarised_again() -> None:
    seen: list[list[str]] = []

    def write(texts: list[str]) -> list[str]:
        seen.append(texts)
        return first_word(texts)

    assert summarise_long([TEXT, "Short one."], write, count, 6, again=False) == ["One.\nSeven.", "Short."]
    assert len(seen) == 1 and len(seen[0]) == 3  # one call for the pieces of all texts
    assert summarise_long([TEXT, "Short one."], write, count, 6) == ["One.", "Short."]


def test_summaries_that_stay_long_end_all_the_same() -> None:
    assert summarise_long([TEXT], lambda texts: texts, count, 3)[0].split() == TEXT.split()


def test_no_text_no_summary() -> None:
    assert summarise_long([], first_word, count, 5) == []
