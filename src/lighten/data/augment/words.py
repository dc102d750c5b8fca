"""Where the words of a text are that may be edited: URLs, e-mail addresses, numbers and tokens are none of them.

A word is a run of letters with hyphens and apostrophes inside, or a single Chinese character that does not touch
other letters or digits: a number with its counter is left together. A stretch between
blanks that holds a digit, an @ or another sign of not being a plain word is left out as a whole.
"""

from __future__ import annotations

import re
from functools import lru_cache

from lighten.data.chinese import HAN
from lighten.data.stop_words import CHINESE_NEGATIONS, ENGLISH_NEGATIONS

Span = tuple[int, int]

_MARKS = "\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0900-\u0963\u0970-\u0e4f\u200d"
"""Signs that belong to the letter before them; to `re` they are no letters."""
_LETTERS = rf"[^\W\d_{HAN}][^\W\d_{HAN}{_MARKS}]*(?:[{_MARKS}]+[^\W\d_{HAN}]*)*"
_WORD = re.compile(rf"(?<![^\W{HAN}])[{HAN}](?![^\W{HAN}])|{_LETTERS}(?:['\u2019-]{_LETTERS})*")
_ASCII_WORD = re.compile(r"[A-Za-z]+(?:['-][A-Za-z]+)*")
"""What `_WORD` is in ASCII, several times as fast."""
_ASCII_PARTS = re.compile(f"({_ASCII_WORD.pattern})")
_CHUNK = re.compile(rf"[^\s{HAN}\u3000-\u303f\uff01-\uff0f]+")
_SPECIAL = re.compile(r"[\d@#<>\[\]{}_/\\$%&=+*^~|]|\w\.\w|www\.", re.IGNORECASE)
_SIGN = re.compile(r"[\d@#<>\[\]{}_/\\$%&=+*^~|]")
_HAN = re.compile(f"[{HAN}]")
_NEGATIONS = ENGLISH_NEGATIONS | CHINESE_NEGATIONS | {word.replace("'", "") for word in ENGLISH_NEGATIONS}


@lru_cache(maxsize=4)
def words(text: str) -> tuple[Span, ...]:
    """Return the spans of the words, from left to right; the copies of a text are made one after the other."""
    if _is_plain(text):
        return tuple([found.span() for found in (_ASCII_WORD if text.isascii() else _WORD).finditer(text)])
    kept = [chunk.span() for chunk in _CHUNK.finditer(text) if _SPECIAL.search(text, *chunk.span())]
    spans: list[Span] = []
    place = 0
    for found in _WORD.finditer(text):
        start, end = found.span()
        while place < len(kept) and kept[place][1] <= start:
            place += 1
        if place == len(kept) or end <= kept[place][0]:
            spans.append((start, end))
    return tuple(spans)


def parts(text: str) -> list[str]:
    """Return a text cut at its words: what is before the first, the first, what is between, ... what is behind."""
    if text.isascii() and _is_plain(text):
        return _ASCII_PARTS.split(text)
    cut, last = [], 0
    for start, end in words(text):
        cut += [text[last:start], text[start:end]]
        last = end
    return [*cut, text[last:]]


def _is_plain(text: str) -> bool:
    """Whether `_SPECIAL` is nowhere in a text, found out faster."""
    return not _SIGN.search(text) and ("." not in text or not _SPECIAL.search(text))


@lru_cache(maxsize=4)
def editable(text: str, keep_negations: bool) -> tuple[Span, ...]:
    """Return the spans of the words that may be edited: all, or all but the words of negation."""
    if not keep_negations:
        return words(text)
    return tuple([span for span in words(text) if not is_negation(text[span[0] : span[1]])])


def is_negation(word: str) -> bool:
    """Whether a word turns the meaning of a sentence round: not, never, don't, dont."""
    word = word.lower()
    if word in _NEGATIONS:
        return True
    return word.endswith(("n't", "n\u2019t"))


def is_han(character: str) -> bool:
    """Whether a character is written without blanks around it."""
    return bool(_HAN.match(character))
