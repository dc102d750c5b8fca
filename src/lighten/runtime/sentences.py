"""Texts to sentences and words, by rules that need no language and no model."""

from __future__ import annotations

import re

LONGEST = 400
"""Characters of a sentence at most; a longer one (a table, a text without a full stop) is cut into pieces."""

_ABBREVIATIONS = (
    "mr mrs ms dr prof st sr jr vs e.g i.e cf al fig figs eq no vol pp ed eds approx dept jan feb mar apr "
    "jun jul aug sep sept oct nov dec u.s u.k"
)
SHORT = frozenset(_ABBREVIATIONS.split())
"""Words whose full stop ends no sentence."""

# A full stop and its like with what closes a quotation, before white space; those of Chinese and Japanese anywhere;
# an empty line. Written so that no text makes the search slower than linear.
_END = re.compile(
    "(?<![.!?\u2026])[.!?\u2026]++[\"')\\]]*+(?=\\s)|[\u3002\uff01\uff1f]+[\u201d\u2019\uff09]*|\n[ \t\r]*(?=\n)"
)
# Chinese and Japanese have no spaces: each character stands for itself.
_SCRIPTS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_WORD = re.compile(f"[{_SCRIPTS}]|[^\\W{_SCRIPTS}]+")


def sentence_starts(text: str) -> list[int]:
    """Return where each sentence begins, in characters, the first at 0; together they are the whole text.

    The white space after a sentence belongs to the next one.
    """
    ends = [found.end() for found in _END.finditer(text) if not _shortens(text, found)]
    starts = [0]
    for end in [*ends, len(text)]:
        while end - starts[-1] > LONGEST:
            # At a space if there is one in the second half, else in the middle of a word.
            at = text.rfind(" ", starts[-1] + LONGEST // 2, starts[-1] + LONGEST)
            starts.append(at if at > 0 else starts[-1] + LONGEST)
        if end < len(text) and text[starts[-1] : end].strip():
            starts.append(end)
    return starts


def _shortens(text: str, mark: re.Match[str]) -> bool:
    """Whether an end mark is the full stop of an abbreviation or of an initial."""
    if mark.group() != ".":
        return False
    before = text[max(0, mark.start() - 16) : mark.start()].split()
    last = before[-1].lstrip("\"'([") if before else ""
    return last.lower() in SHORT or (len(last) == 1 and last.isupper() and last != "I")


def sentences_of(text: str) -> list[str]:
    """Return the sentences of a text in order, without white space around them; none of a blank text."""
    starts = sentence_starts(text)
    parts = [text[start:end].strip() for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]
    return [part for part in parts if part]


def words_of(text: str) -> list[str]:
    """Return the words of a text in lower case; Chinese and Japanese characters one by one."""
    return _WORD.findall(text.lower())


def words_by_sentence(text: str, starts: list[int]) -> list[list[str]]:
    """Return the words of each sentence of a text."""
    return [words_of(text[start:end]) for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]
