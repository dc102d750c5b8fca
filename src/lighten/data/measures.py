"""What `quality` measures on texts: counts in one pass of expressions, repetitions only where there may be some."""

from __future__ import annotations

import re

import polars as pl

from lighten.data.chinese import HAN

_WORD = r"[\p{Han}\p{Hiragana}\p{Katakana}]|[[\p{L}\p{N}\p{M}]--[\p{Han}\p{Hiragana}\p{Katakana}]]+"
_UNIT = re.compile(rf"[{HAN}\u3040-\u30ff]|[^\s{HAN}\u3040-\u30ff]+")
# Thai, Lao, Burmese, Khmer, Chinese, Japanese and Korean: a run without a blank is no word there.
_RUN = re.compile(rf"[^\s\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3000-\u30ff\uac00-\ud7af\uff00-\uffef{HAN}]++")
_FEWEST_LINES = 4
_FEWEST_NGRAMS = 20


def shares(texts: pl.Series) -> pl.DataFrame:
    """Count per text.

    Returns:
        ``words``, ``characters``, ``visible`` (characters but white space), ``letters``, ``digits``, ``signs``
        (punctuation and symbols) and ``capitals``.
    """
    text = pl.col("text")
    return (
        texts.alias("text")
        .to_frame()
        .select(
            words=text.str.count_matches(_WORD),
            characters=text.str.len_chars(),
            visible=text.str.count_matches(r"\S"),
            letters=text.str.count_matches(r"[\p{L}\p{M}]"),
            digits=text.str.count_matches(r"\p{Nd}"),
            signs=text.str.count_matches(r"[\p{P}\p{S}]"),
            capitals=text.str.count_matches(r"\p{Lu}"),
        )
    )


def longest_word(texts: pl.Series, limit: int | None) -> pl.Series:
    """Return the length of the longest word where it may be above the limit, else 0."""
    return pl.Series([0 if limit is None else _longest(text, limit) for text in texts], dtype=pl.Int64)


def _longest(text: str, limit: int) -> int:
    if len(text) <= limit or max(map(len, text.split()), default=0) <= limit:
        return 0
    return max((len(run) for run in _RUN.findall(text)), default=0)


def repeated_lines(texts: pl.Series, limit: float) -> pl.Series:
    """Return the share of lines that are equal to an earlier one, blanks around them aside; 0 below four lines."""
    return pl.Series([0.0 if limit >= 1 else _lines(text) for text in texts], dtype=pl.Float64)


def _lines(text: str) -> float:
    if text.count("\n") < _FEWEST_LINES - 1:
        return 0.0
    lines = [line for part in text.split("\n") if (line := part.strip())]
    return 1 - len(set(lines)) / len(lines) if len(lines) >= _FEWEST_LINES else 0.0


def ngram_share(texts: pl.Series, size: int, limit: float) -> pl.Series:
    """Return the share of word n-grams that are equal to an earlier one, where it may be above the limit, else 0."""
    return pl.Series([0.0 if limit >= 1 else _ngrams(text, size, limit) for text in texts], dtype=pl.Float64)


def _ngrams(text: str, size: int, limit: float) -> float:
    units = text.split() if text.isascii() else _UNIT.findall(text)
    total = len(units) - size + 1
    if total < _FEWEST_NGRAMS:
        return 0.0
    # Where a word occurs first, an n-gram ends that was not there before: so many are new at least.
    if total - (len(set(units)) - size + 1) <= limit * total:
        return 0.0
    distinct = len(set(zip(*(units[start:] for start in range(size)), strict=False)))
    return 1 - distinct / total
